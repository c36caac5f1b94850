"""Signals, joins and leaves, streams, and the server's state."""

from __future__ import annotations

import struct

import pytest

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip import (
    ClearConsole,
    ClientJoin,
    ClientLeave,
    Ping,
    Pong,
    ServerState,
    StreamStart,
    StreamStop,
)


def join(name: bytes = b"bob", flags: int = 1) -> bytes:
    return struct.pack(">I32sI", 0, name, flags)


@pytest.mark.parametrize("kind", [Ping, Pong, ClearConsole])
@pytest.mark.parametrize("payload", [b"", b"extra"])
def test_signals_are_empty_and_ignore_extra_bytes(kind: type[Ping | Pong | ClearConsole], payload: bytes) -> None:
    assert kind.decode_payload(payload) == kind()
    assert kind().encode_payload() == b""


@pytest.mark.parametrize("flags", range(1, 16))
def test_a_join_accepts_all_known_flags(flags: int) -> None:
    assert ClientJoin.decode_payload(join(flags=flags)) == ClientJoin("bob", flags)


def test_the_client_id_of_a_join_is_ignored() -> None:
    assert ClientJoin.decode_payload(b"\xff" * 4 + join()[4:]) == ClientJoin("bob", 1)


def test_a_display_name_may_fill_its_field_and_is_cut_when_longer() -> None:
    assert ClientJoin.decode_payload(join(b"x" * 32)).display_name == "x" * 32
    assert ClientJoin.decode_payload(ClientJoin("ä" * 17, 1).encode_payload()).display_name == "ä" * 16


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (join()[:-1], "CLIENT_JOIN payload size 39 (expected 40)"),
        (join() + b"\0", "CLIENT_JOIN payload size 41 (expected 40)"),
        (join(b""), "CLIENT_JOIN display_name cannot be empty"),
        (join(b"\0bob"), "CLIENT_JOIN display_name cannot be empty"),
        (join(flags=0), "CLIENT_JOIN no valid capability flags set (0x0)"),
        (join(flags=0x11), "CLIENT_JOIN unknown flags set (0x11)"),
        (join(flags=0x80000000), "CLIENT_JOIN unknown flags set (0x80000000)"),
    ],
)
def test_a_wrong_join_is_refused_with_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(BadDataError) as caught:
        ClientJoin.decode_payload(payload)
    assert str(caught.value) == reason


@pytest.mark.parametrize("text", ["", "bye", "x" * 256])
def test_leaving_accepts_up_to_256_bytes_of_text(text: str) -> None:
    assert ClientLeave.decode_payload(text.encode()) == ClientLeave(text)


def test_leaving_with_more_text_is_refused_and_never_sent() -> None:
    with pytest.raises(ProtocolError, match="payload size 257"):
        ClientLeave.decode_payload(bytes(257))
    assert len(ClientLeave("x" * 300).encode_payload()) == 256


@pytest.mark.parametrize("kind", [StreamStart, StreamStop])
@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_streams_are_any_combination_of_video_and_audio(kind: type[StreamStart | StreamStop], kinds: int) -> None:
    assert kind.decode_payload(struct.pack(">I", kinds)) == kind(kinds)


@pytest.mark.parametrize("kind", [StreamStart, StreamStop])
@pytest.mark.parametrize(
    ("flags", "reason"),
    [(0, "no valid capability flags set (0x0)"), (4, "unknown flags set (0x4)"), (7, "unknown flags set (0x7)")],
)
def test_wrong_stream_flags_are_refused_with_the_reason(
    kind: type[StreamStart | StreamStop], flags: int, reason: str
) -> None:
    with pytest.raises(BadDataError) as caught:
        kind.decode_payload(struct.pack(">I", flags))
    assert str(caught.value) == f"{kind.type.name} {reason}"


@pytest.mark.parametrize("kind", [StreamStart, StreamStop])
@pytest.mark.parametrize("size", [0, 3, 5])
def test_stream_packets_of_a_wrong_size_end_the_session_without_a_reason(
    kind: type[StreamStart | StreamStop], size: int
) -> None:
    with pytest.raises(ProtocolError) as caught:
        kind.decode_payload(bytes(size))
    assert not isinstance(caught.value, BadDataError)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_the_servers_state_has_exactly_32_bytes(size: int) -> None:
    with pytest.raises(ProtocolError, match=f"SERVER_STATE payload size {size}"):
        ServerState.decode_payload(bytes(size))
