"""What a server tells those who come by its name, and what it does not."""

from __future__ import annotations

import asyncio
import functools
import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from teleglyph.call.limits import CallLimits
from teleglyph.errors import AuthenticationError, CallRoomError, HandshakeError, PeerError
from teleglyph.keys.private import FileIdentity
from teleglyph.server.admission import HandshakeGuard, Proofs
from teleglyph.server.by_name import rendezvous_door
from teleglyph.server.by_name.rendezvous_door import MAX_GUESTS, RendezvousDoor
from teleglyph.server.call_rooms import RoomAccess
from teleglyph.wire.acip import HandshakeDone, Message, derive_password_key
from teleglyph.wire.acip.messages import ErrorMessage
from teleglyph.wire.discovery import AddressKind, DirectAddress, IceServer, Rendezvous, Ways, WaysAnswer, WaysOffer
from teleglyph.wire.rendezvous import RendezvousClientSession, RendezvousServerSession

SESSION, HOST = bytes(range(16)), b"h" * 16
IDENTITY = FileIdentity(bytes(31) + b"\1")
PASSWORD = "correct horse"
ADDRESS = DirectAddress(AddressKind.LAN, "192.168.1.7", 27224)
RELAY = IceServer("turn:relay.example:3478", "1700000000:name", "secret")


key_of = functools.cache(derive_password_key)
"""Deriving a key takes time on purpose."""


class Calls:
    """In place of the admission of participants: a lobby with a password, and a room without."""

    def __init__(self) -> None:
        self.proofs = Proofs(CallLimits(), Counter())

    def guard(self, peer: str) -> HandshakeGuard:
        return self.proofs.guard(peer)

    def rendezvous_session(self, guard: HandshakeGuard, session_id: bytes) -> RendezvousServerSession:
        return RendezvousServerSession(session_id, [IDENTITY], self.access, guard=guard)

    def access(self, room: str) -> RoomAccess:
        if room == "open":
            return RoomAccess("open")
        if room:
            raise CallRoomError(f"There is no room {room}.")
        return RoomAccess("lobby", key_of(PASSWORD))


class Arrivals:
    """In place of data channels."""

    def __init__(self) -> None:
        self.offers: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    def keep(self, task: asyncio.Task[None]) -> None:
        self.tasks.append(task)

    async def answer(self, offer: str, servers: Sequence[IceServer], reply: Callable[[str], None]) -> None:
        self.offers.append(offer)
        reply("the answer")


class House:
    """A door and the service in front of it."""

    def __init__(self, *, exposes_address: bool = False) -> None:
        self.arrivals = Arrivals()
        self.sent: dict[bytes, list[bytes]] = {}
        self.door = RendezvousDoor(
            Calls(),  # type: ignore[arg-type]
            self.arrivals,  # type: ignore[arg-type]
            lambda: [ADDRESS],
            exposes_address=exposes_address,
        )
        self.door.servers = (RELAY,)
        self.door.open(SESSION, HOST, self.relay)

    def relay(self, message: Message) -> None:
        assert isinstance(message, Rendezvous)
        assert (message.session_id, message.sender_id) == (SESSION, HOST)
        self.sent.setdefault(message.recipient_id, []).append(message.body)

    def take(self, guest: bytes) -> list[bytes]:
        return self.sent.pop(guest, [])


class Guest:
    """Somebody who comes by name."""

    def __init__(self, house: House, *, password: str = "", room: str = "", number: int = 1) -> None:
        self.house = house
        self.id = number.to_bytes(16, "big") if number > 255 else bytes([number]) * 16
        self.received = 0
        self.session = RendezvousClientSession(SESSION, password_key=key_of(password) if password else None, room=room)

    def events(self) -> list[Any]:
        """What happens when all waiting messages are exchanged."""
        found: list[Any] = []
        while True:
            for body in self.session.messages_to_send():
                self.house.door.receive(Rendezvous(SESSION, self.id, HOST, body))
            bodies = self.house.take(self.id)
            for body in bodies:
                self.received += len(body)
                self.session.receive(body)
            try:
                while (event := self.session.next_event()) is not None:
                    found.append(event)
            except PeerError as error:
                return [*found, error]
            if not bodies:
                return found


def run(scene: Callable[[], Any]) -> None:
    async def play() -> None:
        async with asyncio.timeout(30):
            await scene()

    asyncio.run(play())


def test_a_guest_with_the_password_learns_the_ways() -> None:
    async def scene() -> None:
        done, ways = Guest(House(), password=PASSWORD).events()
        assert isinstance(done, HandshakeDone)
        assert done.authenticated
        assert done.identity == IDENTITY.public_key
        assert ways == Ways((ADDRESS,), (RELAY,))

    run(scene)


