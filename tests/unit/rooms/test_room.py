"""The rules of relay rooms, with a number as the clock."""

from __future__ import annotations

from typing import Any

import nacl.signing
import pytest

from room_links import FakeLink
from teleglyph.errors import SeatRefusedError
from teleglyph.rooms.relay import Greeting, Relay, RelayLimits
from teleglyph.rooms.room import GameRules, RelayRoom, RoomLimits
from teleglyph.rooms.seats import Seat
from teleglyph.wire.rooms.extended import (
    TOKEN_KEPT,
    JoinExtras,
    claim_identity,
    encode_hello,
    only_for,
    player_is,
    seat_kept,
)
from teleglyph.wire.rooms.messages import JoinRequest, kick, player_came, player_left

END, DELTA, FULL, RESET, RPC, LEAVE = b"\0", b"\x02d", b"\x03f", b"\x04r", b"\x02go", b"\x03"


class Table:
    """A room with its host, and people by name."""

    def __init__(self, *, max_players: int = 0, limits: RoomLimits | None = None, is_extended: bool = False) -> None:
        self.now = 0.0
        self.ended: list[str] = []
        self.links: dict[str, FakeLink] = {"host": FakeLink(is_extended=is_extended)}
        self.room = RelayRoom(
            "lobby",
            GameRules("chess", max_players),
            300,
            self.links["host"],
            limits=limits,
            on_end=lambda _room, reason: self.ended.append(reason),
        )
        self.seats: dict[str, Seat] = {"host": self.room.host}
        self.tokens: dict[str, int] = {"host": self.links["host"].reply.token}

    def join(self, name: str, identity: bytes | None = None) -> FakeLink:
        link = FakeLink()
        self.seats[name] = self.room.join(link, self.now, identity)
        self.links[name] = link
        self.tokens[name] = link.reply.token
        return link

    def rejoin(self, name: str, identity: bytes | None = None, *, rotates: bool = False) -> FakeLink:
        link = FakeLink(is_extended=rotates)
        self.seats[name] = self.room.rejoin(self.tokens[name], link, self.now, identity, rotates=rotates)
        self.links[name] = link
        return link

    def say(self, name: str, message: bytes) -> None:
        self.room.receive(self.seats[name], self.links[name], message, self.now)

    def lose(self, name: str) -> None:
        self.room.leave(self.seats[name], self.links[name], "Connection lost.", self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.room.expire(self.now)

    def got(self, name: str) -> list[bytes]:
        return self.links[name].take()


# --- forwarding -------------------------------------------------------------------------------------------------------


def test_the_reply_comes_first_and_has_the_player_number() -> None:
    table = Table()
    ann = table.join("ann")
    assert (table.links["host"].reply.player, table.links["host"].reply.variation) == (0, 300)
    assert (ann.reply.player, ann.reply.variation) == (1, 300)
    assert len({table.tokens["host"], ann.reply.token}) == 2
    assert table.got("host") == [player_came(1)]


def test_states_reach_new_players_and_changes_reach_synced_ones() -> None:
    table = Table()
    table.join("ann")
    table.say("host", DELTA)
    assert table.got("ann") == []
    table.say("host", FULL)
    table.say("host", DELTA)
    assert table.got("ann") == [FULL, DELTA]
    table.join("bob")
    for message in (DELTA, FULL, DELTA, RESET):
        table.say("host", message)
    assert table.got("ann") == [DELTA, DELTA, RESET], "the full state for bob costs ann nothing"
    assert table.got("bob") == [FULL, DELTA, RESET]


def test_a_reset_makes_everybody_current() -> None:
    table = Table()
    table.join("ann")
    table.say("host", RESET)
    table.say("host", DELTA)
    assert table.got("ann") == [RESET, DELTA]


def test_messages_of_guests_reach_the_host_with_their_number() -> None:
    table = Table()
    table.join("ann")
    table.join("bob")
    table.got("host")
    table.say("bob", RPC)
    table.say("ann", b"\x02")
    assert table.got("host") == [b"\x02\x00\x02go", b"\x02\x00\x01"]
    assert table.got("ann") == table.got("bob") == []


# --- violations and ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message", "text"),
    [
        ("host", b"", "Illegal empty message received."),
        ("host", b"\x05x", "Illegal Server -> Client command."),
        ("host", b"\x06", "Illegal Server -> Client command."),
        ("host", b"\xff", "Illegal Server -> Client command."),
        ("ann", b"", "Illegal empty message received."),
        ("ann", b"\x00", "Illegal Command from client"),
        ("ann", b"\x01\x00\x01", "Illegal Command from client"),
        ("ann", b"\x04", "Illegal Command from client"),
        ("ann", b"\x05", "Illegal Command from client"),
        ("ann", LEAVE, "Client disconnected intentionally"),
    ],
)
def test_a_violation_ends_that_connection_only(name: str, message: bytes, text: str) -> None:
    table = Table()
    table.join("ann")
    table.join("bob")
    table.got("host")
    table.say(name, message)
    assert table.links[name].text == text
    assert table.links["bob"].text is None
    if name == "ann":
        assert table.got("host") == [player_left(1)]
        assert table.room.guests == [2]
    else:
        assert table.room.host_link is None
        assert not table.room.is_over
    table.rejoin(name)
    assert table.links[name].text is None, "the seat can be taken again"


