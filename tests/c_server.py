"""A server that imitates the observed behaviour of ascii-chat's C program, written from its description alone.

It shares no code with the package.  It knows neither screens nor deltas: it sends text frames, with REP and with
more rows than requested, about 57 times per second whether or not anything changed, and it may close connections
before its first byte.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import google_crc32c
import nacl.bindings

import acip_peer as acip

Draw = Callable[[int, int], bytes]
"""Makes the text of a frame for so many columns and rows."""

_FRAME_SECONDS = 1 / 57
_PARAMETERS = struct.pack(">BBBBHHHHBBB3x", 1, 0, 1, 0, 32, 0, 0, 32, 24, 16, 32)


class CServer:
    """Listens on ``port`` of 127.0.0.1 until it is closed; a context manager.

    Attributes:
        draw: draws the frames from now on; None sends no frames.
        resets: how many of the next connections are reset before the first byte; -1 for all.
        accepted: connections so far, including those that were reset.
        joined: completed handshakes.
        sizes: the columns and rows that clients requested.
    """

    def __init__(self, draw: Draw | None, resets: int = 0) -> None:
        self.draw = draw
        self.resets = resets
        self.accepted = self.joined = 0
        self.sizes: list[tuple[int, int]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def drop(self) -> None:
        """End all connections."""
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self.resets:
                self.resets -= self.resets > 0
                # Without lingering, closing is a reset.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                continue
            self._clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, acip.PeerClosedError), client:
            _Connection(self, client).run()


class _Connection:
    def __init__(self, server: CServer, client: socket.socket) -> None:
        self._server = server
        self._socket = client
        self._stream = client.makefile("rb")
        self._key = b""
        self._session = os.urandom(16)
        self._counter = 0
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def run(self) -> None:
        self._shake_hands()
        self._server.joined += 1
        threading.Thread(target=self._send_frames, daemon=True).start()
        try:
            while True:
                self._receive()
        finally:
            self._is_over.set()

    def _read(self) -> tuple[int, bytes]:
        header = self._stream.read(acip.HEADER.size)
        if len(header) < acip.HEADER.size:
            raise acip.PeerClosedError
        magic, kind, length, crc, _ = acip.HEADER.unpack(header)
        if magic != acip.MAGIC:
            # It closes connections that do not begin with a packet; our client tries TLS first.
            raise acip.PeerClosedError
        payload = self._stream.read(length)
        assert crc == (google_crc32c.value(payload) if payload else 0)
        return kind, payload

    def _expect(self, kind: int) -> bytes:
        got, payload = self._read()
        assert got == kind, got
        return payload

    def _shake_hands(self) -> None:
        self._expect(acip.PROTOCOL_VERSION)
        # Features beyond the protocol are not acknowledged.
        self._socket.sendall(acip.packet(acip.PROTOCOL_VERSION, struct.pack(">HHBBBH7x", 1, 0, 1, 0, 0, 0)))
        self._expect(acip.CRYPTO_CAPABILITIES)
        self._socket.sendall(acip.packet(acip.CRYPTO_PARAMETERS, _PARAMETERS))
        secret = os.urandom(32)
        public = nacl.bindings.crypto_scalarmult_base(secret)
        self._socket.sendall(acip.packet(acip.KEY_EXCHANGE_INIT, public))
        self._key = nacl.bindings.crypto_scalarmult(secret, self._expect(acip.KEY_EXCHANGE_RESP)[:32])
        self._socket.sendall(acip.packet(acip.HANDSHAKE_COMPLETE))

    def _receive(self) -> None:
        sealed = self._expect(acip.ENCRYPTED)
        plain = nacl.bindings.crypto_secretbox_open_easy(sealed[24:], sealed[:24], self._key)
        kind, body = acip.HEADER.unpack_from(plain)[1], plain[acip.HEADER.size :]
        if kind == acip.CLIENT_CAPABILITIES:
            assert len(body) == len(acip.capabilities())
            self._server.sizes.append(struct.unpack_from(">HH", body, 16))
        elif kind == acip.PING:
            self._send(acip.PONG)
        else:
            # It closes connections that send an unknown type.
            known = (acip.CLIENT_JOIN, acip.CLIENT_LEAVE, acip.STREAM_START, acip.STREAM_STOP, acip.PONG)
            assert kind in (*known, acip.IMAGE_FRAME, acip.IMAGE_FRAME_H265, acip.AUDIO_OPUS_BATCH), kind

    def _send(self, kind: int, payload: bytes = b"") -> None:
        with self._lock:
            self._counter += 1
            nonce = self._session + self._counter.to_bytes(8, "big")
            sealed = nacl.bindings.crypto_secretbox_easy(acip.packet(kind, payload), nonce, self._key)
            self._socket.sendall(acip.packet(acip.ENCRYPTED, nonce + sealed))

    def _send_frames(self) -> None:
        with contextlib.suppress(OSError):
            self._send(acip.SERVER_STATE, struct.pack(">II24x", 2, 1))
            self._send(acip.CLEAR_CONSOLE)
            while not self._is_over.wait(_FRAME_SECONDS):
                draw = self._server.draw
                if draw is not None and self._server.sizes:
                    columns, rows = self._server.sizes[-1]
                    text = draw(columns, rows)
                    head = struct.pack(">IIIIII", columns, rows, len(text), 0, google_crc32c.value(text), 0)
                    self._send(acip.ASCII_FRAME, head + text)


def run_of(glyph: str, count: int) -> str:
    """A repeated glyph, with REP if that is shorter."""
    return f"{glyph}\x1b[{count - 1}b" if count - 1 > len(str(count - 1)) + 3 else glyph * count


def half_blocks(columns: int, rows: int) -> bytes:
    """A frame of half-blocks: padding for twice the rows, then one row less than requested.

    Each row begins with its number, which shows what is on the screen.
    """
    lines = []
    for row in range(rows - 1):
        left, right = (columns - 2) // 2, columns - 2 - (columns - 2) // 2
        lines.append(
            f"{row:02d}\x1b[38;2;200;{row};1m\x1b[48;2;1;2;3m{run_of('▀', left)}"
            f"\x1b[38;2;9;9;9m{run_of('▀', right)}\x1b[0m"
        )
    return ("\n" * ((rows + 1) // 2) + "\n".join(lines)).encode()


def shades(columns: int, rows: int) -> bytes:
    """A frame without colour: all requested rows, with runs, and with one that a terminal would have to cut."""
    lines = [f"{row:02d}{run_of('░', columns - 2)}" for row in range(rows - 1)]
    return "\n".join([*lines, f"{rows - 1:02d}{run_of('█', columns + 40)}"]).encode()


def hostile(_columns: int, _rows: int) -> bytes:
    """A frame that would set the window's title and clear the screen."""
    return b"\x1b]0;gotcha\x07\x1b[2Jgotcha"
