"""The front door: every peer comes in here, and its first bytes decide who serves it."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from teleglyph.net.first_bytes import FirstProtocol
from teleglyph.net.forwarding import Client, Network, is_trusted
from teleglyph.net.listener import Entry, TlsOffer
from teleglyph.server.address_gate import AddressGate
from teleglyph.server.tls_certificate import ServerTls
from teleglyph.wire.link2 import ALPN, Channel

_log = logging.getLogger(__name__)

_MAX_REFUSED = 16
"""Peers over their address's limit that are let in to be told so, if they speak HTTP."""
_TLS_COST = 0.002
"""Estimated processor time of a TLS handshake, which cannot be measured inside the event loop."""
_MAX_PAUSE = 5.0
"""The longest time in seconds that a TLS handshake is delayed because the peer's address is over its share."""


class CallDoor(Protocol):
    """Serves peers that want to join a call.

    Both return a protocol, or bytes to send before closing.  The protocol calls ``leave`` when the connection has
    ended.
    """

    def plain(self, peer: str, leave: Callable[[], None]) -> asyncio.Protocol | bytes:
        """For a peer that speaks ACIP, or an unknown protocol."""

    def link(self, peer: str, channel: Channel, leave: Callable[[], None]) -> asyncio.Protocol | bytes:
        """For a peer that speaks link 2."""


HttpDoor = Callable[[Client, bool, Callable[[], None]], "asyncio.Protocol | bytes"]
"""For a peer that speaks HTTP, with or without TLS: the protocol that serves it, or a response that refuses it."""


class Place:
    """A peer's place on the server (a :class:`teleglyph.net.listener.Entry`).

    Args:
        wait: counts those who wait; called with 1 now, with -1 when the peer no longer waits.
        uncount: called when the connection has ended.
        refusal: why the peer is refused; empty if it is not.
    """

    def __init__(self, wait: Callable[[int], None], uncount: Callable[[], None], refusal: str = "") -> None:
        self._refusal = refusal
        self._wait = wait
        self._uncount = uncount
        self._is_waiting = True
        wait(1)

    @property
    def refusal(self) -> str:
        """Why the peer is refused; empty if it is not."""
        return self._refusal

    def pass_on(self) -> None:
        """The peer no longer waits."""
        if self._is_waiting:
            self._is_waiting = False
            self._wait(-1)

    def leave(self) -> None:
        """The connection has ended."""
        self.pass_on()
        self._uncount()


class FrontDoor:
    """Decides about the peers of one port (a :class:`teleglyph.net.listener.PeerHandler`).

    Args:
        gate: counts the connections of each address.
        trusted_proxies: networks of proxies.
        tls: the server's certificate.
        http: serves HTTP.
        calls: serves calls; None on a port for HTTP only.
        max_waiting: the number of peers that may not have been passed on yet.
    """

    def __init__(
        self,
        gate: AddressGate,
        trusted_proxies: Sequence[Network],
        tls: ServerTls,
        http: HttpDoor,
        calls: CallDoor | None,
        max_waiting: int,
    ) -> None:
        self.waiting = 0
        """Peers that were not passed on yet."""
        self._refused = 0
        self._gate = gate
        self._trusted = trusted_proxies
        self._tls = tls
        self._http = http
        self._calls = calls
        self._max_waiting = max_waiting

    def is_proxy(self, peer: str) -> bool:
        """Whether an address is that of a trusted proxy."""
        return bool(self._trusted) and is_trusted(peer, self._trusted)

    def let_in(self, peer: str, *, is_proxy: bool) -> Place | None:
        """Count a peer; None refuses it."""
        if self.waiting >= self._max_waiting:
            return None
        uncount = self._gate.let_in(peer, is_proxy=is_proxy)
        if not isinstance(uncount, str):
            return Place(self._count_waiting, uncount)
        if self._refused >= _MAX_REFUSED:
            return None
        return Place(self._count_refused, lambda: None, uncount)

    def _count_waiting(self, change: int) -> None:
        self.waiting += change

    def _count_refused(self, change: int) -> None:
        self._refused += change

    def plain(self, client: Client, kind: FirstProtocol, entry: Entry) -> asyncio.Protocol | bytes:
        """The protocol for a peer without TLS, or bytes to send before closing."""
        # On a port without calls, the HTTP server explains what is wrong with other bytes.
        if kind is FirstProtocol.HTTP or (self._calls is None and kind is not FirstProtocol.PROXY):
            if entry.refusal:
                return refusal("429 Too Many Requests", entry.refusal)
            return self._http(client, False, entry.leave)
        if kind is FirstProtocol.PROXY:
            text = f"{client.address} was refused: it sent a PROXY header, but is not a --trusted-proxy"
            self._gate.refusals.log_refusal("PROXY headers", text, time.monotonic())
            return b""
        if entry.refusal or self._calls is None:
            return b""
        return self._calls.plain(client.address, entry.leave)

    def tls(self, client: Client, entry: Entry) -> TlsOffer | None:
        """The certificate and the protocols for a peer that begins a TLS handshake; None to refuse it."""
        if entry.refusal:
            return None
        pause = self._gate.charge(client.address, _TLS_COST)
        if pause > _MAX_PAUSE:
            self.rejected(client.address, f"its address would have to wait {pause:.0f} s for a TLS handshake")
            return None
        setup = self._tls.setup
        context = setup.pages if self._calls is None else setup.calls
        return _Offer(context, pause, setup.channel, self._http, self._calls)

    def rejected(self, peer: str, reason: str) -> None:
        """Log that a peer was closed before anybody served it."""
        _log.debug("%s was closed: %s", peer, reason)


@dataclass(frozen=True, slots=True)
class _Offer:
    context: ssl.SSLContext
    pause: float
    channel: Channel
    http: HttpDoor
    calls: CallDoor | None

    def choose(self, client: Client, tls: ssl.SSLObject, entry: Entry) -> asyncio.Protocol | bytes:
        if tls.selected_alpn_protocol() != ALPN or self.calls is None:
            return self.http(client, True, entry.leave)
        if tls.version() != "TLSv1.3":
            # An older handshake does not bind the certificate to the connection.
            return b""
        return self.calls.link(client.address, self.channel, entry.leave)


def refusal(status: str, text: str) -> bytes:
    """A complete HTTP response that closes its connection."""
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return (head + "Connection: close\r\n\r\n").encode() + body
