"""The seats of a room, and the tokens that open them."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

HOST = 0
"""The host's player number."""
RandomBytes = Callable[[int], bytes]


class Link(Protocol):
    """A player's connection, as its room sees it.  Neither method waits or raises."""

    @property
    def is_extended(self) -> bool:
        """Whether the player speaks ``teleglyph.rooms.1``."""

    def send(self, message: bytes) -> None:
        """Queue a message."""

    def end(self, text: str) -> None:
        """Queue a last error message and close; later messages are dropped."""


@dataclass(slots=True, eq=False)
class Seat:
    """A place in a room, for as long as the room lives.

    Attributes:
        player: its number; 0 is the host's.
        digest: of the token that opens it.
        link: the connection in it; None while its player is away.
        is_synced: the player got a full state from the host's current connection.
        is_announced: the host was sent that the player came, and not yet that it left.
        reserved_until: the time until which the seat is kept for its player.
        identity: the Ed25519 key that its player proved, and has to prove again to return; None without one.
        previous_digest: of the previous token, until the player confirms the new one.
        wants_absences: the current connection asked for notices about absent players and kept seats.
    """

    player: int
    digest: bytes
    link: Link | None = None
    identity: bytes | None = None
    previous_digest: bytes | None = None
    is_synced: bool = False
    is_announced: bool = False
    reserved_until: float = 0.0
    wants_absences: bool = False


class SeatTable:
    """The seats of one room.  Keeps digests of tokens, never the tokens.

    Args:
        random: source of tokens.

    Attributes:
        by_player: seats by player number.
        by_digest: seats by the digests of all tokens that open them.
    """

    def __init__(self, random: RandomBytes = os.urandom) -> None:
        self.by_player: dict[int, Seat] = {}
        self.by_digest: dict[bytes, Seat] = {}
        self._random = random
        self._secret = random(32)

    def add(
        self, player: int, link: Link, identity: bytes | None, *, wants_absences: bool, chosen: int | None
    ) -> tuple[Seat, int]:
        """Add a seat; returns it and its token.

        Args:
            player: number of the player.
            link: the player's connection.
            identity: the Ed25519 key that the player proved; None if they proved none.
            wants_absences: send it notices about absent players.
            chosen: a token of the player's own, which also opens the seat until the other one is confirmed.
        """
        token = self._new_token()
        seat = Seat(player, self._digest(token), link, identity, wants_absences=wants_absences)
        self.by_player[player] = self.by_digest[seat.digest] = seat
        # A chosen token that another seat has is ignored: a refusal would tell a guesser that it exists.
        if chosen is not None and (digest := self._digest(chosen)) not in self.by_digest:
            seat.previous_digest, self.by_digest[digest] = digest, seat
        return seat, token

    def remove(self, seat: Seat) -> None:
        """Remove a seat with all its tokens."""
        self.confirm(seat)
        del self.by_player[seat.player], self.by_digest[seat.digest]

    def find(self, token: int) -> Seat | None:
        """The seat that a token opens, or None."""
        seat = self.by_digest.get(self._digest(token))
        return seat if seat is not None and self.opens(token, seat) else None

    def opens(self, token: int, seat: Seat) -> bool:
        """Whether a token, or the previous one while it is valid, opens a seat; in constant time."""
        digest = self._digest(token)
        is_new = hmac.compare_digest(seat.digest, digest)
        return hmac.compare_digest(seat.previous_digest or seat.digest, digest) or is_new

    def rotate(self, seat: Seat, used: int) -> int:
        """Give a seat a new token and return it.  The used token stays valid until :meth:`confirm`."""
        token, digest = self._new_token(), self._digest(used)
        if seat.digest != digest:
            del self.by_digest[seat.digest]
        elif seat.previous_digest is not None:
            del self.by_digest[seat.previous_digest]
        seat.digest, seat.previous_digest = self._digest(token), digest
        self.by_digest[seat.digest] = seat
        return token

    def confirm(self, seat: Seat) -> None:
        """Revoke the previous token, because the player has the current one."""
        if seat.previous_digest is not None:
            del self.by_digest[seat.previous_digest]
            seat.previous_digest = None

    def _new_token(self) -> int:
        return int.from_bytes(self._random(8), "big")

    def _digest(self, token: int) -> bytes:
        return hashlib.blake2b(token.to_bytes(8, "big"), key=self._secret, digest_size=32).digest()
