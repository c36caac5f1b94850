"""Where a game's server is."""

import pytest

from teleglyph.client.address import websocket_url


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("", "ws://localhost:27226/rooms"),
        ("example.org", "ws://example.org:27226/rooms"),
        ("example.org:99", "ws://example.org:99/rooms"),
        ("[::1]", "ws://[::1]:27226/rooms"),
        ("[::1]:99", "ws://[::1]:99/rooms"),
        ("wss://example.org", "wss://example.org/rooms"),
        ("wss://example.org:99/", "wss://example.org:99/rooms"),
        ("ws://example.org/ws", "ws://example.org/ws"),
    ],
)
def test_a_server_can_be_named_in_several_ways(server: str, url: str) -> None:
    assert websocket_url(server, 27226, "/rooms") == url
