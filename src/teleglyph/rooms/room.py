"""One room: seats, who sits there, what reaches whom.  No socket and no clock: links and times are handed in.

The rules are those of spec rooms 5 to 9 with the requirements of section 14.  A room is an object with connections in
its seats; late work of an old connection names that connection, finds it gone and does nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from teleglyph.errors import SeatRefusedError
from teleglyph.wire.rooms import extended
from teleglyph.wire.rooms import messages as wire
from teleglyph.wire.rooms.extended import Extended
from teleglyph.wire.rooms.messages import FromGuest, FromHost, JoinReply

HOST = 0
RandomBytes = Callable[[int], bytes]

# Texts of spec rooms 6 and 8; programs compare them.
EMPTY_MESSAGE = "Illegal empty message received."
ILLEGAL_FROM_HOST = "Illegal Server -> Client command."
ILLEGAL_FROM_GUEST = "Illegal Command from client"
HOST_LEFT = "Server disconnected intentionally"
GUEST_LEFT = "Client disconnected intentionally"
ROOM_ENDED = "Server has left the game."
HOST_GONE = "The host did not return."
"""Instead of the text before, to guests that asked to be told who is away."""
KICKED = "We got rejected by server."
TAKEN_OVER = "This seat was taken over by another connection."
WRONG_TOKEN = "Invalid reconnect token."  # noqa: S105 - a text, no token
WRONG_IDENTITY = "This seat belongs to an identity that was not proved."


class Link(Protocol):
    """A player's connection, as its room sees it.  Neither method waits or raises."""

    @property
    def is_extended(self) -> bool:
        """The player speaks ``teleglyph.rooms.1``."""

    def send(self, message: bytes) -> None:
        """Queue a message."""

    def end(self, text: str) -> None:
        """Queue an error message and close; nothing is sent any more."""


@dataclass(frozen=True, slots=True)
class GameRules:
    """What holds for the rooms of a game.

    Attributes:
        name: as players name it.
        max_players: the host included; 0 is any number.
        grace: seconds for which a seat waits for its player, and a room for its host.
        max_message: bytes of one message.
        is_public: its rooms may be listed.
    """

    name: str
    max_players: int = 0
    grace: float = 30.0
    max_message: int = 64 << 10
    is_public: bool = False


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """Bounds of one room."""

    held_messages: int = 256
    """Messages of guests that wait for an absent host."""
    held_bytes: int = 256 << 10


@dataclass(slots=True, eq=False)
class Seat:
    """A place in a room, for as long as the room lives.

    Attributes:
        player: its number; 0 is the host's.
        digest: of the token that takes it again.
        link: who sits there now; None while nobody does.
        is_synced: the player has got a full state from the present host connection.
        is_announced: the host was told that the player is there, and not yet that it is gone.
        reserved_until: until when nobody else gets the place.
        identity: the Ed25519 key that its player proved at first, and has to prove to come back; None if it did not.
        previous_digest: of the token before, until its player says that it has the new one.
        is_told: the present connection wants to know who is away, and for how long a seat is kept.
    """

    player: int
    digest: bytes
    link: Link | None = None
    identity: bytes | None = None
    previous_digest: bytes | None = None
    is_synced: bool = False
    is_announced: bool = False
    reserved_until: float = 0.0
    is_told: bool = False


@dataclass(slots=True)
class RoomCounters:
    """What went through a room."""

    messages_in: int = 0
    messages_out: int = 0
    refused_while_away: int = 0
    """Messages to an absent host that found no room to wait in."""
    malformed_kicks: int = 0
    malformed_messages: int = 0
    """Messages to single players that were none."""
    takeovers: int = 0


@dataclass(slots=True)
class _Held:
    queue: deque[tuple[Seat, bytes]] = field(default_factory=deque)
    size: int = 0


