"""A relay that damages, drops, repeats and invents messages admits nobody, and costs nothing but the rendezvous.

``HYPOTHESIS_PROFILE=long`` (see tests/conftest.py) tries a hundred times as many inputs.
"""

from __future__ import annotations

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
    """Deliver a message; returns whether it ended the handshake."""
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


@given(st.integers(0, 5), st.lists(damages(), min_size=1, max_size=3), st.booleans())
def test_a_damaged_message_admits_nobody(hit: int, harm: list[Damage], repeats: bool) -> None:
    ends, number, is_damaged = sides(), 0, False
    for _ in range(4):
        for source, to in (ends, ends[::-1]):
            for message in source.messages_to_send():
                damaged = message
                if number == hit:
                    for damage in harm:
                        damaged = damage(damaged)
                    is_damaged = damaged != message
                number += 1
                is_done = deliver(to, damaged)
                assert not (is_damaged and is_done)
                if repeats and number == hit:
                    assert not deliver(to, message)
                    is_damaged = True
    assert is_damaged or all(end.is_established for end in ends)


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
