"""All relay rooms of a server: checks who may create and join them."""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from teleglyph.errors import ProtocolError, SeatRefusedError, VerificationError
from teleglyph.net import GuessLimiter
from teleglyph.rooms.end_texts import WRONG_TOKEN
from teleglyph.rooms.room import GameRules, RelayRoom, RoomLimits
from teleglyph.rooms.seats import Link, Seat
from teleglyph.wire.rooms.extended import JoinExtras
from teleglyph.wire.rooms.messages import JoinRequest

_BEARER = re.compile(r"Bearer ([0-9a-fA-F]{16})")
NO_MESSAGE = "Initial error during handshake."
GUESSES = "Too many wrong tokens, try again later."
NOT_PROVED = "The identity was not proved."
NO_REQUEST = "Failed to parse join request."


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """Bounds of all rooms together."""

    rooms: int = 10_000
    rooms_per_address: int = 50
    """Open rooms created from one address; 0: no limit."""
    name_bytes: int = 128
    room: RoomLimits = RoomLimits()


@dataclass(frozen=True, slots=True)
class Greeting:
    """The greeting to a player that speaks ``teleglyph.rooms.1``.

    Attributes:
        hosts: the server's names; a proof is valid for one of them.
        challenge: bytes to sign to prove an identity.
        hint: if the player asked for another host: the server's names, as the end of a sentence.
    """

    hosts: tuple[str, ...]
    challenge: bytes
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Player:
    """A connection in its seat."""

    room: RelayRoom
    seat: Seat
    link: Link


