"""Sessions with people in them, the participants, and their connections."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterator

from teleglyph.discovery.service.limits import ServiceLimits
from teleglyph.net import TokenBucket, network_of
from teleglyph.store.sessions import StoredSession
from teleglyph.wire.acip import Message
from teleglyph.wire.discovery import ID_SIZE, NO_ID, NO_KEY, Capability, HostAnnouncement, SessionCreate

NETWORK_TAG = 8
"""The first bytes of an id, alike for all participants of one network."""
_MINUTE = 60.0


class ServicePeer:
    """A connection.

    Args:
        address: the numeric address that it comes from.
        send: queues a message for it.
        limits: of the service.
        is_private: nobody else can read it: link 2, HTTPS, or a program on this machine.
        charge: charges processor time that was used for it elsewhere.
    """

    def __init__(
        self,
        address: str,
        send: Callable[[Message], None],
        limits: ServiceLimits,
        *,
        is_private: bool,
        charge: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.address = address
        self.network = network_of(address)
        self.send = send
        self.is_private = is_private
        self.charge = charge
        self.is_gone = False
        """Whether the connection has ended."""
        self.participant: Participant | None = None
        """Its place in a session; a connection is in one session at a time."""
        self.created: LiveSession | None = None
        """The session that it created, if it has not joined it."""
        self.keys: list[SessionCreate] = []
        """The parts of a SESSION_CREATE with several keys that have come so far."""
        self._relays = TokenBucket(limits.relays / _MINUTE, limits.relays)
        self._relay_bytes = TokenBucket(limits.relay_bytes / _MINUTE, limits.relay_bytes)

    def may_relay(self, size: int, now: float) -> bool:
        """Count a message to others; returns False if it exceeds the rate.

        Args:
            size: its bytes.
            now: on the monotonic clock.
        """
        return self._relays.allow(now) and self._relay_bytes.allow(now, size)


class Participant:
    """Somebody in a session.

    Args:
        session: the session.
        peer: their connection.
        identity: the Ed25519 key that they proved; None for none.
        sees_address: they may learn the host's address.
        now: on the monotonic clock.
        id: 16 bytes; None for a new one.
    """

    __slots__ = ("active_at", "id", "identity", "lost_at", "network", "peer", "sees_address", "session")

    def __init__(
        self,
        session: LiveSession,
        peer: ServicePeer | None,
        identity: bytes | None,
        *,
        sees_address: bool,
        now: float,
        id: bytes | None = None,
    ) -> None:
        self.session = session
        self.peer = peer
        """None while the connection is lost."""
        self.network = "" if peer is None else peer.network
        self.identity = identity
        self.sees_address = sees_address
        self.id = id or session.new_id(self.network)
        self.active_at = now
        """When they last sent something to others."""
        self.lost_at: float | None = None
        """When their connection was lost; None while they are connected."""

    @property
    def is_host(self) -> bool:
        """Whether they host the call."""
        return self.session.host is self

    def send(self, message: Message) -> bool:
        """Queue a message; returns False while the connection is lost."""
        if self.peer is None:
            return False
        self.peer.send(message)
        return True


class LiveSession:
    """A session with participants, or whose host may come back.

    Attributes:
        stored: the session in the database.
        participants: by their ids.
        host: the participant who hosts the call, perhaps with a lost connection; None for none.
        creator: the connection that created it; None if that has ended.
        announced: where ascii-chat's host said it can be reached.
        ice_renewal: when the host gets new credentials, Unix seconds; 0: never.
    """

    __slots__ = ("_salt", "announced", "creator", "host", "ice_renewal", "participants", "stored", "touched_at")

    def __init__(self, stored: StoredSession, now: float) -> None:
        self.stored = stored
        self.participants: dict[bytes, Participant] = {}
        self.host: Participant | None = None
        self.creator: ServicePeer | None = None
        self.announced: HostAnnouncement | None = None
        self.ice_renewal = 0.0
        self.touched_at = now
        """When its activity was last stored, on the monotonic clock."""
        self._salt = secrets.token_bytes(ID_SIZE)

    def new_id(self, network: str) -> bytes:
        """The id of a new participant.

        Where the host decides who joins, it limits the guesses at its password.  So that it can count those of one
        network together without learning their address, their ids begin alike.

        Args:
            network: from which the participant comes (:func:`teleglyph.net.network_of`).
        """
        if not self.has_rendezvous:
            return secrets.token_bytes(ID_SIZE)
        tag = hmac.digest(self._salt, network.encode(), "sha256")[:NETWORK_TAG]
        return tag + secrets.token_bytes(ID_SIZE - NETWORK_TAG)

    def __len__(self) -> int:
        return len(self.participants)

    @property
    def has_rendezvous(self) -> bool:
        """Whether its host decides who joins."""
        return has_rendezvous(self.stored)

    @property
    def has_host(self) -> bool:
        """Whether its host is connected."""
        return (self.host is not None and self.host.peer is not None) or self.creator is not None

    @property
    def is_empty(self) -> bool:
        """Whether nobody is in it or may come back."""
        return not self.participants and self.creator is None

    @property
    def initiator_id(self) -> bytes:
        """The id of its first participant."""
        return next(iter(self.participants), NO_ID)

    def others(self, than: Participant) -> Iterator[Participant]:
        """All participants but one."""
        return (one for one in self.participants.values() if one is not than)

    def has_place(self, network: str, limits: ServiceLimits) -> bool:
        """Whether somebody from a network may join."""
        if not self.has_rendezvous:
            return len(self) < min(self.stored.max_participants, limits.max_participants)
        callers = [one for one in self.participants.values() if not one.is_host]
        of_network = sum(one.network == network for one in callers)
        return len(callers) < limits.max_callers and of_network < limits.callers_per_address


def has_rendezvous(session: StoredSession) -> bool:
    """Whether a session's host decides who joins."""
    return bool(session.capabilities & Capability.RENDEZVOUS)


def key_field(identity: bytes | None) -> bytes:
    """A key in a packet; zeros for none."""
    return identity or NO_KEY
