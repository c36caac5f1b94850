"""ERROR_MESSAGE and REMOTE_LOG."""

from __future__ import annotations

import struct

import pytest

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip import ErrorMessage, RemoteLog


def log(text: bytes = b"hi", level: int = 2, direction: int = 2, flags: int = 0, size: int | None = None) -> bytes:
    return struct.pack(">BBHI", level, direction, flags, len(text) if size is None else size) + text


def error(text: bytes, size: int | None = None) -> bytes:
    return struct.pack(">II", 44, len(text) if size is None else size) + text


@pytest.mark.parametrize("text", [b"", b"x" * 511, b"x" * 512])
def test_texts_up_to_512_bytes_are_accepted(text: bytes) -> None:
    assert RemoteLog.decode_payload(log(text)) == RemoteLog(2, 2, text.decode())
    assert ErrorMessage.decode_payload(error(text)) == ErrorMessage(44, text.decode())


@pytest.mark.parametrize("level", range(6))
@pytest.mark.parametrize("direction", range(3))
def test_every_level_and_direction_is_accepted(level: int, direction: int) -> None:
    assert RemoteLog.decode_payload(log(level=level, direction=direction)) == RemoteLog(level, direction, "hi")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (log(b"x" * 513), "message length 513 exceeds 512"),
        (log(b"", size=0xFFFFFFFF), "message length 4294967295 exceeds 512"),
        (log(b"four", size=3), "message length 3, but 4 bytes follow"),
        (log(b"four", size=5), "message length 5, but 4 bytes follow"),
        (log(b"a\0b"), "message contains NUL"),
        (log(level=6), "level 6 out of range"),
    ],
)
def test_a_wrong_log_line_is_refused_with_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(BadDataError) as caught:
        RemoteLog.decode_payload(payload)
    assert str(caught.value) == f"Invalid REMOTE_LOG packet: {reason}"


@pytest.mark.parametrize("payload", [error(b"x" * 513), error(b"four", 3), error(b"four", 5), error(b"a\0b")])
def test_a_wrong_error_message_ends_the_session_without_a_reason(payload: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        ErrorMessage.decode_payload(payload)
    assert not isinstance(caught.value, BadDataError)


@pytest.mark.parametrize("kind", [RemoteLog, ErrorMessage])
@pytest.mark.parametrize("size", [0, 7])
def test_a_packet_without_a_whole_header_ends_the_session_without_a_reason(
    kind: type[RemoteLog | ErrorMessage], size: int
) -> None:
    with pytest.raises(ProtocolError, match=f"payload size {size}") as caught:
        kind.decode_payload(bytes(size))
    assert not isinstance(caught.value, BadDataError)


def test_the_truncation_flag_is_read_and_other_flags_are_ignored() -> None:
    assert RemoteLog.decode_payload(log(flags=0x0001)).truncated
    assert RemoteLog.decode_payload(log(flags=0xFFFF)).truncated
    assert not RemoteLog.decode_payload(log(flags=0xFFFE)).truncated


@pytest.mark.parametrize(
    ("text", "sent", "truncated"),
    [
        ("x" * 511, "x" * 511, False),
        ("x" * 512, "x" * 511, True),
        ("ä" * 256, "ä" * 255, True),
        ("x" * 508 + "😀", "x" * 508, True),
        ("a\0b", "ab", False),
    ],
)
def test_longer_log_lines_are_cut_between_characters_and_marked(text: str, sent: str, truncated: bool) -> None:
    message = RemoteLog(2, 1, text)
    assert RemoteLog.decode_payload(message.encode_payload()) == RemoteLog(2, 1, sent, truncated)


def test_longer_error_texts_are_cut() -> None:
    payload = ErrorMessage(44, "ä" * 300).encode_payload()
    assert ErrorMessage.decode_payload(payload) == ErrorMessage(44, "ä" * 255)


def test_invalid_utf8_becomes_replacement_characters() -> None:
    assert RemoteLog.decode_payload(log(b"\xff")).text == "\ufffd"
