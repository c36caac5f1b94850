"""Who is in a session: finding, joining, leaving, coming back."""

from __future__ import annotations

from dataclasses import replace

from teleglyph.discovery.service.limits import RequestKind
from teleglyph.discovery.service.live_session import LiveSession, Participant, ServicePeer, key_field
from teleglyph.discovery.service.refusal import Reason, RefusedError
from teleglyph.discovery.service.state import ServiceState
from teleglyph.store.sessions import StoredSession
from teleglyph.wire.discovery import (
    NO_ID,
    HostLost,
    LossReason,
    ParticipantJoined,
    ParticipantLeft,
    SessionInfo,
    SessionJoin,
    SessionJoined,
    SessionLeave,
    SessionLookup,
    SessionReconnect,
    SessionType,
)

_MAX_SHOWN = 255


class Membership:
    """Joins people to sessions, and removes them.

    Args:
        state: of the service.
    """

    def __init__(self, state: ServiceState) -> None:
        self._state = state

    # --- finding ----------------------------------------------------------------------------------------

    async def lookup(self, peer: ServicePeer, message: SessionLookup) -> None:
        """Answer SESSION_LOOKUP; it reveals no address."""
        self._state.count(peer, RequestKind.LOOKUP)
        stored = await self._state.index.find(message.name)
        peer.send(SessionInfo() if stored is None else self._info(stored))

    def _info(self, stored: StoredSession) -> SessionInfo:
        live, settings, limits = self._state.index.live.get(stored.name), self._state.settings, self._state.limits
        if live is not None and live.has_host:
            expires_at = self._state.clock.now_ms + int(limits.lifetime * 1000)
        else:
            expires_at = stored.active_at + int(limits.idle * 1000)
        return SessionInfo(
            found=True,
            session_id=stored.id,
            identity=key_field(stored.owner),
            capabilities=stored.capabilities,
            max_participants=stored.max_participants,
            participants=0 if live is None else min(_MAX_SHOWN, len(live)),
            session_type=stored.kind,
            has_password=stored.has_password,
            created_at=stored.created_at,
            expires_at=expires_at,
            server_checks_clients=settings.requires_client_identity,
            clients_check_server=settings.requires_server_identity,
        )

    # --- joining ----------------------------------------------------------------------------------------

    async def join(self, peer: ServicePeer, message: SessionJoin) -> None:
        """Answer SESSION_JOIN."""
        try:
            participant = await self._join(peer, message)
        except RefusedError as error:
            self._state.refused(error)
            peer.send(SessionJoined(success=False, error_code=error.reason.code, error=error.text))
            return
        peer.send(self._joined(participant))

    async def _join(self, peer: ServicePeer, message: SessionJoin) -> Participant:
        state, settings = self._state, self._state.settings
        state.count(peer, RequestKind.JOIN)
        own = peer.participant
        if own is not None:
            if own.session.stored.name == message.name:
                return own
            raise RefusedError(Reason.STATE, f"You are in the session {own.session.stored.name}. Leave it first.")
        identity = state.signatures.proven_key(
            message, state.clock.now_ms, is_required=settings.requires_client_identity
        )
        stored = await state.index.find(message.name)
        if stored is None:
            raise RefusedError(Reason.NOT_FOUND, f"There is no session {message.name}.")
        if stored.password:
            seconds = await state.passwords.check(stored.password, message.password, peer.address, state.now)
            peer.charge(seconds)
        # Others may have joined, or the host may have ended it, while the password was checked.
        live = await state.index.open(message.name, state.now)
        if live is None or live.stored.password != stored.password or peer.is_gone:
            raise RefusedError(Reason.NOT_FOUND, f"There is no session {message.name}.")
        return self._enter(live, peer, identity)

    def _enter(self, live: LiveSession, peer: ServicePeer, identity: bytes | None) -> Participant:
        state = self._state
        if identity is not None:
            for other in list(live.participants.values()):
                if other.identity == identity and not other.is_host:
                    self.remove(other)  # the same person, over another connection
        if not live.has_place(peer.network, state.limits):
            self._settle_if_empty(live)
            raise RefusedError(Reason.FULL, "The session is full. Try again in a minute.")
        # Only the host of a session with RENDEZVOUS knows who may see its address.
        proved_password = bool(live.stored.password) and not live.has_rendezvous
        participant = Participant(
            live,
            peer,
            identity,
            sees_address=live.stored.exposes_address or proved_password or peer is live.creator,
            now=state.now,
        )
        live.participants[participant.id] = participant
        peer.participant = participant
        state.touch(live)
        self._announce(live, participant)
        return participant

    def _announce(self, live: LiveSession, participant: Participant) -> None:
        joined = ParticipantJoined(
            live.stored.id, participant.id, key_field(participant.identity), min(_MAX_SHOWN, len(live))
        )
        for other in self._audience(live, participant):
            other.send(joined)

    @staticmethod
    def _audience(live: LiveSession, than: Participant) -> list[Participant]:
        """Who learns of a participant: where the host decides who joins, only the host."""
        return [one for one in live.others(than) if one.is_host or not live.has_rendezvous]

    def _joined(self, participant: Participant) -> SessionJoined:
        live, stored = participant.session, participant.session.stored
        host_id = NO_ID if live.host is None else live.host.id
        answer = SessionJoined(
            success=True,
            participant_id=participant.id,
            session_id=stored.id,
            initiator_id=NO_ID if live.has_rendezvous else live.initiator_id,
            has_host=live.host is not None,
            host_id=stored.host_id if live.has_rendezvous else host_id,
            peers=min(_MAX_SHOWN, len(live) - 1),
        )
        return self._with_address(answer, participant) if participant.sees_address else answer

    def _with_address(self, answer: SessionJoined, participant: Participant) -> SessionJoined:
        live, stored = participant.session, participant.session.stored
        address, port = stored.address, stored.port
        if live.announced is not None:
            address, port = live.announced.address, live.announced.port
        username = credential = ""
        ice = self._state.settings.ice
        if stored.kind == SessionType.WEBRTC and ice.secret and ice.turn:
            username, credential = ice.login(stored.name, self._state.clock.wall())
        return replace(
            answer,
            session_type=stored.kind,
            address=address,
            port=port,
            turn_username=username,
            turn_password=credential,
        )

    # --- leaving ----------------------------------------------------------------------------------------

    async def leave(self, peer: ServicePeer, message: SessionLeave) -> None:
        """Answer SESSION_LEAVE: only failures have an answer."""
        self._state.count(peer, RequestKind.CONTROL)
        participant = own_participant(peer, message.session_id, message.participant_id)
        live = participant.session
        is_end = live.has_rendezvous and participant.is_host
        self.remove(participant)
        if is_end or (not live.has_rendezvous and not live.participants):
            await self.end(live)
        else:
            self._settle_if_empty(live)

    async def end(self, live: LiveSession) -> None:
        """End a session; everybody in it has to leave."""
        self._state.counters.ended += 1
        self.clear(live)
        await self._state.index.end(live.stored.name, self._state.held_until)

    def clear(self, live: LiveSession) -> None:
        """Remove everybody from a session."""
        for participant in list(live.participants.values()):
            self.remove(participant)
        if live.creator is not None:
            live.creator.created = None
            live.creator = None

    def remove(self, participant: Participant) -> None:
        """Remove a participant, and say so to the others."""
        live, was_host = participant.session, participant.is_host
        if live.participants.pop(participant.id, None) is None:
            return
        if participant.peer is not None:
            participant.peer.participant = None
        if was_host:
            live.host = live.announced = None
        left = ParticipantLeft(live.stored.id, participant.id, was_host, min(_MAX_SHOWN, len(live)))
        for other in live.participants.values():
            if was_host or other.is_host or not live.has_rendezvous:
                other.send(left)

    # --- connections ------------------------------------------------------------------------------------

    async def disconnected(self, peer: ServicePeer) -> None:
        """A connection has ended."""
        peer.is_gone = True
        participant, peer.participant = peer.participant, None
        created, peer.created = peer.created, None
        if created is not None and created.creator is peer:
            created.creator = None
            await self.settle(created)
        if participant is None:
            return
        participant.peer = None
        participant.lost_at = self._state.now
        self._state.touch(participant.session)
        may_return = participant.is_host or participant.identity is not None
        if not may_return:
            self.remove(participant)
        await self.settle(participant.session)

    async def reconnect(self, peer: ServicePeer, message: SessionReconnect) -> None:
        """Answer SESSION_RECONNECT: the participant's place with a new connection."""
        state = self._state
        state.count(peer, RequestKind.CONTROL)
        if peer.participant is not None:
            raise RefusedError(Reason.STATE, "This connection is in a session already. Leave it first.")
        live = state.index.by_id.get(message.session_id)
        participant = None if live is None else live.participants.get(message.participant_id)
        if participant is None or participant.identity is None:
            raise RefusedError(Reason.NOT_FOUND, "There is no such place in a session. Join again.")
        state.signatures.check_owner(message, state.clock.now_ms, participant.identity)
        self.attach(participant, peer)
        peer.send(self._joined(participant))

    def attach(self, participant: Participant, peer: ServicePeer) -> None:
        """Give a participant another connection."""
        old = participant.peer
        if old is not None and old is not peer:
            old.participant = None
            if participant.session.creator is old:
                participant.session.creator = None
            self._state.fail(old, RefusedError(Reason.STATE, "Your place was taken over by another connection."))
        participant.peer, participant.network, participant.lost_at = peer, peer.network, None
        participant.active_at = self._state.now
        peer.participant = participant
        self._state.touch(participant.session)

    # --- time -------------------------------------------------------------------------------------------

    async def expire(self, live: LiveSession) -> None:
        """Remove those whose time is over."""
        now, limits = self._state.now, self._state.limits
        for one in list(live.participants.values()):
            if one.is_host and one.lost_at is not None and now - one.lost_at >= limits.host_grace:
                self._lose_host(live, one)
            elif not one.is_host and one.lost_at is not None and now - one.lost_at >= limits.participant_grace:
                self.remove(one)
            elif live.has_rendezvous and not one.is_host and now - one.active_at >= limits.caller_idle:
                peer = one.peer
                self.remove(one)
                if peer is not None:
                    text = f"You were idle for {limits.caller_idle:.0f} s and have left the session."
                    self._state.fail(peer, RefusedError(Reason.STATE, text))
        await self.settle(live)

    def _lose_host(self, live: LiveSession, host: Participant) -> None:
        self._state.counters.hosts_lost += 1
        lost = HostLost(live.stored.id, NO_ID, host.id, LossReason.TIMEOUT, self._state.clock.now_ms)
        for other in live.others(host):
            other.send(lost)
        self.remove(host)

    async def settle(self, live: LiveSession) -> None:
        """Keep a session without people in the database only, or end it if nobody could register it again."""
        if not live.is_empty or self._state.index.live.get(live.stored.name) is not live:
            return
        if live.stored.owner is None:
            await self.end(live)
        else:
            self._settle_if_empty(live)

    def _settle_if_empty(self, live: LiveSession) -> None:
        if live.is_empty and live.stored.owner is not None:
            self._state.index.settle(live)


def own_participant(peer: ServicePeer, session_id: bytes, participant_id: bytes) -> Participant:
    """The participant that a peer names, if it is its own.

    Raises:
        RefusedError: it is not in that session, or names somebody else.
    """
    own = peer.participant
    if own is None or own.session.stored.id != session_id:
        raise RefusedError(Reason.NOT_FOUND, "You are not in that session. Join it first.")
    if own.id != participant_id:
        raise RefusedError(Reason.PARAMETER, "That is not your participant id.")
    return own
