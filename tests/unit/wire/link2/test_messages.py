"""Layouts of the messages of link 2's handshake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.errors import ProtocolError
from teleglyph.wire.acip import ChallengeFlag, Message
from teleglyph.wire.link2.messages import LinkChallenge, LinkHello, LinkProof, LinkWelcome

NONCE, KEY, SIGNATURE, EXCHANGE, TAG = b"n" * 32, b"k" * 32, b"s" * 64, b"B" + b"e" * 32, b"t" * 32
PASSWORD = ChallengeFlag.PASSWORD
MESSAGES: list[tuple[Message, str]] = [
    (LinkHello(2, NONCE), f"0002 00000002 {NONCE.hex()} {'00' * 32} 00"),
    (LinkHello(0, NONCE, KEY, "den"), f"0002 00000000 {NONCE.hex()} {KEY.hex()} 03 64656e"),
    (LinkChallenge(2, 0, NONCE), f"00000002 00 {NONCE.hex()} {'00' * 96}"),
    (
        LinkChallenge(2, 3, NONCE, KEY, EXCHANGE, SIGNATURE),
        f"00000002 03 {NONCE.hex()} {KEY.hex()} {EXCHANGE.hex()} {SIGNATURE.hex()}",
    ),
    (LinkProof(KEY, SIGNATURE), f"{KEY.hex()} {SIGNATURE.hex()}"),
    (LinkProof(exchange=EXCHANGE, tag=TAG), f"{'00' * 96} {EXCHANGE.hex()} {TAG.hex()}"),
    (LinkProof(invitation=b"i" * 114), f"{'00' * 96} {'69' * 114}"),
    (LinkProof(invitation=b"i" * 146), f"{'00' * 96} {'69' * 146}"),
    (LinkWelcome(TAG), TAG.hex()),
]


@pytest.mark.parametrize(("message", "layout"), MESSAGES, ids=lambda value: type(value).__name__)
def test_layouts(message: Message, layout: str) -> None:
    payload = bytes.fromhex(layout)
    assert message.encode_payload() == payload
    assert message.decode_payload(payload) == message


@pytest.mark.parametrize(("message", "layout"), MESSAGES, ids=lambda value: type(value).__name__)
def test_one_byte_more_or_less_is_refused(message: Message, layout: str) -> None:
    payload = bytes.fromhex(layout)
    longer, shorter = payload + b"\0", payload[:-1]
    if isinstance(message, LinkProof) and message.invitation:
        # An invitation has 114 to 146 bytes.
        longer, shorter = payload + bytes(33), payload[: 96 + 113]
    for wrong in (longer, shorter, b""):
        with pytest.raises(ProtocolError):
            message.decode_payload(wrong)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (LinkChallenge(0, 0, NONCE, exchange=EXCHANGE).encode_payload(), "flags 0x00, but 33 bytes"),
        (LinkChallenge(0, PASSWORD, NONCE).encode_payload(), "flags 0x01, but 0 bytes"),
        (LinkChallenge(0, 0x80, NONCE).encode_payload(), "unknown flags 0x80"),
        (LinkChallenge(0, 0x06, NONCE).encode_payload(), "an invitation replaces all other proofs"),
    ],
)
def test_a_challenge_whose_flags_do_not_fit_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        LinkChallenge.decode_payload(payload)


def test_a_room_name_that_is_not_text_or_too_long_is_refused() -> None:
    head = LinkHello(0, NONCE).encode_payload()[:-1]
    for room in (b"\xff\xfe", b"r" * 129):
        with pytest.raises(ProtocolError):
            LinkHello.decode_payload(head + bytes((len(room),)) + room)


@pytest.mark.parametrize("kind", [LinkHello, LinkChallenge, LinkProof, LinkWelcome])
@given(payload=st.binary(max_size=400))
def test_whatever_is_decoded_has_only_one_encoding(kind: type[Message], payload: bytes) -> None:
    """The transcript of a handshake is made from decoded packets."""
    try:
        message = kind.decode_payload(payload)
    except ProtocolError:
        return
    assert isinstance(message, Message)
    assert message.encode_payload() == payload
