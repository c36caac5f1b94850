"""One relay room: seats, and which message reaches which player.  It gets connections and times as arguments.

The rules are those of docs/protocol/rooms.md.  Every call for a connection names it, so
late work of an old connection, which is in no seat any more, does nothing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from teleglyph.errors import SeatRefusedError
from teleglyph.rooms import end_texts as texts
from teleglyph.rooms.seats import HOST, Link, RandomBytes, Seat, SeatTable
from teleglyph.wire.rooms import extended
from teleglyph.wire.rooms import messages as wire
from teleglyph.wire.rooms.extended import Extended
from teleglyph.wire.rooms.messages import FromGuest, FromHost, JoinReply


@dataclass(frozen=True, slots=True)
class GameRules:
    """The rules for the rooms of a game.

    Attributes:
        name: the game's name in join requests.
        max_players: including the host; 0: no limit.
        grace: seconds for which a seat is kept for its player, and a room for its host.
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
    """Guests' messages that wait for an absent host."""
    held_bytes: int = 256 << 10


@dataclass(slots=True)
class RoomCounters:
    """Messages that passed through a room."""

    messages_in: int = 0
    messages_out: int = 0
    refused_while_away: int = 0
    """Messages to an absent host that were dropped because too many waited."""
    malformed_kicks: int = 0
    malformed_messages: int = 0
    """Invalid messages to single players."""
    takeovers: int = 0


@dataclass(slots=True)
class _HeldMessages:
    queue: deque[tuple[Seat, bytes]] = field(default_factory=deque)
    size: int = 0


