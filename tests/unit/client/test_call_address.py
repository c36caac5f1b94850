"""Addresses of calls: those over TCP, and URLs of WebSockets."""

from __future__ import annotations

import pytest

from teleglyph.client.address import Address, CallAddress, WebSocketAddress, parse_call_address
from teleglyph.errors import UserError


@pytest.mark.parametrize(
    ("text", "port", "expected", "url"),
    [
        (None, None, Address("localhost", 27224), "localhost:27224"),
        ("host:5", None, Address("host", 5), "host:5"),
        ("ws://host", None, WebSocketAddress(False, "host", 80, "/call"), "ws://host/call"),
        ("wss://host/", None, WebSocketAddress(True, "host", 443, "/call"), "wss://host/call"),
        ("WSS://host:80", None, WebSocketAddress(True, "host", 80, "/call"), "wss://host:80/call"),
        ("ws://[::1]", None, WebSocketAddress(False, "::1", 80, "/call"), "ws://[::1]/call"),
        ("ws://[::1]:9/x?y=z", None, WebSocketAddress(False, "::1", 9, "/x?y=z"), "ws://[::1]:9/x?y=z"),
        ("ws://host/call/tea", None, WebSocketAddress(False, "host", 80, "/call/tea"), "ws://host/call/tea"),
        ("ws://host", 99, WebSocketAddress(False, "host", 99, "/call"), "ws://host:99/call"),
        ("ws://host:99", 99, WebSocketAddress(False, "host", 99, "/call"), "ws://host:99/call"),
    ],
)
def test_addresses(text: str | None, port: int | None, expected: CallAddress, url: str) -> None:
    address = parse_call_address(text, port)
    assert address == expected
    assert type(address) is type(expected)
    assert str(address) == url
    assert parse_call_address(url) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ws://", "no host"),
        ("wss://host:0", "from 1 to 65535"),
        ("ws://host:6", "different ports"),
        ("ws://ann@host", "is not an address"),
        ("ws://host/a b", "URLs do not allow"),
        ("ws://host/a#b", "remove the #"),
        ("http://host", "http:// is not supported"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_call_address(text, 5)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("host:27224", "host"),
        ("wss://host/call", "wss://host"),
        ("ws://host:99", "ws://host:99"),
        ("ws://host/call/tea", "ws://host/call/tea"),
        ("ws://host/x/call", "ws://host/x/call"),
    ],
)
def test_invitations_are_short(text: str, shown: str) -> None:
    assert parse_call_address(text).as_typed == shown


@pytest.mark.parametrize(
    ("text", "room", "expected"),
    [
        ("host", "Den", Address("host", 27224, "den")),
        ("ws://host", "Den", WebSocketAddress(False, "host", 80, "/call/den")),
        ("ws://host/call/", "den", WebSocketAddress(False, "host", 80, "/call/den")),
        ("ws://host/call/den", "den", WebSocketAddress(False, "host", 80, "/call/den")),
        ("ws://host/call/den", None, WebSocketAddress(False, "host", 80, "/call/den")),
        ("ws://host", "lobby", WebSocketAddress(False, "host", 80, "/call")),
    ],
)
def test_rooms(text: str, room: str | None, expected: CallAddress) -> None:
    address = parse_call_address(text, room=room)
    assert address == expected
    assert address.room == ("" if room == "lobby" else "den")


@pytest.mark.parametrize("text", ["ws://host/elsewhere", "ws://host/call/tea"])
def test_a_path_and_another_room_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="cannot be combined with --room"):
        parse_call_address(text, room="den")
