"""A small HTTP proxy for tests, which only knows CONNECT."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class ConnectProxy:
    """Listens on ``port`` of 127.0.0.1 until it is closed; a context manager.

    Args:
        credentials: ``USER:PASSWORD`` that it requires; empty for none.
        status: for every request, in place of a tunnel; 0 opens tunnels.

    Attributes:
        targets: of the tunnels so far.
    """

    def __init__(self, credentials: str = "", status: int = 0) -> None:
        self.targets: list[str] = []
        self._credentials = credentials
        self._status = status
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
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
        """End all tunnels."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1000)
            lines = head.decode().split("\r\n")
            method, target, _version = lines[0].split(" ")
            assert method == "CONNECT"
            secret = base64.b64encode(self._credentials.encode()).decode()
            if self._credentials and f"Proxy-Authorization: Basic {secret}" not in lines:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
                return
            if self._status:
                client.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % self._status)
                return
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port)), 10) as server:
                self._sockets.append(server)
                self.targets.append(target)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                threading.Thread(target=_carry, args=(server, client), daemon=True).start()
                _carry(client, server)


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
