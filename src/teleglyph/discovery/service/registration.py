"""Hosts: creating sessions, registering them again, ending them, and names that belong to keys."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace

from teleglyph.discovery.names import is_name, random_name
from teleglyph.discovery.service.limits import DAY, RequestKind
from teleglyph.discovery.service.live_session import LiveSession, Participant, ServicePeer
from teleglyph.discovery.service.membership import Membership
from teleglyph.discovery.service.passwords import check_hash
from teleglyph.discovery.service.refusal import Reason, RefusedError
from teleglyph.discovery.service.state import ServiceState
from teleglyph.net.addresses import numeric
from teleglyph.store.sessions import ClaimRefusal, StoredSession
from teleglyph.wire.discovery import (
    ID_SIZE,
    NO_ID,
    Capability,
    HostDesignated,
    IceServers,
    SessionCreate,
    SessionCreated,
    SessionEnd,
    StringRelease,
    StringRenew,
    StringReserve,
    StringReserved,
)
from teleglyph.wire.discovery.messages.sessions import MAX_KEYS

_ATTEMPTS = 8
"""Random names that are tried for one session."""


class Registration:
    """Registers hosts.

    Args:
        state: of the service.
        membership: puts hosts into their sessions.
        make_name: makes random names.
    """

    def __init__(self, state: ServiceState, membership: Membership, make_name: Callable[[], str] = random_name) -> None:
        self._state = state
        self._membership = membership
        self._make_name = make_name

    # --- creating ---------------------------------------------------------------------------------------

    async def create(self, peer: ServicePeer, message: SessionCreate) -> None:
        """Answer SESSION_CREATE."""
        state = self._state
        if (first := self._collected(peer, message)) is None:
            return  # more of its keys will follow
        state.count(peer, RequestKind.CREATE)
        if peer.participant is not None or peer.created is not None:
            raise RefusedError(Reason.STATE, "This connection is in a session already. Leave it first.")
        owner = state.signatures.proven_key(
            first,
            state.clock.now_ms,
            is_required=state.settings.requires_server_identity or bool(first.capabilities & Capability.RENDEZVOUS),
        )
        wanted = self._wanted(peer, first, owner)
        live = await self._claim(peer, wanted, first.wanted_name)
        if peer.is_gone:
            await self._membership.settle(live)
            return
        self._admit(peer, live)
        peer.send(self._created(live))
        if live.has_rendezvous:
            self.send_ice(live)

    def _collected(self, peer: ServicePeer, message: SessionCreate) -> SessionCreate | None:
        """The first packet of a host, once all packets with its keys have come."""
        if not message.total_keys:
            if peer.keys:
                peer.keys.clear()
                raise RefusedError(Reason.PARAMETER, "SESSION_CREATE began anew before all keys had come.")
            return message
        is_next = message.key_index == len(peer.keys) and message.total_keys <= MAX_KEYS
        if not is_next or (peer.keys and message.total_keys != peer.keys[0].total_keys):
            peer.keys.clear()
            raise RefusedError(Reason.PARAMETER, "The keys of SESSION_CREATE came out of order.")
        peer.keys.append(message)
        if len(peer.keys) < message.total_keys:
            return None
        first = peer.keys[0]
        peer.keys.clear()
        return first

    def _wanted(self, peer: ServicePeer, message: SessionCreate, owner: bytes | None) -> StoredSession:
        """The session that a host wants, without its name."""
        has_rendezvous = bool(message.capabilities & Capability.RENDEZVOUS)
        if has_rendezvous and not peer.is_private:
            raise RefusedError(Reason.STATE, "Hosts with rendezvous need an encrypted connection: link 2 or https.")
        if message.wanted_name and not is_name(message.wanted_name):
            raise RefusedError(Reason.NAME, "A name has three words of 2 to 12 letters from a to z, with hyphens.")
        if message.password_hash:
            if has_rendezvous or not message.has_password:
                raise RefusedError(Reason.PARAMETER, "A password hash does not fit this session.")
            check_hash(message.password_hash)
        elif message.has_password and not has_rendezvous:
            raise RefusedError(Reason.PARAMETER, "The session has a password, but its hash is missing.")
        address, port = self._address(peer, message)
        now = self._state.clock.now_ms
        return StoredSession(
            name="",
            id=secrets.token_bytes(ID_SIZE),
            host_id=secrets.token_bytes(ID_SIZE),
            owner=owner,
            capabilities=message.capabilities,
            max_participants=message.max_participants,
            kind=message.session_type,
            has_password=message.has_password,
            password=message.password_hash,
            exposes_address=message.expose_address,
            address=address,
            port=port,
            created_at=now,
            active_at=now,
            signed_at=0 if owner is None else message.timestamp,
        )

    @staticmethod
    def _address(peer: ServicePeer, message: SessionCreate) -> tuple[str, int]:
        """The address and port that others may learn: only the host's own, and none that nobody may learn."""
        if not message.expose_address and not message.password_hash:
            return "", 0
        own = numeric(peer.address) or peer.address
        if message.address and numeric(message.address) != own:
            raise RefusedError(
                Reason.PARAMETER, f"You can only register the address that you connect from, {own}, or leave it out."
            )
        return own, message.port

    async def _claim(self, peer: ServicePeer, wanted: StoredSession, name: str) -> LiveSession:
        state, index = self._state, self._state.index
        is_full = index.total >= state.limits.max_sessions
        if index.by_network[peer.network] >= state.limits.sessions_per_address:
            known = await index.find(name) if name else None
            if known is None or known.owner != wanted.owner:
                raise RefusedError(Reason.FULL, "Your address has registered too many sessions. End some first.")
        for _ in range(1 if name else _ATTEMPTS):
            attempt = replace(wanted, name=name or self._make_name())
            if is_full and await index.find(attempt.name) is None:
                raise RefusedError(Reason.FULL, "This service has no place for more sessions. Try again later.")
            claimed = await index.claim(attempt, state.held_until, peer.network, state.now)
            if isinstance(claimed, LiveSession):
                is_new = claimed.stored.id == wanted.id
                state.counters.created += is_new
                state.counters.reregistered += not is_new
                return claimed
            if claimed is ClaimRefusal.REPLAYED:
                raise RefusedError(Reason.SIGNATURE, "A newer registration of this session exists. Sign it anew.")
        if name:
            raise RefusedError(Reason.TAKEN, f"The name {name} belongs to another host. Choose another one.")
        raise RefusedError(Reason.STORE, "No free name was found. Try again later.")

    def _admit(self, peer: ServicePeer, live: LiveSession) -> None:
        """Make a connection the host's."""
        if not live.has_rendezvous:
            if live.creator is not None:
                live.creator.created = None
            live.creator, peer.created = peer, live
            return
        host = live.participants.get(live.stored.host_id)
        if host is None:
            host = Participant(
                live, peer, live.stored.owner, sees_address=True, now=self._state.now, id=live.stored.host_id
            )
            live.participants[host.id] = host
        self._membership.attach(host, peer)
        live.host = host
        designated = HostDesignated(live.stored.id, host.id, "", 0, 0)
        for caller in live.others(host):  # they may have waited for it
            caller.send(designated)

    def _created(self, live: LiveSession) -> SessionCreated:
        stored, clock = live.stored, self._state.clock
        stun, turn = self._state.settings.ice.listed(stored.name, clock.wall())
        return SessionCreated(
            stored.name,
            stored.id,
            # A host of our own is a participant at once.
            stored.host_id if live.has_rendezvous else NO_ID,
            clock.now_ms + int(self._state.limits.lifetime * 1000),
            stun,
            turn,
        )

    def send_ice(self, live: LiveSession) -> None:
        """Send a host its STUN and TURN servers, with fresh credentials."""
        ice, now = self._state.settings.ice, self._state.clock.wall()
        live.ice_renewal = now + ice.renewal_seconds if ice.renewal_seconds else 0.0
        if live.host is not None and (ice.stun or ice.turn):
            live.host.send(IceServers(ice.expires_at_ms(now), ice.servers(live.stored.name, now)))

    # --- ending -----------------------------------------------------------------------------------------

    async def end(self, peer: ServicePeer, message: SessionEnd) -> None:
        """Answer SESSION_END: only failures have an answer."""
        state = self._state
        state.count(peer, RequestKind.CONTROL)
        live = state.index.by_id.get(message.session_id)
        if live is None or live.stored.owner is None:
            raise RefusedError(Reason.NOT_FOUND, "There is no such session, or no key owns it.")
        state.signatures.check_owner(message, state.clock.now_ms, live.stored.owner)
        await self._membership.end(live)

    # --- names ------------------------------------------------------------------------------------------

    async def change_name(self, peer: ServicePeer, message: StringReserve | StringRenew | StringRelease) -> None:
        """Answer STRING_RESERVE, STRING_RENEW and STRING_RELEASE."""
        try:
            peer.send(StringReserved(success=True, expires_at=await self._change_name(peer, message)))
        except RefusedError as error:
            self._state.refused(error)
            peer.send(StringReserved(success=False, error_code=error.reason.code, error=error.text))

    async def _change_name(self, peer: ServicePeer, message: StringReserve | StringRenew | StringRelease) -> int:
        state, store = self._state, self._state.index.store
        state.count(peer, RequestKind.NAME)
        if not is_name(message.name):
            raise RefusedError(Reason.NAME, "A name has three words of 2 to 12 letters from a to z, with hyphens.")
        now = state.clock.now_ms
        state.signatures.check_owner(message, now)
        if isinstance(message, StringRelease):
            if not await asyncio.wrap_future(store.release(message.name, message.identity)):
                raise RefusedError(Reason.NOT_FOUND, "Your key does not own this name, or its session still runs.")
            return 0
        until = now + int(message.days * DAY * 1000)
        refusal = await asyncio.wrap_future(store.reserve(message.name, message.identity, until, now))
        if refusal is ClaimRefusal.TAKEN:
            raise RefusedError(Reason.TAKEN, f"The name {message.name} belongs to another host.")
        if refusal is not None:
            raise RefusedError(Reason.FULL, "Your key has reserved too many names. Release one first.")
        return until