class Room:
    """A room whose host has just come.

    Args:
        name: chosen by the host.
        rules: the game's, as they were when the room was made.
        variation: of the rules, for the players.
        host: the host's connection.
        limits: bounds.
        on_end: called once when the room is over, with the reason.
        random: source of tokens.
        identity: the host's proven Ed25519 key.
        is_public: the room may be listed.
        is_told: the host wants to know who is away.
        chosen: a token that the host made up; good for its seat until it confirms the relay's.
    """

    def __init__(
        self,
        name: str,
        rules: GameRules,
        variation: int,
        host: Link,
        *,
        limits: RoomLimits | None = None,
        on_end: Callable[[Room, str], None] = lambda _room, _reason: None,
        random: RandomBytes = os.urandom,
        identity: bytes | None = None,
        is_public: bool = False,
        is_told: bool = False,
        chosen: int | None = None,
    ) -> None:
        self.name = name
        self.rules = rules
        self.variation = variation
        self.id = random(16).hex()
        self.is_public = is_public or rules.is_public
        self.counters = RoomCounters()
        self.is_over = False
        self.deadline: float | None = None
        """When the room ends unless its host returns."""
        self._limits = limits or RoomLimits()
        self._on_end = on_end
        self._random = random
        self._secret = random(32)
        self._next = 1
        self._seats: dict[int, Seat] = {}
        self._by_digest: dict[bytes, Seat] = {}
        self._present: dict[int, Seat] = {}
        """Guests who are there, in the order in which they came."""
        self._held = _Held()
        self._left: set[int] = set()
        """Guests who left for good since the round began."""
        self._host = self._take_place(HOST, host, identity, is_told=is_told, chosen=chosen)

    # --- who is there ---------------------------------------------------------------------------------

    @property
    def host(self) -> Seat:
        """The host's seat."""
        return self._host

    @property
    def host_link(self) -> Link | None:
        """The host's connection; None while it is away."""
        return self._host.link

    @property
    def guests(self) -> list[int]:
        """Numbers of the guests who are there, in the order in which they came."""
        return list(self._present)

    def players(self, now: float) -> int:
        """Places that are taken: the host's, those of guests who are there, and those kept for who may return."""
        kept = sum(
            seat.link is None and seat.player != HOST and seat.reserved_until > now for seat in self._seats.values()
        )
        return 1 + len(self._present) + kept

    def seat_of(self, player: int) -> Seat | None:
        """A place by its number; None if it was never given, or its player was kicked."""
        return self._seats.get(player)

    def is_host_token(self, token: int) -> bool:
        """Whether somebody holds the host's seat."""
        return _holds(self._host, self._digest(token))

    def sitting(self, now: float) -> list[int]:
        """Who takes part: the host, the guests who are there, and those whose place is kept."""
        return [
            seat.player
            for seat in self._seats.values()
            if seat.player == HOST or seat.link is not None or seat.reserved_until > now
        ]

    def took_part(self, now: float) -> list[int]:
        """Who may have a part in the round: those sitting here, and guests who left since it began."""
        return sorted({*self.sitting(now), *(self._left & self._seats.keys())})

    def begin_round(self) -> None:
        """A round is over and the next one begins."""
        self._left.clear()

    def identities(self, players: Iterable[int]) -> dict[int, str]:
        """The keys that players proved, 64 hexadecimal digits each; who proved none is left out."""
        seats = [self._seats[player] for player in players if player in self._seats]
        return {seat.player: seat.identity.hex() for seat in seats if seat.identity is not None}

    # --- coming ---------------------------------------------------------------------------------------

    def join(
        self,
        link: Link,
        now: float,
        identity: bytes | None = None,
        *,
        is_told: bool = False,
        chosen: int | None = None,
    ) -> Seat:
        """A new guest.

        Args:
            link: the guest's connection.
            now: on the monotonic clock.
            identity: the Ed25519 key that it proved.
            is_told: it wants to know when the host is away.
            chosen: a token that it made up; good for its seat until it confirms the relay's.

        Raises:
            SeatRefusedError: there is no place.
        """
        self._require_place(now)
        if self._next > wire.MAX_PLAYER_ID:
            raise SeatRefusedError(f"Room {self.name} run out of client ids.")
        player, self._next = self._next, self._next + 1
        seat = self._take_place(player, link, identity, is_told=is_told, chosen=chosen)
        self._tell_of_absent_host(seat, now)
        self._arrive(seat)
        return seat

    def rejoin(
        self,
        token: int,
        link: Link,
        now: float,
        identity: bytes | None = None,
        *,
        rotates: bool = False,
        is_told: bool = False,
    ) -> Seat:
        """Somebody who holds a seat's token; whoever sits there has to go.

        Args:
            token: of the seat.
            link: the new connection.
            now: on the monotonic clock.
            identity: the Ed25519 key that it proved.
            rotates: it wants a new token.
            is_told: it wants to know who is away.

        Raises:
            SeatRefusedError: no seat has that token, the seat belongs to another identity, or its place was given away
                and the room is full.
        """
        digest = self._digest(token)
        seat = self._by_digest.get(digest)
        if seat is None or not _holds(seat, digest):
            raise SeatRefusedError(WRONG_TOKEN)
        if seat.identity is not None and seat.identity != identity:
            raise SeatRefusedError(WRONG_IDENTITY)
        if seat.player != HOST and seat.link is None and seat.reserved_until <= now:
            self._require_place(now)
        old, seat.link = seat.link, None
        if old is not None:
            self.counters.takeovers += 1
            self._present.pop(seat.player, None)
            if seat.player != HOST:
                self._tell_host_of_leave(seat, self.rules.grace)
            old.end(TAKEN_OVER)
        seat.link, seat.is_told = link, is_told
        self._left.discard(seat.player)
        if rotates:
            token = self._rotate(seat, digest)
        self._reply(seat, link, token)
        if seat.player == HOST:
            self._host_returns(now)
        else:
            self._tell_of_absent_host(seat, now)
            self._arrive(seat)
        return seat

    def _require_place(self, now: float) -> None:
        most = self.rules.max_players
        if most and self.players(now) >= most:
            raise SeatRefusedError(f"Room  {self.name} exceeded max amount of players {most}.")

    def _rotate(self, seat: Seat, used: bytes) -> int:
        """Give a seat a new token.  The one that was used stays good until the new one has arrived."""
        token = int.from_bytes(self._random(8), "big")
        if seat.digest != used:
            del self._by_digest[seat.digest]
        elif seat.previous_digest is not None:
            del self._by_digest[seat.previous_digest]
        seat.digest, seat.previous_digest = self._digest(token), used
        self._by_digest[seat.digest] = seat
        return token

    def _forget_previous(self, seat: Seat) -> None:
        if seat.previous_digest is not None:
            del self._by_digest[seat.previous_digest]
            seat.previous_digest = None

    def _take_place(
        self, player: int, link: Link, identity: bytes | None, *, is_told: bool, chosen: int | None
    ) -> Seat:
        token = int.from_bytes(self._random(8), "big")
        seat = Seat(player, self._digest(token), link, identity, is_told=is_told)
        self._seats[player] = self._by_digest[seat.digest] = seat
        # A token that another seat has is ignored without a word: a refusal would tell a guesser that it exists.
        if chosen is not None and (digest := self._digest(chosen)) not in self._by_digest:
            seat.previous_digest, self._by_digest[digest] = digest, seat
        self._reply(seat, link, token)
        return seat

    def _reply(self, seat: Seat, link: Link, token: int) -> None:
        self._send(link, JoinReply(seat.player, self.variation, token).encode())
        if seat.is_told:
            self._send(link, extended.seat_kept(seat.player, self.rules.grace))

    def _tell_of_absent_host(self, seat: Seat, now: float) -> None:
        if seat.is_told and seat.link is not None and self.deadline is not None:
            self._send(seat.link, extended.seat_kept(HOST, max(0.001, self.deadline - now)))

    def _tell_guests_of_host(self, seconds: float) -> None:
        for seat in self._present.values():
            if seat.is_told and seat.link is not None:
                self._send(seat.link, extended.seat_kept(HOST, seconds))

    def _digest(self, token: int) -> bytes:
        return hashlib.blake2b(token.to_bytes(8, "big"), key=self._secret, digest_size=32).digest()

    def _arrive(self, seat: Seat) -> None:
        seat.is_synced = False
        self._present[seat.player] = seat
        if self._host.link is not None:
            self._announce(self._host.link, seat)

    def _announce(self, host: Link, seat: Seat) -> None:
        seat.is_announced = True
        if host.is_extended and seat.identity is not None:
            self._send(host, extended.player_is(seat.player, seat.identity))
        self._send(host, wire.player_came(seat.player))

    def _host_returns(self, now: float) -> None:
        """Tell the host's new connection who is there, who left meanwhile, and what guests wanted."""
        if self.deadline is not None:
            self._tell_guests_of_host(0.0)
        self.deadline = None
        link = self._host.link
        if link is None:
            return
        for seat in self._present.values():
            seat.is_synced = False
            self._announce(link, seat)
        for seat in self._seats.values():
            if seat.player == HOST or seat.link is not None:
                continue
            if self._host.is_told and seat.reserved_until > now:
                self._send(link, extended.seat_kept(seat.player, seat.reserved_until - now))
            if seat.is_announced:
                seat.is_announced = False
                self._send(link, wire.player_left(seat.player))
        held, self._held = self._held, _Held()
        for seat, message in held.queue:
            if seat.link is not None:
                self._send(link, wire.rpc_from(seat.player, message))

    # --- speaking -------------------------------------------------------------------------------------

    def receive(self, seat: Seat, link: Link, message: bytes, now: float) -> None:
        """A binary message of a connection; nothing happens if it does not sit there any more."""
        if seat.link is not link or self.is_over:
            return
        self.counters.messages_in += 1
        if not message:
            self.leave(seat, link, EMPTY_MESSAGE, now)
        elif link.is_extended and message == extended.TOKEN_KEPT:
            self._forget_previous(seat)
        elif link.is_extended and message == extended.STILL_HERE:
            pass
        elif seat.player == HOST:
            self._from_host(link, message, now)
        else:
            self._from_guest(seat, link, message, now)

    def _from_host(self, link: Link, message: bytes, now: float) -> None:
        match message[0]:
            case FromHost.END:
                self._host.link = None
                link.end(HOST_LEFT)
                self._end("the host ended it")
            case FromHost.KICK:
                self._kick(wire.kicked_player(message))
            case FromHost.DELTA:
                self._broadcast(message, lambda seat: seat.is_synced)
            case FromHost.FULL:
                self._broadcast(message, lambda seat: not seat.is_synced)
            case FromHost.RESET:
                self._broadcast(message, lambda seat: True)
            case Extended.ONLY_FOR if link.is_extended:
                self._pass_to_one(message)
            case _:
                self.leave(self._host, link, ILLEGAL_FROM_HOST, now)

    def _pass_to_one(self, message: bytes) -> None:
        decoded = extended.decode_only_for(message)
        if decoded is None:
            self.counters.malformed_messages += 1
            return
        player, inner = decoded
        seat = self._present.get(player)
        is_state = inner[0] != FromHost.DELTA
        if seat is not None and seat.link is not None and (is_state or seat.is_synced):
            seat.is_synced = True
            self._send(seat.link, inner)

    def _broadcast(self, message: bytes, concerns: Callable[[Seat], bool]) -> None:
        is_state = message[0] != FromHost.DELTA
        for seat in self._present.values():
            if seat.link is not None and concerns(seat):
                seat.is_synced = seat.is_synced or is_state
                self._send(seat.link, message)

    def _kick(self, player: int | None) -> None:
        if player is None:
            self.counters.malformed_kicks += 1
            return
        seat = self._seats.get(player)
        if seat is None or player == HOST:
            return
        # The token must not open the room again.
        self._forget_previous(seat)
        del self._seats[player], self._by_digest[seat.digest]
        link, seat.link = seat.link, None
        self._present.pop(player, None)
        self._tell_host_of_leave(seat)
        if link is not None:
            link.end(KICKED)

    def _from_guest(self, seat: Seat, link: Link, message: bytes, now: float) -> None:
        match message[0]:
            case FromGuest.RPC if self._host.link is not None:
                self._send(self._host.link, wire.rpc_from(seat.player, message))
            case FromGuest.RPC:
                self._hold(seat, message)
            case FromGuest.LEAVE:
                self.leave(seat, link, GUEST_LEFT, now, returns=False)
            case _:
                self.leave(seat, link, ILLEGAL_FROM_GUEST, now)

    def _hold(self, seat: Seat, message: bytes) -> None:
        held, limits = self._held, self._limits
        if len(held.queue) >= limits.held_messages or held.size + len(message) > limits.held_bytes:
            self.counters.refused_while_away += 1
            return
        held.queue.append((seat, message))
        held.size += len(message)

    def _send(self, link: Link, message: bytes) -> None:
        self.counters.messages_out += 1
        link.send(message)

    # --- going ----------------------------------------------------------------------------------------

    def leave(self, seat: Seat, link: Link, text: str, now: float, *, returns: bool = True) -> None:
        """A connection is over; nothing happens if it does not sit there any more.

        Args:
            seat: that the connection had.
            link: the connection.
            text: what it is told, if it still listens.
            now: on the monotonic clock.
            returns: its place is kept for a while.
        """
        if seat.link is not link or self.is_over:
            link.end(text)
            return
        seat.link, seat.is_synced = None, False
        link.end(text)
        if seat.player == HOST:
            self.deadline = now + self.rules.grace
            if self.rules.grace > 0:
                self._tell_guests_of_host(self.rules.grace)
            return
        self._present.pop(seat.player, None)
        seat.reserved_until = now + self.rules.grace if returns else 0.0
        if not returns:
            self._left.add(seat.player)
        self._tell_host_of_leave(seat, self.rules.grace if returns else 0.0)

    def _tell_host_of_leave(self, seat: Seat, kept: float = 0.0) -> None:
        if self._host.link is not None and seat.is_announced:
            seat.is_announced = False
            if kept > 0 and self._host.is_told:
                self._send(self._host.link, extended.seat_kept(seat.player, kept))
            self._send(self._host.link, wire.player_left(seat.player))

    def postpone(self, seconds: float) -> None:
        """Let what waits for somebody's return wait longer."""
        if self.deadline is not None:
            self.deadline += seconds
        for seat in self._seats.values():
            if seat.reserved_until:
                seat.reserved_until += seconds

    def expire(self, now: float) -> None:
        """End the room if its host did not return in time."""
        if self.deadline is not None and now >= self.deadline and not self.is_over:
            self._end("the host did not return", HOST_GONE)

    def close(self, reason: str) -> None:
        """End the room from outside."""
        link, self._host.link = self._host.link, None
        if link is not None:
            link.end(reason)
        self._end(reason, reason)

    def _end(self, reason: str, text: str = ROOM_ENDED) -> None:
        """``text`` is for guests that asked to be told; the others get the one that every relay sends."""
        if self.is_over:
            return
        self.is_over, self.deadline = True, None
        for seat in self._present.values():
            link, seat.link = seat.link, None
            if link is not None:
                link.end(text if seat.is_told else ROOM_ENDED)
        self._present.clear()
        self._held = _Held()
        self._on_end(self, reason)


def _holds(seat: Seat, digest: bytes) -> bool:
    """Whether a digest is that of the seat's token, or of the one before while that is still good; in constant time."""
    is_new = hmac.compare_digest(seat.digest, digest)
    return hmac.compare_digest(seat.previous_digest or seat.digest, digest) or is_new
