"""The URLs of WebSocket services."""

import pytest

from teleglyph.client.address import websocket_url
from teleglyph.errors import UserError


@pytest.mark.parametrize(
    ("server", "url"),
    [
        (None, "ws://localhost:27224/rooms"),
        ("example.org", "ws://example.org:27224/rooms"),
        ("example.org:99", "ws://example.org:99/rooms"),
        ("[::1]", "ws://[::1]:27224/rooms"),
        ("[::1]:99", "ws://[::1]:99/rooms"),
        ("wss://example.org", "wss://example.org/rooms"),
        ("wss://example.org:99/", "wss://example.org:99/rooms"),
        ("ws://example.org/ws", "ws://example.org/ws"),
        ("WS://Example.org", "ws://Example.org/rooms"),
        ("wS://[::1]:99/x", "ws://[::1]:99/x"),
        ("WSS://example.org:99", "wss://example.org:99/rooms"),
        ("ws://[::1]:99", "ws://[::1]:99/rooms"),
        ("tcp://example.org:99", "ws://example.org:99/rooms"),
        ("::1", "ws://[::1]:27224/rooms"),
        (":99", "ws://localhost:99/rooms"),
    ],
)
def test_a_server_can_be_named_in_several_ways(server: str | None, url: str) -> None:
    assert websocket_url(server, "/rooms") == url


@pytest.mark.parametrize(
    ("server", "complaint"),
    [
        ("ws://", "no host"),
        ("wss:///path", "no host"),
        ("ws://host:abc", "from 1 to 65535"),
        ("ws://host:70000/rooms", "from 1 to 65535"),
        ("wss://[::1", r"\[ADDRESS\]:PORT"),
        ("ws://user@host", "is not an address"),
        ("ws://host/a b", "URLs do not allow"),
    ],
)
def test_a_url_with_a_typo_is_refused(server: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        websocket_url(server, "/rooms")
