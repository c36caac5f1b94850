"""Decides who may join calls, and runs each connection's session until it ends."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from teleglyph.call.decoding import Decoding
from teleglyph.call.life_cycle import State
from teleglyph.call.participant import Participant
from teleglyph.call.session import run_participant
from teleglyph.errors import HandshakeError, ServerFullError
from teleglyph.net import Connection, charged, network_of, raise_descriptor_limit
from teleglyph.net.tcp import ConnectionProtocol
from teleglyph.server.address_gate import AddressGate
from teleglyph.server.admission import HandshakeGuard, Proofs
from teleglyph.server.call_rooms import CallRooms, RoomAccess
from teleglyph.server.config import ServerConfig
from teleglyph.server.invitations import Invitations
from teleglyph.server.overload import Overload
from teleglyph.server.page_pings import PagePings
from teleglyph.wire.acip import AuthFailure, ErrorMessage, Feature, ServerSession, encode
from teleglyph.wire.acip.session import ServerRole
from teleglyph.wire.invitation import InvitationCheck
from teleglyph.wire.link2 import Channel, LinkServerSession
from teleglyph.wire.page import PageServerSession

if TYPE_CHECKING:
    from teleglyph.wire.rendezvous import RendezvousServerSession

_log = logging.getLogger(__name__)

_MISSING = AuthFailure.PASSWORD_REQUIRED | AuthFailure.CLIENT_KEY_REQUIRED
_FEATURES = Feature.SCREEN_UPDATES | Feature.CODED_PICTURES | Feature.DEFLATE | Feature.ROSTER
"""Of calls; each side uses those that the other has as well."""
_NO_ACIP = "This server does not speak ACIP, the protocol of ascii-chat. Join it with a newer 'teleglyph client'."
_CLOSE_SECONDS = 0.8
"""For farewells; together with the rest of the shutdown well under a second."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a peer may not join.

    Attributes:
        text: for the peer.
        is_silent: an answer would cost too much, because the peer connects too often.
    """

    text: str
    is_silent: bool = False

    @property
    def line(self) -> bytes:
        """The line that ascii-chat's programs understand; empty if the peer gets no answer."""
        return b"" if self.is_silent else b"SERVER_FULL: %s\n" % self.text.encode()


