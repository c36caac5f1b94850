"""An independent ACIP client over WebSocket: :mod:`acip_peer` on the client of the ``websockets`` package.

It speaks in the order of ascii-chat's programs: the server begins, and there are no versions and no capabilities of
the cryptography.  :class:`BrowserPeer` does what their browser client does.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from typing import Any, cast

import nacl.signing
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

import acip_peer as acip


class MessageSocket:
    """Looks like a socket, and sends each packet as one message.

    Attributes:
        messages: the received ones.
        websocket: carries them.
    """

    def __init__(self, websocket: ClientConnection, close: Callable[[], None]) -> None:
        self.websocket = websocket
        self.close = close
        self.messages: list[bytes] = []
        self._timeout: float | None = 10.0

    def sendall(self, data: bytes) -> None:
        try:
            self.websocket.send(data)
        except ConnectionClosed as error:
            raise ConnectionResetError from error

    def recv(self, _size: int) -> bytes:
        try:
            message = self.websocket.recv(self._timeout)
        except ConnectionClosed:
            return b""
        assert isinstance(message, bytes), "the server sends only binary messages"
        length = acip.HEADER.unpack_from(message)[2]
        assert len(message) == acip.HEADER.size + length, "a message is exactly one packet"
        self.messages.append(message)
        return message

    def settimeout(self, seconds: float) -> None:
        self._timeout = seconds


class WebSocketPeer(acip.AcipPeer):
    """One connection to a server, in the server's order.

    Args:
        port: of the server.
        path: of the URL.
        subprotocols: to offer.
        origin: of the page; None for a program.
        headers: further headers of the request.
        tls: for ``wss://``; None for ``ws://``.
    """

    def __init__(
        self,
        port: int,
        path: str = "/call",
        *,
        subprotocols: Sequence[str] = ("acip",),
        origin: str | None = None,
        headers: dict[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._path, self._subprotocols, self._origin, self._tls = path, subprotocols, origin, tls
        self._headers = headers or {}
        super().__init__(port)

    def _connect(self, host: str, port: int, timeout: float, source: str) -> socket.socket:
        del source
        options: dict[str, Any] = {"ssl": self._tls, "server_hostname": "localhost"} if self._tls else {}
        opening = connect(
            f"{'wss' if self._tls else 'ws'}://{host}:{port}{self._path}",
            subprotocols=[Subprotocol(name) for name in self._subprotocols] or None,
            origin=cast(Any, self._origin),
            additional_headers=self._headers,
            compression=None,
            proxy=None,
            open_timeout=timeout,
            max_size=5 << 20,
            **options,
        )
        stack = contextlib.ExitStack()
        self.websocket = stack.enter_context(opening)
        return cast(socket.socket, MessageSocket(self.websocket, stack.close))

    def join(self, password: str | None = None, *, video: bool = True, **terminal: object) -> WebSocketPeer:
        super().join(password, video=video, **terminal)
        return self

    def handshake(
        self,
        password: str | None = None,
        key: nacl.signing.SigningKey | None = None,
        server_key: bytes | None = None,
    ) -> None:
        self.exchange_keys(password, key, server_key)

    def close_code(self) -> int | None:
        """The code of the server's close frame, after everything before it was read."""
        with contextlib.suppress(acip.PeerClosedError):
            while True:
                self.receive_outer()
        code: int | None = self.websocket.close_code
        return code


class BrowserPeer(WebSocketPeer):
    """ascii-chat's browser client: its first two messages are in plaintext, and it knows no PING."""

    def introduce(self, columns: int = 80, rows: int = 24) -> None:
        self.send_raw(acip.packet(acip.CLIENT_CAPABILITIES, acip.capabilities(columns, rows)[:168]))
        self.send_raw(acip.packet(acip.STREAM_START, struct.pack(">I", 1)))

    def receive(self) -> tuple[int, bytes]:
        kind, body = super().receive()
        assert kind != acip.PING, "the browser client does not know what to do with it"
        return kind, body

    def wait_for(self, kind: int, accept: Any = lambda _: True, seconds: float = 10.0) -> bytes:
        for got, payload in self.packets(seconds):
            if got == kind and accept(payload):
                return payload
        raise AssertionError(f"no packet of type {kind} within {seconds} s")
