"""A relay that damages, drops, repeats and invents messages admits nobody, and costs nothing but the rendezvous.

``HYPOTHESIS_PROFILE=long`` (see tests/conftest.py) tries hundreds of times as many inputs.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from property.test_wire_messages import Damage, damages
from teleglyph.errors import PeerError
from teleglyph.keys import FileIdentity
from teleglyph.server.call_rooms import RoomAccess
from teleglyph.wire.acip import HandshakeDone
from teleglyph.wire.rendezvous import RendezvousClientSession, RendezvousServerSession

HOST = FileIdentity(b"\1" * 32)
SESSION = bytes(range(16))
ROOM = RoomAccess("den", b"p" * 32)

Side = RendezvousClientSession | RendezvousServerSession


def deliver(end: Side, message: bytes) -> bool:
    """Deliver a message; returns whether it completed the handshake."""
    end.receive(message)
    try:
        events = list(iter(end.next_event, None))
    except PeerError as error:
        assert str(error)
        assert not end.is_established
        return False
    return any(isinstance(event, HandshakeDone) for event in events)


def sides() -> tuple[Side, Side]:
    return (
        RendezvousClientSession(SESSION, password_key=b"p" * 32),
        RendezvousServerSession(SESSION, [HOST], lambda _: ROOM),
    )


def run(change: Callable[[int, bytes], list[bytes]]) -> tuple[list[Side], tuple[Side, Side]]:
    """A rendezvous through a relay that delivers something else for one message.

    Args:
        change: what it delivers for a message with this number.

    Returns:
        The sides that completed the handshake after the change, and both sides.
    """
    ends, number, is_changed, done = sides(), 0, False, []
    for _ in range(4):
        for source, to in (ends, ends[::-1]):
            for message in source.messages_to_send():
                delivered = change(number, message)
                number += 1
                for one in delivered:
                    is_changed |= one is not message
                    if deliver(to, one) and is_changed:
                        done.append(to)
                is_changed |= len(delivered) != 1
    assert is_changed or all(end.is_established for end in ends)
    return done, ends


@given(st.integers(0, 5), st.lists(damages(), min_size=1, max_size=3))
def test_a_damaged_message_admits_nobody(hit: int, harm: list[Damage]) -> None:
    def change(number: int, message: bytes) -> list[bytes]:
        damaged = message
        for damage in harm if number == hit else ():
            damaged = damage(damaged)
        return [message if damaged == message else damaged]

    done, _ = run(change)
    assert done == []


@given(st.integers(0, 5))
def test_without_one_message_nobody_is_admitted(hit: int) -> None:
    done, _ = run(lambda number, message: [] if number == hit else [message])
    assert done == []


@given(st.integers(0, 5), st.integers(2, 4))
def test_a_repeated_message_ends_the_rendezvous_of_its_receiver(hit: int, times: int) -> None:
    _, ends = run(lambda number, message: [message] * times if number == hit else [message])
    receiver = ends[1 - hit % 2]
    assert not receiver.is_established


@given(st.lists(st.binary(max_size=300) | st.binary(max_size=150).map(lambda data: b"\3" + data), max_size=5))
def test_invented_messages_admit_nobody(messages: list[bytes]) -> None:
    client, server = sides()
    server.receive(*client.messages_to_send())
    client.receive(*server.messages_to_send())
    for message in messages:
        for end in (client, server):
            assert not deliver(end, message)


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_invented_first_messages_admit_nobody(messages: list[bytes]) -> None:
    for message in messages:
        for end in sides():
            assert not deliver(end, message)