def test_the_host_ends_the_room_at_once() -> None:
    table = Table()
    table.join("ann")
    table.say("host", END)
    assert table.links["host"].text == "Server disconnected intentionally"
    assert table.links["ann"].text == "Server has left the game."
    assert table.room.is_over
    assert table.ended == ["the host ended it"]
    table.lose("ann")
    table.lose("host")
    table.wait(1000)
    assert table.ended == ["the host ended it"]


def test_a_kicked_player_cannot_return_to_its_seat() -> None:
    table = Table()
    table.join("ann")
    table.join("bob")
    table.got("host")
    table.say("host", kick(1) + b"and more")
    assert table.links["ann"].text == "We got rejected by server."
    assert table.links["bob"].text is None
    assert table.got("host") == [player_left(1)]
    with pytest.raises(SeatRefusedError, match="Invalid reconnect token"):
        table.rejoin("ann")
    assert table.join("ann again").reply.player == 3
    table.lose("bob")
    table.got("host")
    table.say("host", kick(2))
    assert table.got("host") == [], "it was sent already"
    with pytest.raises(SeatRefusedError, match="Invalid reconnect token"):
        table.rejoin("bob")


@pytest.mark.parametrize("message", [b"\x01", b"\x01\x00", b"\x01\x00\x00", b"\x01\x00\x09"])
def test_a_kick_of_an_unknown_player_changes_nothing(message: bytes) -> None:
    table = Table()
    table.join("ann")
    table.say("host", message)
    assert table.links["ann"].text is table.links["host"].text is None
    assert table.room.counters.malformed_kicks == (len(message) < 3)


# --- the host leaves and returns --------------------------------------------------------------------------------------


def test_a_returned_host_gets_present_players_and_held_messages() -> None:
    table = Table()
    table.join("ann")
    table.lose("host")
    table.say("ann", RPC)
    assert table.links["ann"].text is None
    table.rejoin("host")
    assert table.links["host"].reply.player == 0
    assert table.got("host") == [player_came(1), b"\x02\x00\x01go"]
    table.say("ann", RPC)
    assert table.got("host") == [b"\x02\x00\x01go"]


def test_an_old_timer_does_not_end_a_room_whose_host_left_again() -> None:
    table = Table()
    table.join("ann")
    table.lose("host")
    table.wait(10)
    table.rejoin("host")
    table.wait(15)
    table.lose("host")
    table.wait(29.9)
    assert not table.room.is_over, "25 s + 29.9 s"
    table.wait(0.2)
    assert table.room.is_over
    assert table.links["ann"].text == "Server has left the game."
    assert table.ended == ["the host did not return"]


def test_a_host_returns_after_300_guests_came_and_went() -> None:
    table = Table()
    for number in range(300):
        table.join(f"guest {number}")
        table.lose(f"guest {number}")
    table.join("ann")
    table.join("bob")
    table.lose("host")
    table.lose("bob")
    table.rejoin("host")
    assert table.got("host") == [player_came(301), player_left(302)], "players that left before are not sent again"
    table.lose("host")
    table.rejoin("host")
    assert table.got("host") == [player_came(301)]


