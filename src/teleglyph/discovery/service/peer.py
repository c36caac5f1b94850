"""One connection to the service, and its place in a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from teleglyph.discovery.service.limits import ServiceLimits
from teleglyph.net import TokenBucket, network_of
from teleglyph.wire.acip import Message
from teleglyph.wire.discovery import SessionCreate

if TYPE_CHECKING:
    from teleglyph.discovery.service.live_session import Participant

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