class Relay:
    """The rooms of a server.

    Args:
        games: the allowed games.
        limits: bounds.
        on_start, on_end: called when a room was created, and when it ended, with the reason.
    """

    def __init__(
        self,
        games: Iterable[GameRules] = (),
        limits: RelayLimits | None = None,
        *,
        on_start: Callable[[RelayRoom], None] = lambda _room: None,
        on_end: Callable[[RelayRoom, str], None] = lambda _room, _reason: None,
    ) -> None:
        self.limits = limits or RelayLimits()
        self.rooms: dict[tuple[str, str], RelayRoom] = {}
        """The rooms by game and name."""
        self._games: dict[str, GameRules] = {}
        self._on_start, self._on_end = on_start, on_end
        self._guesses = GuessLimiter(burst=3, first=1.0)
        self._creators: dict[RelayRoom, str] = {}
        self._created: Counter[str] = Counter()
        self.set_games(games)

    def set_games(self, games: Iterable[GameRules]) -> None:
        """Replace games and rules; existing rooms keep theirs."""
        self._games = {game.name: game for game in games}

    @property
    def games(self) -> list[GameRules]:
        """The allowed games."""
        return list(self._games.values())

    def public_rooms(self) -> list[RelayRoom]:
        """The rooms that may be listed."""
        return [room for room in self.rooms.values() if room.is_public]

    def enter(self, data: bytes, link: Link, network: str, now: float, greeting: Greeting | None = None) -> Player:
        """Handle a connection's first message: create a room, join one, or return to a seat.

        Args:
            data: the join request.
            link: the connection; the reply is its first message.
            network: its address, as limits count it.
            now: the time in seconds.
            greeting: sent to it before; None if it speaks the plain protocol.

        Raises:
            SeatRefusedError: with the text for the player; nothing was changed.
        """
        request, extras = self._decode(data, greeting)
        self._check_names(request)
        self._check_identity(request, extras, greeting, network, now)
        room = self.rooms.get((request.game, request.room))
        rules = self._games.get(request.game)
        if rules is None and (room is None or request.token is None):
            raise SeatRefusedError(f"Unknown game {request.game}.")
        if request.token is not None:
            return self._return(request, extras, request.token, room, link, network, now)
        if request.create:
            if room is not None:
                raise SeatRefusedError(f"Room {request.room} already exists for game {request.game}.")
            return self._create(request, extras, rules or GameRules(request.game), link, network)
        if room is None:
            raise SeatRefusedError(f"Room {request.room} does not exist for game {request.game}.")
        seat = room.join(link, now, extras.key or None, wants_absences=extras.wants_absences, chosen=extras.chosen)
        return Player(room, seat, link)

    def is_host(self, room: RelayRoom, authorization: str, network: str, now: float | None = None) -> bool:
        """Whether an ``Authorization`` header (``Bearer`` and the token as 16 hexadecimal digits) is the host's.

        Wrong tokens count as guesses of the address.
        """
        now = time.monotonic() if now is None else now
        found = _BEARER.fullmatch(authorization)
        if self._guesses.attempt(network, now) > 0:
            return False
        if found is None or not room.is_host_token(int(found[1], 16)):
            self._guesses.failed(network, now)
            return False
        self._guesses.succeeded(network, now)
        return True

    def expire(self, now: float) -> None:
        """End the rooms whose host did not return in time."""
        for room in list(self.rooms.values()):
            room.expire(now)

    def postpone(self, seconds: float) -> None:
        """Extend all deadlines by a time in which the relay was stopped."""
        for room in self.rooms.values():
            room.postpone(seconds)

    def close(self, reason: str) -> None:
        """End all rooms."""
        for room in list(self.rooms.values()):
            room.close(reason)

    @staticmethod
    def _decode(data: bytes, greeting: Greeting | None) -> tuple[JoinRequest, JoinExtras]:
        try:
            return JoinExtras.decode(data) if greeting is not None else (JoinRequest.decode(data), JoinExtras())
        except ProtocolError:
            raise SeatRefusedError(NO_REQUEST) from None

    def _check_identity(
        self, request: JoinRequest, extras: JoinExtras, greeting: Greeting | None, network: str, now: float
    ) -> None:
        if greeting is None or not extras.key:
            return
        if self._guesses.attempt(network, now) > 0:
            raise SeatRefusedError(GUESSES)
        for host in greeting.hosts:
            with contextlib.suppress(VerificationError):
                extras.verify(request, host, greeting.challenge)
                self._guesses.succeeded(network, now)
                return
        self._guesses.failed(network, now)
        raise SeatRefusedError(f"{NOT_PROVED[:-1]}: {greeting.hint}." if greeting.hint else NOT_PROVED)

    def _check_names(self, request: JoinRequest) -> None:
        for name in (request.game, request.room):
            if len(name.encode()) > self.limits.name_bytes or not name.isprintable():
                raise SeatRefusedError(f"Names have at most {self.limits.name_bytes} bytes of printable characters.")

    def _return(
        self,
        request: JoinRequest,
        extras: JoinExtras,
        token: int,
        room: RelayRoom | None,
        link: Link,
        network: str,
        now: float,
    ) -> Player:
        if room is None:
            raise SeatRefusedError(f"Room {request.room} no longer exists for game {request.game}.")
        if self._guesses.attempt(network, now) > 0:
            raise SeatRefusedError(GUESSES)
        try:
            seat = room.rejoin(
                token, link, now, extras.key or None, rotates=extras.rotates, wants_absences=extras.wants_absences
            )
        except SeatRefusedError as error:
            if str(error) == WRONG_TOKEN:
                self._guesses.failed(network, now)
            else:
                self._guesses.succeeded(network, now)
            raise
        self._guesses.succeeded(network, now)
        return Player(room, seat, link)

    def _create(self, request: JoinRequest, extras: JoinExtras, rules: GameRules, link: Link, network: str) -> Player:
        limits = self.limits
        most = limits.rooms_per_address
        if len(self.rooms) >= limits.rooms or (most and self._created[network] >= most):
            raise SeatRefusedError("Too many rooms, try again later.")
        room = RelayRoom(
            request.room,
            rules,
            request.variation,
            link,
            limits=limits.room,
            on_end=self._remove,
            identity=extras.key or None,
            is_public=extras.is_public,
            wants_absences=extras.wants_absences,
            chosen=extras.chosen,
        )
        self.rooms[request.game, request.room] = room
        self._creators[room] = network
        self._created[network] += 1
        self._on_start(room)
        return Player(room, room.host, link)

    def _remove(self, room: RelayRoom, reason: str) -> None:
        key = (room.rules.name, room.name)
        if self.rooms.get(key) is room:
            del self.rooms[key]
        network = self._creators.pop(room, None)
        if network is not None:
            self._created[network] -= 1
            if not self._created[network]:
                del self._created[network]
        self._on_end(room, reason)