def test_present_guests_get_the_returned_hosts_state_before_changes() -> None:
    table = Table()
    table.join("ann")
    table.say("host", FULL)
    table.lose("host")
    table.rejoin("host")
    table.got("ann")
    table.say("host", DELTA)
    table.say("host", FULL)
    table.say("host", DELTA)
    assert table.got("ann") == [FULL, DELTA]


def test_guests_may_join_while_the_host_is_away() -> None:
    table = Table()
    table.join("ann")
    table.lose("host")
    table.lose("ann")
    table.rejoin("ann")
    table.join("bob")
    table.join("eve")
    table.lose("eve")
    table.rejoin("host")
    assert table.got("host") == [player_came(1), player_came(2)], "a guest who came and left meanwhile is not announced"


def test_the_host_may_take_its_seat_from_a_dead_connection() -> None:
    table = Table()
    table.join("ann")
    old = table.links["host"]
    table.rejoin("host")
    assert old.text == "This seat was taken over by another connection."
    table.room.receive(table.room.host, old, END, 0.0)
    assert not table.room.is_over, "the old connection has no effect any more"
    table.room.leave(table.room.host, old, "Connection lost.", 0.0)
    table.wait(1000)
    assert not table.room.is_over


def test_messages_for_an_absent_host_are_bounded_and_no_guest_is_removed() -> None:
    table = Table(limits=RoomLimits(held_messages=3, held_bytes=100))
    table.join("ann")
    table.join("bob")
    table.lose("host")
    for _ in range(5):
        table.say("ann", RPC)
    table.say("bob", b"\x02" + bytes(200))
    assert table.links["ann"].text is table.links["bob"].text is None
    assert table.room.counters.refused_while_away == 3
    table.lose("ann")
    table.rejoin("host")
    assert table.got("host") == [player_came(2), player_left(1)], "no messages of guests who left"


# --- guests leave and return ------------------------------------------------------------------------------------------


def test_a_guest_returns_to_its_seat() -> None:
    table = Table()
    token = table.join("ann").reply.token
    table.say("host", FULL)
    table.lose("ann")
    table.got("host")
    table.rejoin("ann")
    assert (table.links["ann"].reply.player, table.links["ann"].reply.token) == (1, token)
    assert table.got("host") == [player_came(1)]
    table.say("host", DELTA)
    assert table.got("ann") == [], "its state is old"


def test_a_seat_has_one_connection() -> None:
    table = Table()
    first = table.join("ann")
    seat = table.seats["ann"]
    table.got("host")
    table.rejoin("ann")
    assert first.text == "This seat was taken over by another connection."
    assert table.got("host") == [player_left(1), player_came(1)]
    assert table.room.player_count(table.now) == 2
    table.room.receive(seat, first, RPC, 0.0)
    table.room.leave(seat, first, "Connection lost.", 0.0)
    assert table.got("host") == []
    assert table.room.guests == [1]


def test_the_limit_applies_to_returning_players_unless_their_seat_was_kept() -> None:
    table = Table(max_players=2)
    table.join("ann")
    table.lose("ann")
    table.wait(20)
    with pytest.raises(SeatRefusedError, match=r"^Room  lobby exceeded max amount of players 2\.$"):
        table.join("bob")
    table.rejoin("ann")
    table.lose("ann")
    table.wait(31)
    table.join("bob")
    with pytest.raises(SeatRefusedError, match="exceeded max amount"):
        table.rejoin("ann")
    table.say("bob", LEAVE)
    table.rejoin("ann")
    assert table.room.player_count(table.now) == 2


def test_player_numbers_can_run_out() -> None:
    table = Table()
    table.room._next = 65_435
    assert table.join("last").reply.player == 65_435
    with pytest.raises(SeatRefusedError, match=r"^Room lobby run out of client ids\.$"):
        table.join("one more")


# --- all rooms --------------------------------------------------------------------------------------------------------


def relay(**limits: Any) -> Relay:
    return Relay([GameRules("chess", 2), GameRules("go")], RelayLimits(**limits))


