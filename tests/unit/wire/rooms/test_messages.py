"""The room relay's codec against the byte examples of its description."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.errors import ProtocolError
from teleglyph.wire.rooms.messages import (
    JoinReply,
    JoinRequest,
    decode_error,
    encode_error,
    kick,
    kicked_player,
    player_came,
    player_left,
    rpc_from,
)

EXAMPLES = [
    (JoinRequest("chess", "lobby-1", 300, create=True), "05 63 68 65 73 73 07 6c 6f 62 62 79 2d 31 ac 02 01 00"),
    (JoinRequest("chess", "lobby-1"), "05 63 68 65 73 73 07 6c 6f 62 62 79 2d 31 00 00 00"),
    (
        JoinRequest("chess", "lobby-1", token=0x0123456789ABCDEF),
        "05 63 68 65 73 73 07 6c 6f 62 62 79 2d 31 00 00 01 ef 9b af cd f8 ac d1 91 01",
    ),
    (
        JoinRequest("chess", "salón", token=2**64 - 1),
        "05 63 68 65 73 73 06 73 61 6c c3 b3 6e 00 00 01 ff ff ff ff ff ff ff ff ff 01",
    ),
]
NUMBERS = {127: "7f", 128: "80 01", 300: "ac 02", 16383: "ff 7f", 16384: "80 80 01", 65535: "ff ff 03"}


@pytest.mark.parametrize(("request_", "data"), EXAMPLES)
def test_requests_have_their_known_bytes(request_: JoinRequest, data: str) -> None:
    assert request_.encode() == bytes.fromhex(data)
    assert JoinRequest.decode(bytes.fromhex(data)) == request_
    assert JoinRequest.decode(bytes.fromhex(data) + b"more") == request_, "bytes after it are ignored"


@pytest.mark.parametrize(("value", "data"), NUMBERS.items())
def test_numbers_have_their_known_bytes(value: int, data: str) -> None:
    expected = bytes.fromhex("00 00" + data + "00 00")
    assert JoinRequest("", "", value).encode() == expected
    assert JoinRequest.decode(expected).variation == value


@pytest.mark.parametrize(
    "data",
    [
        "",
        "05 63 68",
        "00 00 00 00",
        "00 00 00 02 00",
        "00 00 00 00 02",
        "01 ff 00 00 00 00",
        "00 00 ff ff 04 00 00",
        "00 00 80 80 80 00 00 00",
        "00 00 00 00 01 ff ff ff ff ff ff ff ff ff 02",
        "ff ff ff ff ff ff ff ff ff 01 00",
        "00 00 00 00 01 80 80",
    ],
    ids=[
        *("nothing", "cut", "four fields", "flag", "option", "not UTF-8", "too large"),
        *("too long", "65 bits", "huge name", "cut number"),
    ],
)
def test_invalid_requests_are_refused(data: str) -> None:
    with pytest.raises(ProtocolError):
        JoinRequest.decode(bytes.fromhex(data))


def test_longer_forms_of_numbers_are_accepted() -> None:
    assert JoinRequest.decode(bytes.fromhex("00 00 80 00 00 00")).variation == 0


@given(
    st.text(max_size=200),
    st.text(max_size=200),
    st.integers(0, 65535),
    st.booleans(),
    st.none() | st.integers(0, 2**64 - 1),
)
def test_every_request_survives_encoding(game: str, room: str, variation: int, create: bool, token: int | None) -> None:
    request = JoinRequest(game, room, variation, create, token)
    data = request.encode()
    assert JoinRequest.decode(data) == request
    for end in range(len(data)):
        with pytest.raises(ProtocolError):
            JoinRequest.decode(data[:end])


def test_replies_have_their_known_bytes() -> None:
    for reply, data in (
        (JoinReply(0, 300, 0x0123456789ABCDEF), "06 00 00 01 2c 01 23 45 67 89 ab cd ef"),
        (JoinReply(7, 300, 0xFEDCBA9876543210), "06 00 07 01 2c fe dc ba 98 76 54 32 10"),
    ):
        assert reply.encode() == bytes.fromhex(data)
        assert JoinReply.decode(bytes.fromhex(data)) == reply
    for bad in ("", "06", "05 00 00 01 2c 01 23 45 67 89 ab cd ef", "06 00 00 01 2c 01 23 45 67 89 ab cd ef 00"):
        with pytest.raises(ProtocolError):
            JoinReply.decode(bytes.fromhex(bad))


def test_other_messages_have_their_known_bytes() -> None:
    expected = "05 49 6e 76 61 6c 69 64 20 72 65 63 6f 6e 6e 65 63 74 20 74 6f 6b 65 6e 2e"
    assert encode_error("Invalid reconnect token.") == bytes.fromhex(expected)
    assert decode_error(bytes.fromhex(expected)) == "Invalid reconnect token."
    assert decode_error(b"\x02abc") is None
    assert rpc_from(7, bytes.fromhex("02 aa bb")) == bytes.fromhex("02 00 07 aa bb")
    assert player_came(7) == bytes.fromhex("00 00 07")
    assert player_left(7) == kick(7) == bytes.fromhex("01 00 07")
    assert kicked_player(bytes.fromhex("01 00 07 ff")) == 7
    assert kicked_player(bytes.fromhex("01 00")) is None
