"""Signed requests to a discovery service, and their time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from teleglyph.errors import VerificationError
from teleglyph.keys import FileIdentity
from teleglyph.wire.discovery import (
    Capability,
    SessionCreate,
    SessionEnd,
    SessionJoin,
    SessionLookup,
    SessionReconnect,
    SessionType,
    StringRelease,
    StringRenew,
    StringReserve,
    check_time,
    sign,
    signed_text,
    turn_credentials,
    verify,
)

IDENTITY, OTHER = FileIdentity(bytes(range(32))), FileIdentity(b"o" * 32)
TIME = 1_700_000_000_000
STAMP = "0000018bcfe56800"
NAME = "blue-mountain-tiger"
SESSION, PARTICIPANT = b"S" * 16, b"P" * 16
OLD_CREATE = SessionCreate(address="203.0.113.7", port=27224)
CREATE = replace(
    OLD_CREATE, capabilities=Capability.VIDEO | Capability.RENDEZVOUS, address="", wanted_name=NAME, total_keys=1
)

TEXTS: list[tuple[Any, str]] = [
    (OLD_CREATE, "70" + STAMP + "0308"),
    (SessionJoin(NAME), "74" + STAMP + NAME.encode().hex()),
    (SessionEnd(SESSION), "1777" + STAMP + SESSION.hex()),
    (SessionReconnect(SESSION, PARTICIPANT), "1778" + STAMP + (SESSION + PARTICIPANT).hex()),
    (StringReserve(NAME, 30), "1784" + STAMP + "0000001e" + NAME.encode().hex()),
    (StringRenew(NAME, 365), "1786" + STAMP + "0000016d" + NAME.encode().hex()),
    (StringRelease(NAME), "1787" + STAMP + NAME.encode().hex()),
]
SIGNED = [message for message, _ in TEXTS] + [CREATE]


@pytest.mark.parametrize(("message", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_signed_texts_are_those_of_the_documentation(message: Any, text: str) -> None:
    assert signed_text(replace(message, timestamp=TIME)).hex() == text


def test_with_rendezvous_the_whole_request_is_signed() -> None:
    message = sign(CREATE, IDENTITY, TIME)
    data = message.encode_payload()
    assert signed_text(message) == b"teleglyph session create\0" + data[:32] + data[96:]
    assert len(signed_text(message)) == 25 + 306 - 64 + len(NAME)


@pytest.mark.parametrize("message", SIGNED, ids=lambda value: type(value).__name__)
def test_only_the_signer_is_verified(message: Any) -> None:
    signed = sign(message, IDENTITY, TIME)
    key = IDENTITY.public_key
    verify(signed, TIME, key)
    with pytest.raises(VerificationError, match=f"{message.type.name} was not made with the key SHA256:"):
        verify(signed, TIME, OTHER.public_key)
    with pytest.raises(VerificationError, match="was not made with"):
        verify(replace(signed, timestamp=TIME + 1), TIME, key)
    with pytest.raises(VerificationError, match="is not signed"):
        verify(signed, TIME, bytes(32))


@pytest.mark.parametrize("message", SIGNED, ids=lambda value: type(value).__name__)
def test_each_bit_of_the_signature_matters(message: Any) -> None:
    signed = sign(message, IDENTITY, TIME)
    for place in range(0, 512, 37):
        signature = bytearray(signed.signature)
        signature[place // 8] ^= 1 << place % 8
        with pytest.raises(VerificationError):
            verify(replace(signed, signature=bytes(signature)), TIME, IDENTITY.public_key)


@pytest.mark.parametrize(
    "change",
    [
        {"capabilities": Capability.RENDEZVOUS},
        {"max_participants": 9},
        {"session_type": SessionType.WEBRTC},
        {"has_password": True},
        {"password_hash": "$argon2id$other"},
        {"expose_address": True},
        {"total_keys": 2},
        {"address": "203.0.113.8"},
        {"port": 27225},
        {"wanted_name": "blue-mountain-zebra"},
        {"timestamp": TIME + 1},
        {"identity": OTHER.public_key},
    ],
    ids=lambda change: next(iter(change)),
)
def test_with_rendezvous_no_value_can_be_changed(change: dict[str, Any]) -> None:
    signed = sign(CREATE, IDENTITY, TIME)
    verify(signed, TIME)
    with pytest.raises(VerificationError):
        verify(replace(signed, **change), TIME)


def test_a_signature_does_not_survive_the_removal_of_rendezvous() -> None:
    signed = sign(CREATE, IDENTITY, TIME)
    with pytest.raises(VerificationError):
        verify(replace(signed, capabilities=Capability.VIDEO), TIME)
    old = sign(OLD_CREATE, IDENTITY, TIME)
    with pytest.raises(VerificationError):
        verify(replace(old, capabilities=old.capabilities | Capability.RENDEZVOUS), TIME)


@pytest.mark.parametrize("message", [SessionEnd(SESSION), SessionReconnect(SESSION, PARTICIPANT)])
def test_requests_without_a_key_need_one_to_be_verified(message: SessionEnd | SessionReconnect) -> None:
    with pytest.raises(TypeError, match="does not name its key"):
        verify(sign(message, IDENTITY, TIME), TIME)


def test_other_messages_have_no_signed_text() -> None:
    with pytest.raises(TypeError, match="SessionLookup has no signature"):
        signed_text(SessionLookup(NAME))


@pytest.mark.parametrize("age", [-60_000, -1, 0, 300_000])
def test_recent_requests_are_accepted(age: int) -> None:
    check_time(TIME - age, TIME)


@pytest.mark.parametrize(
    ("age", "reason"),
    [
        (300_001, "301 s old"),
        (86_400_000, "86400 s old"),
        (-60_001, "61 s in the future"),
        (TIME, "1700000000 s old"),
    ],
)
def test_other_requests_are_refused(age: int, reason: str) -> None:
    with pytest.raises(VerificationError, match=reason):
        check_time(TIME - age, TIME)


def test_the_time_is_part_of_the_check() -> None:
    signed = sign(CREATE, IDENTITY, TIME)
    verify(signed, TIME + 300_000)
    with pytest.raises(VerificationError, match="Set the clock"):
        verify(signed, TIME + 300_001)


def test_turn_credentials_are_the_known_ones() -> None:
    assert turn_credentials(b"secret", NAME, 1_700_000_000) == (
        "1700000000:blue-mountain-tiger",
        "lR0N4apKe+5kS4xiG8YgxkTCrfY=",
    )


def test_user_names_of_turn_are_not_cut() -> None:
    username, credential = turn_credentials(b"secret", "a" * 48, 1_700_000_000)
    assert username == "1700000000:" + "a" * 48
    assert len(credential) == 28