def enter(rooms: Relay, request: JoinRequest | bytes, network: str = "a", now: float = 0.0) -> FakeLink:
    link = FakeLink()
    rooms.enter(request if isinstance(request, bytes) else request.encode(), link, network, now)
    return link


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (b"", "Failed to parse join request."),
        (b"\xff", "Failed to parse join request."),
        (JoinRequest("poker", "r", create=True), "Unknown game poker."),
        (JoinRequest("poker", "r"), "Unknown game poker."),
        (JoinRequest("poker", "r", token=1), "Unknown game poker."),
        (JoinRequest("chess", "none", token=1), "Room none no longer exists for game chess."),
        (JoinRequest("chess", "full", token=1), "Invalid reconnect token."),
        (JoinRequest("chess", "full", create=True), "Room full already exists for game chess."),
        (JoinRequest("chess", "none"), "Room none does not exist for game chess."),
        (JoinRequest("chess", "full"), "Room  full exceeded max amount of players 2."),
        (JoinRequest("chess", "x" * 200, create=True), "Names have at most 128 bytes of printable characters."),
        (JoinRequest("chess", "a\x1b[2J", create=True), "Names have at most 128 bytes of printable characters."),
    ],
)
def test_every_refusal_has_its_text(request_: JoinRequest | bytes, text: str) -> None:
    rooms = relay()
    enter(rooms, JoinRequest("chess", "full", create=True))
    enter(rooms, JoinRequest("chess", "full"))
    before = dict(rooms.rooms)
    with pytest.raises(SeatRefusedError) as caught:
        enter(rooms, request_)
    assert str(caught.value) == text
    assert rooms.rooms == before


def test_rooms_with_equal_names_are_distinguished_by_their_game() -> None:
    rooms = relay()
    first = enter(rooms, JoinRequest("chess", "r", create=True))
    other = enter(rooms, JoinRequest("go", "r", create=True))
    old = rooms.rooms["chess", "r"]
    old.receive(old.host, first, END, 0.0)
    assert list(rooms.rooms) == [("go", "r")]
    again = enter(rooms, JoinRequest("chess", "r", create=True))
    assert rooms.rooms["chess", "r"] is not old
    old.leave(old.host, first, "Connection lost.", 0.0)
    old.expire(1e9)
    old.close("late")
    assert rooms.rooms["chess", "r"].host_link is again
    assert other.text is None


def test_a_removed_game_keeps_its_rooms() -> None:
    rooms = relay()
    host = enter(rooms, JoinRequest("chess", "r", create=True))
    rooms.set_games([GameRules("go")])
    enter(rooms, JoinRequest("chess", "r", token=host.reply.token))
    with pytest.raises(SeatRefusedError, match="Unknown game chess"):
        enter(rooms, JoinRequest("chess", "r"))


def test_rooms_are_bounded_in_all_and_for_each_address() -> None:
    rooms = relay(rooms=3, rooms_per_address=2)
    hosts = [enter(rooms, JoinRequest("go", name, create=True)) for name in "ab"]
    with pytest.raises(SeatRefusedError, match="Too many rooms"):
        enter(rooms, JoinRequest("go", "c", create=True))
    enter(rooms, JoinRequest("go", "d", create=True), "elsewhere")
    with pytest.raises(SeatRefusedError, match="Too many rooms"):
        enter(rooms, JoinRequest("go", "e", create=True), "third")
    room = rooms.rooms["go", "a"]
    room.receive(room.host, hosts[0], END, 0.0)
    enter(rooms, JoinRequest("go", "c", create=True))


def test_guessing_tokens_is_limited() -> None:
    rooms = relay()
    host = enter(rooms, JoinRequest("go", "r", create=True))
    for _ in range(3):
        with pytest.raises(SeatRefusedError, match="Invalid reconnect token"):
            enter(rooms, JoinRequest("go", "r", token=host.reply.token ^ 1))
    with pytest.raises(SeatRefusedError, match="Too many wrong tokens"):
        enter(rooms, JoinRequest("go", "r", token=host.reply.token), now=0.5)
    enter(rooms, JoinRequest("go", "r", token=host.reply.token), "elsewhere", now=0.5)
    enter(rooms, JoinRequest("go", "r", token=host.reply.token), now=1.5)


