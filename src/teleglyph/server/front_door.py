"""The call port's front door: calls and HTTP arrive there, and the first bytes decide."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from teleglyph.net import Connection

_log = logging.getLogger(__name__)


class FrontDoor:
    """A peer handler (:class:`teleglyph.net.tcp.PeerHandler`).

    Args:
        let_in: counts a connection of an address: what to call when it is gone, or why it may not be there.
        admit: decides about a peer that speaks ACIP.
        accepted: takes a connection that was admitted.
        http: gives who answers HTTP on this port; or bytes that say why nobody does.
        max_waiting: peers that may not have said yet what they want.
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
        """Peers that have not said yet what they want."""
        self.admit = admit
        self.accepted = accepted
        self._let_in = let_in
        self._http = http
        self._max_waiting = max_waiting

    def peer_connected(self, peer: str) -> Callable[[], None] | None:
        """Whether a peer may say what it wants; what to call when it has, or is gone."""
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
        """Who answers a peer that speaks HTTP."""
        _log.debug("%s speaks HTTP", peer)
        return self._http()

    def peer_timed_out(self, peer: str) -> None:
        """A peer did not say what it wants."""
        _log.debug("%s did not finish the handshake: it sent nothing in time", peer)

    def tls_refused(self, peer: str) -> None:
        """A peer wants TLS, which this port does not have."""
        _log.debug("%s was closed: it speaks TLS, which the HTTP port has if there is a certificate", peer)


def refusal(status: str, text: str) -> bytes:
    """A whole HTTP response that ends its connection."""
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return (head + "Connection: close\r\n\r\n").encode() + body
