"""The discovery service: answers every message of every connection."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from teleglyph.discovery.names import random_name
from teleglyph.discovery.service.clock import Clock
from teleglyph.discovery.service.index import SessionIndex
from teleglyph.discovery.service.limits import RequestKind
from teleglyph.discovery.service.live_session import ServicePeer
from teleglyph.discovery.service.membership import Membership
from teleglyph.discovery.service.nat_probe import NatProber
from teleglyph.discovery.service.refusal import Reason, RefusedError
from teleglyph.discovery.service.registration import Registration
from teleglyph.discovery.service.relaying import Relaying
from teleglyph.discovery.service.state import ServiceSettings, ServiceState
from teleglyph.errors import StoreError
from teleglyph.net.addresses import numeric
from teleglyph.store.sessions import SessionStore
from teleglyph.wire.acip import Event, Message, PacketType, Ping, Pong
from teleglyph.wire.discovery import (
    HostAnnouncement,
    HostLost,
    NatProbe,
    NatProbed,
    NetworkQuality,
    ProbeResult,
    Rendezvous,
    SessionCreate,
    SessionEnd,
    SessionJoin,
    SessionJoined,
    SessionLeave,
    SessionLookup,
    SessionReconnect,
    StringRelease,
    StringRenew,
    StringReserve,
    WebrtcIce,
    WebrtcSdp,
)
from teleglyph.wire.discovery.server_session import InvalidRequest

_log = logging.getLogger(__name__)

_SWEEP_SECONDS = 60.0
"""Between two searches for sessions whose time is over."""
_TOUCHED_AT_ONCE = 1000
_Handler = Callable[[ServicePeer, Any], Awaitable[None] | None]


class DiscoveryService:
    """Sessions, and those who are connected.

    Use::

        service = DiscoveryService(store, settings)
        await service.open()
        peer = service.connected(address, send, is_private=True)
        await service.receive(peer, message)
        ...
        await service.disconnected(peer)

    Args:
        store: has the sessions.
        settings: how the service behaves.
        clock: replaced by tests.
        make_name: makes random names.
    """

    def __init__(
        self,
        store: SessionStore,
        settings: ServiceSettings | None = None,
        clock: Clock | None = None,
        make_name: Callable[[], str] = random_name,
    ) -> None:
        self.state = ServiceState(settings or ServiceSettings(), SessionIndex(store), clock or Clock())
        self.peers: set[ServicePeer] = set()
        """All connections."""
        self._networks: Counter[str] = Counter()
        self._membership = Membership(self.state)
        self._registration = Registration(self.state, self._membership, make_name)
        self._relaying = Relaying(self.state)
        self._prober = NatProber()
        self._swept_at = self.state.now
        self._handlers: dict[type[Event], _Handler] = {
            SessionCreate: self._registration.create,
            SessionEnd: self._registration.end,
            StringReserve: self._registration.change_name,
            StringRenew: self._registration.change_name,
            StringRelease: self._registration.change_name,
            SessionLookup: self._membership.lookup,
            SessionJoin: self._membership.join,
            SessionLeave: self._membership.leave,
            SessionReconnect: self._membership.reconnect,
            Rendezvous: self._relaying.rendezvous,
            WebrtcSdp: self._relaying.signal,
            WebrtcIce: self._relaying.signal,
            NetworkQuality: self._relaying.quality,
            HostAnnouncement: self._relaying.announce,
            HostLost: self._relaying.lost,
            NatProbe: self._probe,
        }

    async def open(self) -> None:
        """Get ready; all hosts of stored sessions are away until they register again.

        Raises:
            StoreError: the sessions cannot be read.
        """
        await self.state.index.load()

    def close(self) -> None:
        """Check no more passwords."""
        self.state.passwords.close()

    # --- connections ------------------------------------------------------------------------------------

    def connected(
        self,
        address: str,
        send: Callable[[Message], None],
        *,
        is_private: bool,
        charge: Callable[[float], None] = lambda _seconds: None,
    ) -> ServicePeer:
        """Add a connection (:class:`~teleglyph.discovery.service.live_session.ServicePeer` has the arguments)."""
        peer = ServicePeer(address, send, self.state.limits, is_private=is_private, charge=charge)
        self.peers.add(peer)
        self._networks[peer.network] += 1
        return peer

    async def disconnected(self, peer: ServicePeer) -> None:
        """Remove a connection that has ended."""
        self.peers.discard(peer)
        self._networks[peer.network] -= 1
        if not self._networks[peer.network]:
            del self._networks[peer.network]
        try:
            await self._membership.disconnected(peer)
        except StoreError as error:
            _log.warning("Session not ended, it will expire: %s", error)

    async def receive(self, peer: ServicePeer, message: Event) -> None:
        """Answer a message; every failure has an answer."""
        if isinstance(message, Ping):
            peer.send(Pong())
            return
        if isinstance(message, InvalidRequest):
            self._refuse_invalid(peer, message)
            return
        handler = self._handlers.get(type(message))
        if handler is None:
            return
        if peer.keys and not isinstance(message, SessionCreate):
            self.state.fail(peer, RefusedError(Reason.STATE, "SESSION_CREATE has more keys, which have to come first."))
            return
        try:
            result = handler(peer, message)
            if result is not None:
                await result
        except RefusedError as error:
            self.state.fail(peer, error)
        except StoreError as error:
            _log.error("Request failed: %s", error)
            self.state.fail(peer, RefusedError(Reason.STORE, "The service cannot use its database. Try again later."))

    def _refuse_invalid(self, peer: ServicePeer, message: InvalidRequest) -> None:
        error = RefusedError(Reason.NAME if message.is_name else Reason.PARAMETER, message.text)
        if message.kind != PacketType.SESSION_JOIN:
            self.state.fail(peer, error)
            return
        self.state.refused(error)
        peer.send(SessionJoined(success=False, error_code=error.reason.code, error=error.text))

    async def _probe(self, peer: ServicePeer, message: NatProbe) -> None:
        address = numeric(peer.address) or "0.0.0.0"  # noqa: S104 - says that there is none
        try:
            self.state.count(peer, RequestKind.PROBE)
        except RefusedError as error:
            self.state.refused(error)
            result = ProbeResult.RATE_LIMITED
        else:
            result = await self._prober.probe(address, message.port)
        self.state.counters.probes[result.name.lower()] += 1
        peer.send(NatProbed(result, message.port, address))

    def is_present(self, network: str) -> bool:
        """Whether somebody from a network is connected."""
        return network in self._networks

    # --- time -------------------------------------------------------------------------------------------

    async def tick(self) -> None:
        """Do what time demands; call it every second or so."""
        state = self.state
        for live in list(state.index.live.values()):
            await self._membership.expire(live)
            if live.ice_renewal and state.clock.wall() >= live.ice_renewal:
                self._registration.send_ice(live)
        await self._store_activity()
        if state.now - self._swept_at >= _SWEEP_SECONDS:
            self._swept_at = state.now
            await self._sweep()

    async def _store_activity(self) -> None:
        state = self.state
        due: list[str] = []
        for live in state.index.live.values():
            if state.now - live.touched_at >= state.limits.touch_interval and len(due) < _TOUCHED_AT_ONCE:
                live.touched_at = state.now
                state.touch(live)
                due.append(live.stored.name)
        if due:
            await asyncio.wrap_future(state.index.store.touch(due, state.clock.now_ms))

    async def _sweep(self) -> None:
        state = self.state
        now = state.clock.now_ms
        before = now - int(state.limits.idle * 1000)
        while names := await asyncio.wrap_future(state.index.store.expire(before, now, state.held_until)):
            for name in names:
                if (live := state.index.live.get(name)) is not None:
                    self._membership.clear(live)
                state.index.forget(name)
                state.counters.expired += 1

    # --- for metrics --------------------------------------------------------------------------------------

    def gauges(self) -> dict[str, int]:
        """What there is at this moment."""
        live = self.state.index.live.values()
        return {
            "sessions": self.state.index.total,
            "sessions_live": len(live),
            "hosts_connected": sum(one.has_host for one in live),
            "participants": sum(len(one) for one in live),
            "connections": len(self.peers),
        }