def test_no_token_is_stored_in_clear() -> None:
    table = Table()
    token = table.join("ann").reply.token
    kept = repr(table.room._seats.by_player) + repr(table.room._seats.by_digest)
    assert str(token) not in kept
    assert token.to_bytes(8, "big").hex() not in kept
    assert repr(token.to_bytes(8, "big"))[2:-1] not in kept


# --- teleglyph.rooms.1 ------------------------------------------------------------------------------------------------


def test_a_message_for_one_player_reaches_no_other() -> None:
    table = Table(is_extended=True)
    for name in ("ann", "bob"):
        table.join(name)
    table.say("host", only_for(1, DELTA))
    assert table.got("ann") == [], "she has no state yet"
    table.say("host", only_for(1, RESET))
    table.say("host", only_for(1, DELTA))
    table.say("host", only_for(9, RESET))
    table.say("host", DELTA)
    assert table.got("ann") == [RESET, DELTA, DELTA]
    assert table.got("bob") == []
    table.say("host", only_for(2, FULL))
    table.say("host", only_for(2, FULL))
    assert table.got("bob") == [FULL, FULL], "the host knows what it does"
    for malformed in (b"\x08", b"\x08\x00\x01", only_for(1, b"\x05x"), only_for(1, b"\x00")):
        table.say("host", malformed)
    assert table.room.counters.malformed_messages == 4
    assert table.links["host"].text is None
    assert table.got("ann") == []


def test_players_with_the_plain_protocol_get_no_extensions() -> None:
    table = Table()
    table.join("ann")
    table.say("ann", TOKEN_KEPT)
    assert table.links["ann"].text == "Illegal Command from client"
    table.say("host", only_for(1, RESET))
    assert table.links["host"].text == "Illegal Server -> Client command."


def test_a_seat_belongs_to_the_identity_that_was_proved_first() -> None:
    table = Table(is_extended=True)
    ann, eve = b"a" * 32, b"e" * 32
    table.join("ann", ann)
    table.join("bob")
    assert table.got("host") == [player_is(1, ann), player_came(1), player_came(2)]
    for wrong in (None, eve):
        with pytest.raises(SeatRefusedError, match="belongs to an identity"):
            table.rejoin("ann", wrong)
    assert table.links["ann"].text is None, "the seated player stays"
    table.rejoin("ann", ann)
    assert table.got("host") == [player_left(1), player_is(1, ann), player_came(1)]
    table.rejoin("bob", eve)
    table.rejoin("bob")
    assert table.room.identities([0, 1, 2, 3]) == {1: ann.hex()}, "a seat without an identity does not get one"


def test_a_new_token_replaces_the_old_one_when_it_has_arrived() -> None:
    table = Table()
    table.join("ann")
    first = table.tokens["ann"]
    lost_reply = table.rejoin("ann", rotates=True).reply.token
    assert lost_reply != first
    second = table.rejoin("ann", rotates=True).reply.token
    table.tokens["ann"] = lost_reply
    with pytest.raises(SeatRefusedError, match="Invalid reconnect token"):
        table.rejoin("ann")
    table.say("ann", TOKEN_KEPT)
    table.tokens["ann"] = first
    with pytest.raises(SeatRefusedError, match="Invalid reconnect token"):
        table.rejoin("ann")
    table.tokens["ann"] = second
    third = table.rejoin("ann", rotates=True).reply.token
    table.tokens["ann"] = third
    fourth = table.rejoin("ann", rotates=True).reply.token
    table.say("ann", TOKEN_KEPT)
    for old in (second, third):
        table.tokens["ann"] = old
        with pytest.raises(SeatRefusedError):
            table.rejoin("ann")
    table.tokens["ann"] = fourth
    assert table.rejoin("ann").reply.token == fourth, "a player that does not ask for rotation keeps the token"


def test_the_hosts_old_and_new_tokens_are_valid_until_the_new_one_has_arrived() -> None:
    table = Table(is_extended=True)
    old = table.tokens["host"]
    new = table.rejoin("host", rotates=True).reply.token
    assert table.room.is_host_token(old)
    assert table.room.is_host_token(new)
    table.say("host", TOKEN_KEPT)
    assert not table.room.is_host_token(old)
    assert table.room.is_host_token(new)
    assert not table.room.is_host_token(new ^ 1)


