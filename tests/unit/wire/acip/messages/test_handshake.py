"""Layouts of the handshake's messages."""

from __future__ import annotations

import pytest

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip import (
    AuthResponse,
    KeyExchangeInit,
    KeyExchangeResponse,
    Message,
    ProtocolVersion,
    RekeyComplete,
)
from teleglyph.wire.acip.packet_type import HANDSHAKE_TYPES, PacketType
from unit.wire.examples import (
    CLIENT_NONCE,
    CLIENT_PUBLIC,
    CLIENT_TAG,
    IDENTITY_PUBLIC,
    IDENTITY_SIGNATURE,
    MESSAGES,
    SERVER_PUBLIC,
)

HANDSHAKE = [MESSAGES[kind] for kind in sorted({1, *HANDSHAKE_TYPES}) if kind < PacketType.LINK_HELLO]
KEY_IDS = (b"", b"DEADBEEF", b"0" * 16, b"F" * 40)


@pytest.mark.parametrize("message", HANDSHAKE, ids=lambda message: message.type.name)
def test_one_byte_more_or_less_is_refused(message: Message) -> None:
    payload = message.encode_payload()
    assert message.decode_payload(payload) == message
    for wrong in (payload + b"\0", payload[:-1]):
        if wrong == payload:
            continue
        with pytest.raises(ProtocolError, match="payload size") as caught:
            message.decode_payload(wrong)
        assert not isinstance(caught.value, BadDataError)


@pytest.mark.parametrize("key_id", KEY_IDS)
def test_a_client_identity_may_have_a_key_id(key_id: bytes) -> None:
    message = KeyExchangeResponse(CLIENT_PUBLIC, IDENTITY_PUBLIC, IDENTITY_SIGNATURE, key_id)
    payload = message.encode_payload()
    assert len(payload) == 129 + len(key_id)
    assert KeyExchangeResponse.decode_payload(payload) == message


def test_a_client_identity_may_lack_the_length_of_the_key_id() -> None:
    payload = CLIENT_PUBLIC + IDENTITY_PUBLIC + IDENTITY_SIGNATURE
    expected = KeyExchangeResponse(CLIENT_PUBLIC, IDENTITY_PUBLIC, IDENTITY_SIGNATURE)
    assert KeyExchangeResponse.decode_payload(payload) == expected


@pytest.mark.parametrize("key_id", KEY_IDS)
def test_the_proof_of_a_client_key_may_have_a_key_id(key_id: bytes) -> None:
    message = AuthResponse(IDENTITY_SIGNATURE, CLIENT_NONCE, key_id)
    payload = message.encode_payload()
    assert len(payload) == 97 + len(key_id)
    assert AuthResponse.decode_payload(payload) == message


@pytest.mark.parametrize("size", [0, 31, 33, 127, 170])
def test_a_key_of_a_size_between_the_forms_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError, match=f"payload size {size}"):
        KeyExchangeResponse.decode_payload(bytes(size))


@pytest.mark.parametrize("size", [0, 33, 63, 65, 96, 138])
def test_a_proof_of_a_size_between_the_forms_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError, match=f"payload size {size}"):
        AuthResponse.decode_payload(bytes(size))


@pytest.mark.parametrize(("announced", "length"), [(1, 0), (0, 1), (8, 7), (255, 40)])
def test_a_key_id_must_have_its_announced_length(announced: int, length: int) -> None:
    tail = bytes([announced]) + b"x" * length
    with pytest.raises(ProtocolError, match="Key id announces"):
        KeyExchangeResponse.decode_payload(bytes(128) + tail)
    with pytest.raises(ProtocolError, match="Key id announces"):
        AuthResponse.decode_payload(bytes(96) + tail)


@pytest.mark.parametrize("size", [31, 64, 96, 127, 129])
def test_the_servers_key_has_two_sizes(size: int) -> None:
    with pytest.raises(ProtocolError, match=r"expected 32 or 128"):
        KeyExchangeInit.decode_payload(bytes(size))


def test_all_fields_of_the_version_survive_encoding() -> None:
    message = ProtocolVersion(3, 2, 7, 5, 9, 3)
    assert ProtocolVersion.decode_payload(message.encode_payload()) == message


def test_the_text_of_messages_contains_no_secrets() -> None:
    assert CLIENT_TAG.hex() not in repr(AuthResponse(CLIENT_TAG, CLIENT_NONCE))
    assert "proof" not in repr(AuthResponse(CLIENT_TAG, CLIENT_NONCE))


def test_the_end_of_rekeying_is_one_zero() -> None:
    assert RekeyComplete().encode_payload() == b"\0"


def test_a_key_exchange_without_identity_is_the_key_alone() -> None:
    assert KeyExchangeInit(SERVER_PUBLIC).encode_payload() == SERVER_PUBLIC
