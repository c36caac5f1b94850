"""A TLS listener that counts peers and limits their time from their first packet on."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Coroutine

_BACKLOG = 128
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE = 1.0
"""Seconds until the next attempt to accept after the system has run out of a resource."""


class TlsListener:
    """A listening socket.  asyncio's own servers report a peer only after its TLS handshake.

    Args:
        context: with the certificate.
        peer_connected: called with the address of a new peer; returns a callback for when it is gone, or the reason
            to refuse it.
        successor: makes the protocol for a peer after the handshake; called with the callback for when it is gone.
        seconds: deadline for a handshake.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        peer_connected: Callable[[str], Callable[[], None] | str],
        successor: Callable[[Callable[[], None]], asyncio.Protocol],
        seconds: float,
    ) -> None:
        self._context = context
        self._peer_connected = peer_connected
        self._successor = successor
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, host: str, port: int) -> int:
        """Listen on an address (an IPv4 or IPv6 literal); returns the port.

        Raises:
            OSError: the address is in use, not ours, or the port is reserved.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._socket.setblocking(False)
        self._spawn(self._accept(self._socket), "tls listener")
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Stop listening and cancel running handshakes; connections stay open."""
        for task in self._tasks:
            task.cancel()
        if self._socket is not None:
            self._socket.close()

    def _spawn(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                peer, address = await loop.sock_accept(listening)
            except OSError as error:
                # Other errors concern a single peer that has left meanwhile.
                if error.errno in _EXHAUSTED:
                    await asyncio.sleep(_PAUSE)
                continue
            leave = self._peer_connected(str(address[0]))
            if isinstance(leave, str):
                peer.close()
            else:
                self._spawn(self._shake_hands(peer, leave), "tls handshake")

    async def _shake_hands(self, peer: socket.socket, leave: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._successor(leave), peer, ssl=self._context, ssl_handshake_timeout=self._seconds
            )
        except OSError:  # includes ssl.SSLError
            leave()
        except asyncio.CancelledError:
            leave()
            raise