def test_a_kick_voids_both_tokens() -> None:
    table = Table()
    table.join("ann")
    old = table.tokens["ann"]
    new = table.rejoin("ann", rotates=True).reply.token
    table.say("host", kick(1))
    for token in (old, new):
        table.tokens["ann"] = token
        with pytest.raises(SeatRefusedError):
            table.rejoin("ann")


class Key:
    def __init__(self) -> None:
        self._key = nacl.signing.SigningKey.generate()
        self.public_key = bytes(self._key.verify_key)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data).signature


def test_an_identity_is_proved_to_this_relay_for_this_room_only() -> None:
    key, greeting = Key(), Greeting(("relay.example:27226",), bytes(range(32)))
    create = JoinRequest("chess", "r", create=True)

    def enter(relay: Relay, request: JoinRequest, host: str, challenge: bytes, network: str) -> RelayRoom:
        extras = claim_identity(JoinExtras(is_public=True), key, request, host, encode_hello(challenge))
        return relay.enter(create.encode() + extras.encode(), FakeLink(is_extended=True), network, 0.0, greeting).room

    for number, wrong in enumerate(
        [
            (create, "other.example", greeting.challenge),
            (create, greeting.hosts[0], bytes(32)),
            (JoinRequest("chess", "s", create=True), greeting.hosts[0], greeting.challenge),
            (JoinRequest("go", "r", create=True), greeting.hosts[0], greeting.challenge),
        ]
    ):
        with pytest.raises(SeatRefusedError, match="identity was not proved"):
            enter(Relay([GameRules("chess")]), *wrong, f"n{number}")
    relay = Relay([GameRules("chess")])
    room = enter(relay, create, "Relay.Example:27226", greeting.challenge, "n")
    assert room.host.identity == key.public_key
    assert relay.public_rooms() == [room]


def test_wrong_proofs_are_guesses() -> None:
    relay, greeting = Relay([GameRules("chess")]), Greeting(("h",), bytes(32))
    request = JoinRequest("chess", "r", create=True).encode()
    forged = request + JoinExtras(key=b"k" * 32, signature=b"s" * 64).encode()
    texts = []
    for _ in range(5):
        with pytest.raises(SeatRefusedError) as caught:
            relay.enter(forged, FakeLink(is_extended=True), "n", 0.0, greeting)
        texts.append(str(caught.value))
    assert texts[0] == "The identity was not proved."
    assert texts[-1] == "Too many wrong tokens, try again later."
    assert relay.enter(request + JoinExtras().encode(), FakeLink(is_extended=True), "n", 0.0, greeting).room is not None


@pytest.mark.parametrize("extras", [b"", b"\x00", b"\x00\x02", b"\x00\x01" + bytes(95)])
def test_invalid_extras_are_refused(extras: bytes) -> None:
    relay = Relay([GameRules("chess")])
    with pytest.raises(SeatRefusedError, match="Failed to parse join request"):
        relay.enter(
            JoinRequest("chess", "r", create=True).encode() + extras,
            FakeLink(is_extended=True),
            "n",
            0.0,
            Greeting(("h",), bytes(32)),
        )


def test_only_public_rooms_are_listed() -> None:
    relay = Relay([GameRules("chess", is_public=True), GameRules("go")])
    for game in ("chess", "go"):
        relay.enter(JoinRequest(game, "r", create=True).encode(), FakeLink(), "n", 0.0)
    assert [room.rules.name for room in relay.public_rooms()] == ["chess"]


# --- absences ---------------------------------------------------------------------------------------------------------


class NotifyingTable(Table):
    """A room whose players may ask for notices of absences."""

    def __init__(self) -> None:
        super().__init__(is_extended=True)
        self.links["host"] = FakeLink(is_extended=True)
        self.room = RelayRoom(
            "lobby",
            GameRules("chess", grace=30.0),
            0,
            self.links["host"],
            wants_absences=True,
            on_end=lambda _room, _why: None,
        )
        self.seats["host"], self.tokens["host"] = self.room.host, self.links["host"].reply.token

    def join_with_notices(self, name: str) -> FakeLink:
        link = FakeLink(is_extended=True)
        self.seats[name] = self.room.join(link, self.now, wants_absences=True)
        self.links[name], self.tokens[name] = link, link.reply.token
        return link

    def rejoin_with_notices(self, name: str) -> FakeLink:
        link = FakeLink(is_extended=True)
        self.room.rejoin(self.tokens[name], link, self.now, wants_absences=True)
        self.links[name] = link
        return link