class RelayRoom:
    """A host, guests and their seats.

    Args:
        name: chosen by the host.
        rules: the game's rules when the room was created.
        variation: of the rules, for the players.
        host: the host's connection.
        limits: bounds.
        on_end: called once when the room ends, with the reason.
        random: source of tokens.
        identity: the host's proven Ed25519 key.
        is_public: the room may be listed.
        wants_absences: send the host notices about absent players.
        chosen: the host's own token, which opens its seat until it confirms the relay's.
    """

    def __init__(
        self,
        name: str,
        rules: GameRules,
        variation: int,
        host: Link,
        *,
        limits: RoomLimits | None = None,
        on_end: Callable[[RelayRoom, str], None] = lambda _room, _reason: None,
        random: RandomBytes = os.urandom,
        identity: bytes | None = None,
        is_public: bool = False,
        wants_absences: bool = False,
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
        self._next = 1
        self._seats = SeatTable(random)
        self._present: dict[int, Seat] = {}
        """Connected guests, in the order in which they came."""
        self._held = _HeldMessages()
        self._left: set[int] = set()
        """Guests who left (and did not just lose their connection) since the round began."""
        self._host = self._add_seat(HOST, host, identity, wants_absences=wants_absences, chosen=chosen)

    # --- players --------------------------------------------------------------------------------------

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
        """Numbers of the connected guests, in the order in which they came."""
        return list(self._present)

    def player_count(self, now: float) -> int:
        """Number of occupied seats: the host's, those of connected guests, and those kept for absent ones."""
        kept = sum(
            seat.link is None and seat.player != HOST and seat.reserved_until > now
            for seat in self._seats.by_player.values()
        )
        return 1 + len(self._present) + kept

    def is_host_token(self, token: int) -> bool:
        """Whether a token opens the host's seat."""
        return self._seats.opens(token, self._host)

    def current_players(self, now: float) -> list[int]:
        """Numbers of the host, the connected guests, and those whose seat is kept."""
        return [
            seat.player
            for seat in self._seats.by_player.values()
            if seat.player == HOST or seat.link is not None or seat.reserved_until > now
        ]

    def round_players(self, now: float) -> list[int]:
        """Numbers of those who may have played in this round: current players, and guests who left since it began."""
        return sorted({*self.current_players(now), *(self._left & self._seats.by_player.keys())})

    def begin_round(self) -> None:
        """Start a new round, and forget who left in the previous one."""
        self._left.clear()

    def identities(self, players: Iterable[int]) -> dict[int, str]:
        """The keys that players proved, 64 hexadecimal digits each; without players that proved none."""
        seats = [seat for player in players if (seat := self._seats.by_player.get(player)) is not None]
        return {seat.player: seat.identity.hex() for seat in seats if seat.identity is not None}

    # --- joining --------------------------------------------------------------------------------------

    def join(
        self,
        link: Link,
        now: float,
        identity: bytes | None = None,
        *,
        wants_absences: bool = False,
        chosen: int | None = None,
    ) -> Seat:
        """Seat a new guest.

        Args:
            link: the guest's connection.
            now: as from ``time.monotonic``.
            identity: the Ed25519 key that it proved.
            wants_absences: send it notices when the host is away.
            chosen: its own token, which opens its seat until it confirms the relay's.

        Raises:
            SeatRefusedError: the room is full.
        """
        self._check_capacity(now)
        if self._next > wire.MAX_PLAYER_ID:
            raise SeatRefusedError(f"Room {self.name} run out of client ids.")
        player, self._next = self._next, self._next + 1
        seat = self._add_seat(player, link, identity, wants_absences=wants_absences, chosen=chosen)
        self._send_host_absence(seat, now)
        self._seat_guest(seat)
        return seat

    def rejoin(
        self,
        token: int,
        link: Link,
        now: float,
        identity: bytes | None = None,
        *,
        rotates: bool = False,
        wants_absences: bool = False,
    ) -> Seat:
        """Seat a player that holds a seat's token, and close the connection in that seat.

        Args:
            token: opens the seat.
            link: the player's new connection.
            now: as from ``time.monotonic``.
            identity: the Ed25519 key that it proved.
            rotates: it wants a new token.
            wants_absences: send it notices about absent players.

        Raises:
            SeatRefusedError: no seat has that token, the seat belongs to another identity, or it is no longer kept and
                the room is full.
        """
        seat = self._seats.find(token)
        if seat is None:
            raise SeatRefusedError(texts.WRONG_TOKEN)
        if seat.identity is not None and seat.identity != identity:
            raise SeatRefusedError(texts.WRONG_IDENTITY)
        if seat.player != HOST and seat.link is None and seat.reserved_until <= now:
            self._check_capacity(now)
        old, seat.link = seat.link, None
        if old is not None:
            self.counters.takeovers += 1
            self._present.pop(seat.player, None)
            if seat.player != HOST:
                self._announce_leave(seat, self.rules.grace)
            old.end(texts.TAKEN_OVER)
        seat.link, seat.wants_absences = link, wants_absences
        self._left.discard(seat.player)
        if rotates:
            token = self._seats.rotate(seat, token)
        self._reply(seat, link, token)
        if seat.player == HOST:
            self._resume_host(now)
        else:
            self._send_host_absence(seat, now)
            self._seat_guest(seat)
        return seat

    def _check_capacity(self, now: float) -> None:
        most = self.rules.max_players
        if most and self.player_count(now) >= most:
            raise SeatRefusedError(f"Room  {self.name} exceeded max amount of players {most}.")

    def _add_seat(
        self, player: int, link: Link, identity: bytes | None, *, wants_absences: bool, chosen: int | None
    ) -> Seat:
        seat, token = self._seats.add(player, link, identity, wants_absences=wants_absences, chosen=chosen)
        self._reply(seat, link, token)
        return seat

    def _reply(self, seat: Seat, link: Link, token: int) -> None:
        self._send(link, JoinReply(seat.player, self.variation, token).encode())
        if seat.wants_absences:
            self._send(link, extended.seat_kept(seat.player, self.rules.grace))

    def _send_host_absence(self, seat: Seat, now: float) -> None:
        if seat.wants_absences and seat.link is not None and self.deadline is not None:
            self._send(seat.link, extended.seat_kept(HOST, max(0.001, self.deadline - now)))

    def _broadcast_host_absence(self, seconds: float) -> None:
        for seat in self._present.values():
            if seat.wants_absences and seat.link is not None:
                self._send(seat.link, extended.seat_kept(HOST, seconds))

    def _seat_guest(self, seat: Seat) -> None:
        seat.is_synced = False
        self._present[seat.player] = seat
        if self._host.link is not None:
            self._announce(self._host.link, seat)

    def _announce(self, host: Link, seat: Seat) -> None:
        seat.is_announced = True
        if host.is_extended and seat.identity is not None:
            self._send(host, extended.player_is(seat.player, seat.identity))
        self._send(host, wire.player_came(seat.player))

    def _resume_host(self, now: float) -> None:
        """Send the host's new connection all players, those who left meanwhile, and the guests' held messages."""
        if self.deadline is not None:
            self._broadcast_host_absence(0.0)
        self.deadline = None
        link = self._host.link
        if link is None:
            return
        for seat in self._present.values():
            seat.is_synced = False
            self._announce(link, seat)
        for seat in self._seats.by_player.values():
            if seat.player == HOST or seat.link is not None:
                continue
            if self._host.wants_absences and seat.reserved_until > now:
                self._send(link, extended.seat_kept(seat.player, seat.reserved_until - now))
            if seat.is_announced:
                seat.is_announced = False
                self._send(link, wire.player_left(seat.player))
        held, self._held = self._held, _HeldMessages()
        for seat, message in held.queue:
            if seat.link is not None:
                self._send(link, wire.rpc_from(seat.player, message))

    # --- messages -------------------------------------------------------------------------------------

    def receive(self, seat: Seat, link: Link, message: bytes, now: float) -> None:
        """Handle a binary message; does nothing if the connection is no longer in the seat."""
        if seat.link is not link or self.is_over:
            return
        self.counters.messages_in += 1
        if not message:
            self.leave(seat, link, texts.EMPTY_MESSAGE, now)
        elif link.is_extended and message == extended.TOKEN_KEPT:
            self._seats.confirm(seat)
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
                link.end(texts.HOST_LEFT)
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
                self._forward_to_player(message)
            case _:
                self.leave(self._host, link, texts.ILLEGAL_FROM_HOST, now)

    def _forward_to_player(self, message: bytes) -> None:
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
        seat = self._seats.by_player.get(player)
        if seat is None or player == HOST:
            return
        self._seats.remove(seat)
        link, seat.link = seat.link, None
        self._present.pop(player, None)
        self._announce_leave(seat)
        if link is not None:
            link.end(texts.KICKED)

    def _from_guest(self, seat: Seat, link: Link, message: bytes, now: float) -> None:
        match message[0]:
            case FromGuest.RPC if self._host.link is not None:
                self._send(self._host.link, wire.rpc_from(seat.player, message))
            case FromGuest.RPC:
                self._hold(seat, message)
            case FromGuest.LEAVE:
                self.leave(seat, link, texts.GUEST_LEFT, now, returns=False)
            case _:
                self.leave(seat, link, texts.ILLEGAL_FROM_GUEST, now)

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

    # --- leaving --------------------------------------------------------------------------------------

    def leave(self, seat: Seat, link: Link, text: str, now: float, *, returns: bool = True) -> None:
        """End a connection; only closes it if it is no longer in the seat.

        Args:
            seat: the connection's seat.
            link: the connection.
            text: the last message to it.
            now: as from ``time.monotonic``.
            returns: keep its seat for a while.
        """
        if seat.link is not link or self.is_over:
            link.end(text)
            return
        seat.link, seat.is_synced = None, False
        link.end(text)
        if seat.player == HOST:
            self.deadline = now + self.rules.grace
            if self.rules.grace > 0:
                self._broadcast_host_absence(self.rules.grace)
            return
        self._present.pop(seat.player, None)
        seat.reserved_until = now + self.rules.grace if returns else 0.0
        if not returns:
            self._left.add(seat.player)
        self._announce_leave(seat, self.rules.grace if returns else 0.0)

    def _announce_leave(self, seat: Seat, kept: float = 0.0) -> None:
        if self._host.link is not None and seat.is_announced:
            seat.is_announced = False
            if kept > 0 and self._host.wants_absences:
                self._send(self._host.link, extended.seat_kept(seat.player, kept))
            self._send(self._host.link, wire.player_left(seat.player))

    def postpone(self, seconds: float) -> None:
        """Extend the deadlines of all absent players."""
        if self.deadline is not None:
            self.deadline += seconds
        for seat in self._seats.by_player.values():
            if seat.reserved_until:
                seat.reserved_until += seconds

    def expire(self, now: float) -> None:
        """End the room if its host did not return in time."""
        if self.deadline is not None and now >= self.deadline and not self.is_over:
            self._end("the host did not return", texts.HOST_GONE)

    def close(self, reason: str) -> None:
        """End the room from outside."""
        link, self._host.link = self._host.link, None
        if link is not None:
            link.end(reason)
        self._end(reason, reason)

    def _end(self, reason: str, text: str = texts.ROOM_ENDED) -> None:
        """``text`` is for guests that want notices; the others get the text of the original relay."""
        if self.is_over:
            return
        self.is_over, self.deadline = True, None
        for seat in self._present.values():
            link, seat.link = seat.link, None
            if link is not None:
                link.end(text if seat.wants_absences else texts.ROOM_ENDED)
        self._present.clear()
        self._held = _HeldMessages()
        self._on_end(self, reason)