class CallAdmission:
    """Admits connections to call rooms.

    Args:
        config: of the server.
        rooms: that participants join.
        decoding: decodes their video.
        overload: decides whether there is time for more participants.
    """

    def __init__(self, config: ServerConfig, rooms: CallRooms, decoding: Decoding, overload: Overload) -> None:
        self._config = config
        self._rooms = rooms
        self._decoding = decoding
        self._overload = overload
        self.gate = AddressGate(
            config.connections_per_address,
            config.connections_per_minute,
            config.costs,
            raise_descriptor_limit(),
            self.is_in_call,
        )
        """Limits the connections of each address."""
        self.invitations = Invitations(config.identities, config.data_dir)
        """Admits people with invitations."""
        self._numbers = itertools.count(1)
        self._proofs = Proofs(config.call, self.gate.refused)
        self._sessions: dict[asyncio.Task[None], Participant] = {}

    @property
    def participants(self) -> list[Participant]:
        """Everyone connected, including those not yet in a room."""
        return list(self._sessions.values())

    def is_in_call(self, network: str) -> bool:
        """Whether a participant from this network is in a call."""
        return any(
            one.joined_at is not None and network_of(one.connection.peer) == network for one in self._sessions.values()
        )

    def refuse(self, peer: str, *, is_counted: bool = False) -> Refusal | None:
        """The reason for not letting a peer join; None if it may begin its handshake.

        Args:
            peer: its address.
            is_counted: its connection counts for its address already.
        """
        if (reason := self.gate.refuse(peer, is_counted=is_counted)) is not None:
            return Refusal(reason, is_silent=True)
        unfinished = sum(1 for p in self._sessions.values() if p.state in (State.CONNECTED, State.SECURED))
        if len(self._sessions) - unfinished >= self._config.call.max_participants:
            self.gate.record_refusal("full", "the server is full", peer, "the server is full")
            return Refusal("Maximum client limit reached")
        if (reason := self._overload.reason) is not None:
            self.gate.record_refusal("load", "overloaded", peer, reason)
            return Refusal(f"{reason}, try again later")
        if unfinished - len(self._proofs.places) >= self._config.max_handshakes:
            text = f"{unfinished} handshakes are unfinished"
            self.gate.record_refusal("handshakes", "too many unfinished handshakes", peer, text)
            return Refusal("Too many connections are being set up, try again")
        return None

    def access(self, room: str) -> RoomAccess:
        """What a peer needs to join a room (:meth:`~teleglyph.server.call_rooms.CallRooms.access`)."""
        return self._rooms.access(room)

    def guard(self, peer: str) -> HandshakeGuard:
        """A guard for the handshake of a peer that was not refused."""
        return self._proofs.guard(peer)

    def session(self, guard: HandshakeGuard, access: RoomAccess, *, speaks_first: bool = False) -> ServerSession:
        """A session that asks for what a room needs.

        Args:
            guard: of its handshake.
            access: to the room, from :meth:`access`.
            speaks_first: the server begins the handshake.
        """
        config = self._config
        return ServerSession(
            password_key=access.password_key,
            identities=config.identities,
            admits=access.admits,
            allow_plaintext=not config.encrypt,
            features=_FEATURES,
            guard=guard,
            speaks_first=speaks_first,
        )

    @property
    def _admit_invited(self) -> InvitationCheck | None:
        """Checks invitations; None if there can be none."""
        return self.invitations.admit if self.invitations.are_possible else None

    def page_session(self, guard: HandshakeGuard, room: str = "") -> PageServerSession:
        """A session for our own page.

        Args:
            guard: of its handshake.
            room: to join if the page names none; empty for the lobby.
        """
        return PageServerSession(
            lambda name: self._rooms.access(name or room), features=_FEATURES, guard=guard, admit=self._admit_invited
        )

    def rendezvous_session(self, guard: HandshakeGuard, session_id: bytes) -> RendezvousServerSession:
        """A session for a guest who comes by this server's name at a discovery service.

        Args:
            guard: of its handshake.
            session_id: of this server at the service.
        """
        # Imported here, because only servers with a name need it.
        from teleglyph.wire.rendezvous import RendezvousServerSession

        return RendezvousServerSession(
            session_id,
            self._config.identities,
            self._rooms.access,
            guard=guard,
            admit_invited=self._admit_invited,
        )

    def refuse_acip(self, peer: str) -> str | None:
        """Why a peer that speaks ACIP, over any transport, may not join; None if it may."""
        if self._config.acip:
            return None
        self.gate.record_refusal("acip", "ACIP", peer, "it speaks ACIP, which --no-acip refuses")
        return _NO_ACIP

    def plain(self, peer: str, leave: Callable[[], None]) -> asyncio.Protocol | bytes:
        """The protocol for a peer that speaks ACIP over TCP, or the bytes that refuse it.

        Args:
            peer: its address.
            leave: called when its connection has ended.
        """
        if (refusal := self.refuse(peer, is_counted=True)) is not None:
            return refusal.line
        if (reason := self.refuse_acip(peer)) is not None:
            return encode(ErrorMessage(HandshakeError.exit_code, reason))
        guard = self.guard(peer)
        return self._protocol(peer, self.session(guard, self.access("")), guard, leave)

    def link(self, peer: str, channel: Channel, leave: Callable[[], None]) -> asyncio.Protocol | bytes:
        """The protocol for a peer that speaks link 2, or the bytes that refuse it.

        Args:
            peer: its address.
            channel: the TLS connection.
            leave: called when its connection has ended.
        """
        if (refusal := self.refuse(peer, is_counted=True)) is not None:
            if refusal.is_silent:
                return b""
            reason = f"The server is full: {refusal.text[:1].lower()}{refusal.text[1:]}."
            return encode(ErrorMessage(ServerFullError.exit_code, reason))
        config = self._config
        guard = self.guard(peer)
        session = LinkServerSession(
            channel,
            self._rooms.access,
            identities=config.identities,
            features=_FEATURES,
            guard=guard,
            admit_invited=self._admit_invited,
        )
        return self._protocol(peer, session, guard, leave)

    def page(self, peer: str, leave: Callable[[], None]) -> asyncio.Protocol | bytes:
        """The protocol for a page that comes in without a WebSocket, or the bytes that refuse it.

        Args:
            peer: its address.
            leave: called when its connection has ended.
        """
        if not self._config.page:
            return encode(ErrorMessage(HandshakeError.exit_code, "This server does not admit browsers."))
        if (refusal := self.refuse(peer, is_counted=True)) is not None:
            return encode(ErrorMessage(ServerFullError.exit_code, f"The server is full: {refusal.text}."))
        guard = self.guard(peer)
        protocol = self._protocol(peer, self.page_session(guard), guard, leave)
        if guard.connection is not None:
            guard.connection.envelope = PagePings(guard.connection)
        return protocol

    def _protocol(
        self, peer: str, session: ServerRole, guard: HandshakeGuard, leave: Callable[[], None]
    ) -> asyncio.Protocol:
        connection = guard.connection = Connection(session, peer, self._config.connection, meter=self.gate.meter(peer))
        return ConnectionProtocol(connection, lambda _: self.start(connection, session, guard, leave))

    def start(
        self,
        connection: Connection,
        session: ServerRole,
        guard: HandshakeGuard,
        leave: Callable[[], None] = lambda: None,
        *,
        room: str = "",
    ) -> asyncio.Task[None]:
        """Start the session of an open connection; returns the task that serves it.

        Args:
            connection: with an open transport.
            session: on it.
            guard: of the session's handshake.
            leave: called when the connection has ended.
            room: the room to join if the handshake does not carry one; empty for the lobby.  The session has to ask
                for what :meth:`access` returns for it.
        """
        number = next(self._numbers)
        participant = Participant(number, connection, self._rooms, self._config.call, self._decoding)
        task = asyncio.get_running_loop().create_task(
            charged(self._serve(participant, session, guard, room), connection.stopwatch), name=f"session {number}"
        )
        self._sessions[task] = participant
        task.add_done_callback(self._sessions.pop)
        task.add_done_callback(lambda _: leave())
        return task

    def postpone(self, seconds: float) -> None:
        """Extend all timeouts by a time in which this process could neither read nor write."""
        for participant in self._sessions.values():
            participant.connection.postpone(seconds)

    async def close(self) -> None:
        """End all sessions."""
        for task in self._sessions:
            task.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=_CLOSE_SECONDS)
        for participant in self._sessions.values():
            participant.connection.abort()

    async def _serve(self, participant: Participant, session: ServerRole, guard: HandshakeGuard, room: str) -> None:
        _log.debug("%s connected as %s", participant.connection.peer, participant.name)
        reason = await run_participant(participant, session, self._config.call, guard.over, room)
        self._log_departure(participant, reason)

    def _log_departure(self, participant: Participant, reason: str) -> None:
        """Log that a participant left; for those who were never in the call only on the debug level."""
        _log.debug("%s is gone (%s): %s", participant.name, reason, participant.report())
        if participant.refusal is not None:
            text = f"{participant.connection.peer} was refused: {participant.refusal}"
            if participant.refusal.reasons & _MISSING and not participant.refusal.reasons & ~_MISSING:
                _log.debug("%s", text)  # the client prompts for the password or key and connects again
            else:
                self.gate.refusals.log_refusal("wrong passwords and keys", text, time.monotonic())
        if participant.room is not None and participant.joined_at is not None:
            stay = duration(time.monotonic() - participant.joined_at)
            why = "" if reason == "left" else f": {reason}"
            _log.info("%s left%s after %s%s", participant.name, participant.room.suffix, stay, why)


def duration(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