def test_only_players_that_ask_get_notices_about_kept_seats() -> None:
    table = NotifyingTable()
    assert table.got("host") == [seat_kept(0, 30.0)]
    table.join_with_notices("ann")
    table.join("bob")
    assert table.got("ann") == [seat_kept(1, 30.0)]
    table.got("host")
    table.lose("host")
    assert table.got("ann") == [seat_kept(0, 30.0)]
    table.wait(12.5)
    late = table.join_with_notices("carl")
    assert late.take() == [seat_kept(3, 30.0), seat_kept(0, 17.5)]
    table.rejoin_with_notices("host")
    assert table.got("ann") == [seat_kept(0, 0.0)]
    assert table.got("host") == [seat_kept(0, 30.0), player_came(1), player_came(2), player_came(3)]
    assert table.got("bob") == []
    table.lose("host")
    table.wait(30.0)
    assert table.links["ann"].text == "The host did not return."
    assert table.links["bob"].text == "Server has left the game."


def test_a_host_can_distinguish_a_lost_guest_from_one_that_left() -> None:
    table = NotifyingTable()
    for name in ("ann", "bob"):
        table.join(name)
    table.got("host")
    table.lose("ann")
    table.say("bob", LEAVE)
    assert table.got("host") == [seat_kept(1, 30.0), player_left(1), player_left(2)]
    table.wait(10.0)
    table.rejoin_with_notices("host")
    assert table.got("host") == [seat_kept(0, 30.0), seat_kept(1, 20.0)], "a host without a memory learns it again"
    table.rejoin("ann")
    assert table.got("host") == [player_came(1)]
    table.rejoin("ann")
    assert table.got("host") == [seat_kept(1, 30.0), player_left(1), player_came(1)], "taken over, not left for good"


@pytest.mark.parametrize("player", ["host", "ann"])
def test_a_token_that_a_player_made_up_opens_its_seat_until_the_relays_own_has_arrived(player: str) -> None:
    table = Table(is_extended=True)
    link = FakeLink(is_extended=True)
    if player == "host":
        table.room = RelayRoom("lobby", GameRules("chess"), 0, link, chosen=77)
        table.seats["host"] = table.room.host
    else:
        table.seats["ann"] = table.room.join(link, 0.0, chosen=77)
    table.links[player] = link
    number = link.reply.player
    for _ in range(2):
        table.tokens[player] = 77
        again = table.rejoin(player, rotates=True)
        assert again.reply.player == number
        assert again.reply.token != 77
    table.say(player, TOKEN_KEPT)
    with pytest.raises(SeatRefusedError, match="Invalid reconnect token"):
        table.rejoin(player)
    table.tokens[player] = again.reply.token
    assert table.rejoin(player, rotates=True).reply.player == number


def test_a_made_up_token_of_another_seat_opens_only_that_one() -> None:
    table = Table()
    ann = table.join("ann")
    thief = FakeLink(is_extended=True)
    seat = table.room.join(thief, 0.0, chosen=ann.reply.token)
    table.room.receive(seat, thief, TOKEN_KEPT, 0.0)
    assert table.rejoin("ann").reply.player == 1


def test_a_guest_that_has_left_has_a_part_in_the_round_until_the_next_begins() -> None:
    table = Table()
    table.join("ann")
    table.join("bob")
    table.say("ann", LEAVE)
    table.say("host", kick(2))
    assert table.room.round_players(0.0) == [0, 1]
    assert table.room.current_players(0.0) == [0]
    table.room.begin_round()
    assert table.room.round_players(0.0) == [0]


def test_no_seat_is_lost_while_the_relay_is_stopped() -> None:
    table = Table()
    table.join("ann")
    table.lose("ann")
    table.lose("host")
    grace = table.room.rules.grace
    table.now += 10 * grace
    table.room.postpone(10 * grace)
    table.wait(grace - 1)
    assert table.rejoin("ann").text is None
    assert table.rejoin("host").text is None
    table.lose("host")
    table.wait(grace + 1)
    assert table.room.is_over
