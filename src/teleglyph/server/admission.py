"""Limits on password proofs: how many at once, how often, and how long the user may take to type."""

from __future__ import annotations

import time
from collections import Counter

from teleglyph.call.limits import CallLimits
from teleglyph.net import Connection, GuessLimiter, SlotPool, network_of


class Proofs:
    """The limits that all handshakes of one server share.

    Args:
        limits: of handshakes.
        refused: counts refusals by reason; passwords that were not checked count as ``guesses``.
    """

    def __init__(self, limits: CallLimits, refused: Counter[str]) -> None:
        self.limits = limits
        self.refused = refused
        self.limiter = GuessLimiter()
        self.places = SlotPool(limits.challenged_total, limits.challenged_per_address)

    def guard(self, peer: str) -> HandshakeGuard:
        """A guard for one handshake."""
        return HandshakeGuard(self, network_of(peer))


class HandshakeGuard:
    """Applies the limits to one handshake (:class:`~teleglyph.wire.acip.server_handshake.ProofGuard`)."""

    def __init__(self, proofs: Proofs, network: str) -> None:
        self.connection: Connection | None = None
        """Its deadline is extended while the user types a password."""
        self.is_waiting = False
        """Whether it has one of the places for handshakes that may take long."""
        self._proofs = proofs
        self._network = network

    def challenged(self) -> None:
        if self.connection is not None and self._proofs.places.acquire(self._network):
            self.is_waiting = True
            self.connection.extend_handshake(self._proofs.limits.challenge_timeout)

    def begin(self, identity: bytes | None) -> float:
        pause = self._proofs.limiter.attempt(self._key(identity), time.monotonic())
        self._proofs.refused["guesses"] += pause > 0
        return pause

    def end(self, identity: bytes | None, was_right: bool) -> float:
        key, now = self._key(identity), time.monotonic()
        if not was_right:
            return self._proofs.limiter.failed(key, now)
        self._proofs.limiter.succeeded(key, now)
        return 0.0

    def over(self) -> None:
        """Release the place; the handshake has ended."""
        self.connection = None
        if self.is_waiting:
            self.is_waiting = False
            self._proofs.places.release(self._network)

    def _key(self, identity: bytes | None) -> str:
        """The key to count by: a listed identity is not counted together with strangers at the same address."""
        return self._network if identity is None else f"key {identity.hex()}"
