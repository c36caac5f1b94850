"""A WebSocket server that imitates ascii-chat's C program: the server speaks first, with one packet per message.

The rest of its behaviour is that of :mod:`c_server`.
"""

from __future__ import annotations

import os
import struct
import threading
from types import TracebackType
from typing import Self

import google_crc32c
import nacl.bindings
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

import acip_peer as acip
from c_server import _FRAME_SECONDS, _PARAMETERS, Draw


class CWebSocketServer:
    """Listens on ``port`` of 127.0.0.1 until it is closed; a context manager.

    Attributes:
        paths: of the connections so far.
        received: the types of packets in order.
    """

    def __init__(self, draw: Draw) -> None:
        self.paths: list[str] = []
        self.received: list[int] = []
        self._draw = draw
        self._server: Server = serve(
            self._serve, "127.0.0.1", 0, subprotocols=[Subprotocol("acip")], compression=None, max_size=4 << 20
        )
        self.port: int = self._server.socket.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()

    def _serve(self, websocket: ServerConnection) -> None:
        assert websocket.request is not None
        assert websocket.subprotocol == "acip"
        self.paths.append(websocket.request.path)
        try:
            _Conversation(websocket, self._draw, self.received).run()
        except ConnectionClosed:
            return


class _Conversation:
    def __init__(self, websocket: ServerConnection, draw: Draw, received: list[int]) -> None:
        self._websocket = websocket
        self._draw = draw
        self._received = received
        self._key = b""
        self._session, self._counter = os.urandom(16), 0

    def run(self) -> None:
        state = acip.packet(acip.SERVER_STATE, struct.pack(">II24x", 1, 0))
        self._websocket.send(state)
        self._websocket.send(acip.packet(acip.CRYPTO_PARAMETERS, _PARAMETERS))
        secret = os.urandom(32)
        self._websocket.send(acip.packet(acip.KEY_EXCHANGE_INIT, nacl.bindings.crypto_scalarmult_base(secret)))
        self._websocket.send(state)
        kind, payload = self._read()
        assert (kind, len(payload)) == (acip.KEY_EXCHANGE_RESP, 32)
        self._key = nacl.bindings.crypto_scalarmult(secret, payload)
        self._websocket.send(acip.packet(acip.HANDSHAKE_COMPLETE))
        self._send(acip.SERVER_STATE, struct.pack(">II24x", 2, 1))
        columns, rows = self._receive_size()
        text = self._draw(columns, rows)
        head = struct.pack(">IIIIII", columns, rows, len(text), 0, google_crc32c.value(text), 0)
        while True:
            self._send(acip.ASCII_FRAME, head + text)
            try:
                self._receive(_FRAME_SECONDS)
            except TimeoutError:
                continue

    def _receive_size(self) -> tuple[int, int]:
        kind, body = self._receive(10)
        assert (kind, len(body)) == (acip.CLIENT_CAPABILITIES, 168)
        columns, rows = struct.unpack_from(">HH", body, 16)
        return columns, rows

    def _read(self, seconds: float = 10) -> tuple[int, bytes]:
        message = self._websocket.recv(seconds)
        assert isinstance(message, bytes)
        kind, length = acip.HEADER.unpack_from(message)[1:3]
        assert len(message) == acip.HEADER.size + length, "one packet per message"
        return kind, message[acip.HEADER.size :]

    def _receive(self, seconds: float) -> tuple[int, bytes]:
        kind, sealed = self._read(seconds)
        assert kind == acip.ENCRYPTED
        plain = nacl.bindings.crypto_secretbox_open_easy(sealed[24:], sealed[:24], self._key)
        kind, body = acip.HEADER.unpack_from(plain)[1], plain[acip.HEADER.size :]
        self._received.append(kind)
        return kind, body

    def _send(self, kind: int, payload: bytes = b"") -> None:
        self._counter += 1
        nonce = self._session + self._counter.to_bytes(8, "big")
        sealed = nacl.bindings.crypto_secretbox_easy(acip.packet(kind, payload), nonce, self._key)
        self._websocket.send(acip.packet(acip.ENCRYPTED, nonce + sealed))