@pytest.mark.parametrize("password", ["", "wrong horse"])
def test_a_guest_without_the_password_learns_nothing(password: str) -> None:
    async def scene() -> None:
        house = House()
        (error,) = Guest(house, password=password).events()
        assert isinstance(error, AuthenticationError)
        assert house.door.answered == 0

    run(scene)


def test_a_room_without_a_password_reveals_no_address() -> None:
    async def scene() -> None:
        house = House()
        done, error = Guest(house, room="open").events()
        assert not done.authenticated
        assert isinstance(error, ErrorMessage)
        assert "does not show its address" in error.text
        assert (house.door.answered, house.door.refused) == (0, 1)

    run(scene)


def test_a_host_may_expose_its_address() -> None:
    async def scene() -> None:
        _, ways = Guest(House(exposes_address=True), room="open").events()
        assert ways == Ways((ADDRESS,), (RELAY,))

    run(scene)


def test_an_unknown_room_is_refused_with_the_reason() -> None:
    async def scene() -> None:
        *_, error = Guest(House(), room="nowhere").events()
        assert isinstance(error, PeerError)
        assert "There is no room nowhere" in str(error)

    run(scene)


def test_a_guest_gets_one_data_channel() -> None:
    async def scene() -> None:
        house = House()
        guest = Guest(house, password=PASSWORD)
        guest.events()
        guest.session.send(WaysOffer("an offer"))
        assert guest.events() == []
        await asyncio.sleep(0.01)
        assert guest.events() == [WaysAnswer("the answer")]
        guest.session.send(WaysOffer("another"))
        guest.events()
        assert house.arrivals.offers == ["an offer"]

    run(scene)


def test_a_guest_who_has_left_gets_no_answer() -> None:
    async def scene() -> None:
        house = House()
        guest = Guest(house, password=PASSWORD)
        guest.events()
        guest.session.send(WaysOffer("an offer"))
        for body in guest.session.messages_to_send():
            house.door.receive(Rendezvous(SESSION, guest.id, HOST, body))
        house.door.left(guest.id)
        await asyncio.sleep(0.01)
        assert house.take(guest.id) == []

    run(scene)


@pytest.mark.parametrize("body", [b"\0", b"\1", b"\3" + bytes(40), os.urandom(16384), b"\1\0" + bytes(32)])
def test_garbage_ends_only_the_conversation(body: bytes) -> None:
    async def scene() -> None:
        house = House()
        house.door.receive(Rendezvous(SESSION, b"x" * 16, HOST, body))
        done, ways = Guest(house, password=PASSWORD).events()
        assert isinstance(done, HandshakeDone)
        assert isinstance(ways, Ways)

    run(scene)


def test_messages_of_another_session_are_ignored() -> None:
    async def scene() -> None:
        house = House()
        (first,) = Guest(house).session.messages_to_send()
        house.door.receive(Rendezvous(b"?" * 16, b"x" * 16, HOST, first))
        assert house.sent == {}

    run(scene)


def test_the_number_of_conversations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous_door, "_HANDSHAKES_PER_MINUTE", 10 * MAX_GUESTS)

    async def scene() -> None:
        house = House()
        for number in range(1000, 1000 + MAX_GUESTS + 10):
            guest = Guest(house, number=number)
            house.door.receive(Rendezvous(SESSION, guest.id, HOST, guest.session.messages_to_send()[0]))
        assert len(house.sent) == MAX_GUESTS
        assert house.door.refused == 10
        house.door.left((1000).to_bytes(16, "big"))
        assert isinstance(Guest(house, password=PASSWORD).events()[0], HandshakeDone)

    run(scene)


def test_a_hostile_service_cannot_try_passwords_without_end() -> None:
    async def scene() -> None:
        house = House()
        answers = [Guest(house, password="wrong horse", number=number).events() for number in range(1, 101)]
        tried = [answer for answer in answers if answer]
        assert len(tried) <= rendezvous_door._HANDSHAKES_PER_MINUTE
        assert all(isinstance(answer[-1], AuthenticationError | HandshakeError) for answer in tried)

    run(scene)


def test_guests_of_one_address_share_their_attempts() -> None:
    async def scene() -> None:
        house = House()
        for number in range(8):
            guest = Guest(house, password="wrong horse")
            guest.id = b"sameaddr" + number.to_bytes(8, "big")
            guest.events()
        guest = Guest(house, password=PASSWORD)
        guest.id = b"sameaddr" + b"the last"
        assert isinstance(guest.events()[-1], PeerError), "its attempts were used up"
        assert isinstance(Guest(house, password=PASSWORD, number=9).events()[0], HandshakeDone), (
            "another address is not"
        )

    run(scene)
