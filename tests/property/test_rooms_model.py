"""Rooms against a small model: joins, disconnections, rejoins, takeovers, kicks and states in random order."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from room_links import FakeLink
from teleglyph.errors import SeatRefusedError
from teleglyph.rooms.room import GameRules, RelayRoom
from teleglyph.rooms.seats import Seat
from teleglyph.wire.rooms.extended import TOKEN_KEPT, only_for
from teleglyph.wire.rooms.messages import kick

LIMIT, GRACE = 4, 30.0


@dataclass
class Guest:
    """What the model knows of a guest."""

    seat: Seat
    token: int
    link: FakeLink | None
    synced: bool = False
    kept_until: float = 0.0
    kicked: bool = False
    expected: list[bytes] = field(default_factory=list)
    """What its present connection must have got behind the reply."""


class Rooms(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.host: FakeLink | None = FakeLink(is_extended=True)
        self.host_gone_at = 0.0
        self.over = False
        self.guests: list[Guest] = []
        self.room = RelayRoom("r", GameRules("g", LIMIT, GRACE), 0, self.host)
        self.host_token = self.host.reply.token
        self.host_sees: set[int] = set()
        """Who is there, as a host concludes that starts anew with each connection."""

    def taken(self) -> int:
        return 1 + sum(
            guest.link is not None or (guest.kept_until > self.now and not guest.kicked) for guest in self.guests
        )

    def listen(self) -> None:
        """Let the host process what it received."""
        if self.host is None:
            return
        for message in self.host.take():
            number = int.from_bytes(message[1:3], "big")
            if message[0] == 0:
                self.host_sees.add(number)
            elif message[0] == 1:
                self.host_sees.discard(number)

    @precondition(lambda self: not self.over)
    @rule()
    def join(self) -> None:
        link = FakeLink()
        if self.taken() >= LIMIT:
            try:
                self.room.join(link, self.now)
            except SeatRefusedError:
                return
            raise AssertionError("there was no place")
        seat = self.room.join(link, self.now)
        self.guests.append(Guest(seat, link.reply.token, link))

    @precondition(lambda self: not self.over and self.guests)
    @rule(data=st.data(), rotates=st.booleans(), keeps=st.booleans())
    def return_or_take_over(self, data: st.DataObject, rotates: bool, keeps: bool) -> None:
        guest = data.draw(st.sampled_from(self.guests))
        link, old = FakeLink(is_extended=rotates), guest.link
        must_refuse = guest.kicked or (old is None and guest.kept_until <= self.now and self.taken() >= LIMIT)
        try:
            seat = self.room.rejoin(guest.token, link, self.now, rotates=rotates)
        except SeatRefusedError:
            assert must_refuse
            return
        assert not must_refuse
        assert seat is guest.seat
        if old is not None:
            assert old.text is not None
            self.room.receive(seat, old, b"\x02late", self.now)
            self.room.leave(seat, old, "late", self.now)
        guest.link, guest.synced, guest.expected = link, False, []
        assert (link.reply.token != guest.token) == rotates
        if rotates and keeps:
            # The new token has arrived; otherwise the player continues with the old one, which is still valid.
            guest.token = link.reply.token
            self.room.receive(seat, link, TOKEN_KEPT, self.now)

    @precondition(lambda self: not self.over and any(guest.link for guest in self.guests))
    @rule(data=st.data(), orderly=st.booleans())
    def leave(self, data: st.DataObject, orderly: bool) -> None:
        guest = data.draw(st.sampled_from([guest for guest in self.guests if guest.link]))
        assert guest.link is not None
        if orderly:
            self.room.receive(guest.seat, guest.link, b"\x03", self.now)
        else:
            self.room.leave(guest.seat, guest.link, "Connection lost.", self.now)
        guest.link, guest.synced = None, False
        guest.kept_until = 0.0 if orderly else self.now + GRACE

    @precondition(lambda self: not self.over and self.host is not None)
    @rule(kind=st.sampled_from([2, 3, 4]))
    def broadcast(self, kind: int) -> None:
        assert self.host is not None
        message = bytes([kind]) + b"state"
        self.room.receive(self.room.host, self.host, message, self.now)
        for guest in self.guests:
            if guest.link is not None and (kind == 4 or (kind == 2) == guest.synced):
                guest.expected.append(message)
                guest.synced = True

    @precondition(lambda self: not self.over and self.host is not None and self.guests)
    @rule(data=st.data(), kind=st.sampled_from([2, 3, 4]))
    def send_to_one(self, data: st.DataObject, kind: int) -> None:
        assert self.host is not None
        guest = data.draw(st.sampled_from(self.guests))
        message = bytes([kind]) + b"hand"
        self.room.receive(self.room.host, self.host, only_for(guest.seat.player, message), self.now)
        if guest.link is not None and (kind != 2 or guest.synced):
            guest.expected.append(message)
            guest.synced = True

    @precondition(lambda self: not self.over and self.host is not None and self.guests)
    @rule(data=st.data())
    def kick(self, data: st.DataObject) -> None:
        assert self.host is not None
        guest = data.draw(st.sampled_from(self.guests))
        self.room.receive(self.room.host, self.host, kick(guest.seat.player), self.now)
        guest.kicked, guest.link, guest.synced = True, None, False

    @precondition(lambda self: not self.over and self.host is not None)
    @rule()
    def lose_host(self) -> None:
        assert self.host is not None
        self.listen()
        self.room.leave(self.room.host, self.host, "Connection lost.", self.now)
        self.host, self.host_gone_at = None, self.now

    @precondition(lambda self: not self.over)
    @rule(keeps_its_memory=st.booleans())
    def return_host(self, keeps_its_memory: bool) -> None:
        self.listen()
        if not keeps_its_memory:
            self.host_sees.clear()
        self.host = FakeLink(is_extended=True)
        self.room.rejoin(self.host_token, self.host, self.now)
        for guest in self.guests:
            guest.synced = False

    @rule(seconds=st.sampled_from([1.0, 10.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.room.expire(self.now)
        if self.host is None and not self.over and self.now >= self.host_gone_at + GRACE:
            self.over = True
            for guest in self.guests:
                assert guest.link is None or guest.link.text == "Server has left the game."
                guest.link = None

    @invariant()
    def agrees_with_the_model(self) -> None:
        assert self.room.is_over == self.over
        if self.over:
            return
        there = [guest for guest in self.guests if guest.link is not None]
        assert set(self.room.guests) == {guest.seat.player for guest in there}
        assert self.room.player_count(self.now) == self.taken()
        for guest in there:
            assert guest.link is not None
            assert guest.link.text is None
            assert guest.link.messages[1:] == guest.expected
        self.listen()
        if self.host is not None:
            assert self.host_sees == {guest.seat.player for guest in there}


TestRooms = Rooms.TestCase
