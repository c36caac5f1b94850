"""The client's side of WebSockets (RFC 6455)."""

from __future__ import annotations

from collections.abc import Sequence

from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from teleglyph.errors import ConnectError
from teleglyph.net.websocket import WebSocketSession, quiet
from teleglyph.wire.acip import Event


class Upgraded(Event):
    """The server accepted the WebSocket; its sub-protocol is known."""


class UpgradeError(ConnectError):
    """The server did not accept the WebSocket.  ``__cause__`` is the reason, from the ``websockets`` package."""


class ClientWebSocket(WebSocketSession):
    """The client's side of one WebSocket.  Its first bytes are the request, its first event is :class:`Upgraded`.

    Args:
        url: ``ws://`` or ``wss://``; nothing here connects to it.
        subprotocols: to offer, preferred first.
        max_message: maximum bytes of one message.
    """

    def __init__(self, url: str, *, subprotocols: Sequence[str], max_message: int) -> None:
        self._client = ClientProtocol(
            parse_uri(url),
            subprotocols=[Subprotocol(name) for name in subprotocols],
            max_size=max_message,
            logger=quiet,
        )
        super().__init__(self._client)
        self._is_upgraded = False
        self._client.send_request(self._client.connect())

    def receive_end(self) -> None:
        """Record that the server closed the connection; for responses that end with it."""
        self._client.receive_eof()

    def next_event(self) -> Event | None:
        """The next event, or None while more bytes are needed.

        Raises:
            UpgradeError: the server did not accept the WebSocket.
            ConnectionLostError: it closed the WebSocket.
            ProtocolError: it violated the protocol.
        """
        if self._is_upgraded:
            return super().next_event()
        if (error := self._client.handshake_exc) is not None:
            raise UpgradeError("The server did not accept the WebSocket.") from error
        if self._client.state is State.CONNECTING:
            return None
        self._is_upgraded = True
        return Upgraded()

    def _describe_close(self) -> str:
        close = self._client.close_rcvd
        reason = f": {close.reason.rstrip('.')}" if close is not None and close.reason else ""
        return f"The server closed the WebSocket{reason}."
