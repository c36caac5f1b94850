"""The call port's front door: calls and HTTP share a port, and the first bytes of a connection decide."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from teleglyph.net import Connection

_log = logging.getLogger(__name__)


class FrontDoor:
    """A peer handler (:class:`teleglyph.net.tcp.PeerHandler`).

    Args:
        let_in: counts a connection of an address; returns a function that uncounts it, or the reason for refusing it.
        admit: decides about a peer that speaks ACIP.
        accepted: takes over a connection that was admitted.
        http: returns a protocol for HTTP, or a response that refuses it.
        max_waiting: the number of peers that may not have sent anything yet.
    """

    def __init__(
        self,
        let_in: Callable[[str], Callable[[], None] | str],
        admit: Callable[[str], Connection | bytes | None],
        accepted: Callable[[Connection], None],
        http: Callable[[], asyncio.Protocol | bytes],
        max_waiting: int,
    ) -> None:
        self.waiting = 0
        """Peers that have not sent anything yet."""
        self.admit = admit
        self.accepted = accepted
        self._let_in = let_in
        self._http = http
        self._max_waiting = max_waiting

    def peer_connected(self, peer: str) -> Callable[[], None] | None:
        """Let a peer send its first bytes; returns a function to call when it has or is gone, or None to refuse it."""
        if self.waiting >= self._max_waiting:
            return None
        uncount = self._let_in(peer)
        if isinstance(uncount, str):
            return None
        self.waiting += 1

        def leave() -> None:
            self.waiting -= 1
            uncount()

        return leave

    def http_protocol(self, peer: str) -> asyncio.Protocol | bytes:
        """The protocol for a peer that speaks HTTP, or the response that refuses it."""
        _log.debug("%s speaks HTTP", peer)
        return self._http()

    def peer_timed_out(self, peer: str) -> None:
        """Log a peer that sent nothing."""
        _log.debug("%s did not finish the handshake: it sent nothing in time", peer)

    def tls_refused(self, peer: str) -> None:
        """Log a peer that speaks TLS, which this port does not."""
        _log.debug("%s was closed: it speaks TLS, which only the HTTP port supports", peer)


def refusal(status: str, text: str) -> bytes:
    """A complete HTTP response that closes its connection."""
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return (head + "Connection: close\r\n\r\n").encode() + body
