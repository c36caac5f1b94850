"""Messages of discovery survive the wire; any damage gives a message or a clean error, and costs little memory.

``HYPOTHESIS_PROFILE=long`` (see tests/conftest.py) tries hundreds of times as many inputs.
"""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from property.test_wire_messages import U8, U16, U32, Damage, damages
from teleglyph.errors import ProtocolError
from teleglyph.wire.acip.messages import ErrorMessage, Message
from teleglyph.wire.discovery import (
    AcipError,
    DirectAddress,
    HostAnnouncement,
    HostDesignated,
    HostLost,
    IceServer,
    IceServers,
    ListedParticipant,
    NatProbe,
    NatProbed,
    NetworkQuality,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantList,
    Rendezvous,
    SessionCreate,
    SessionCreated,
    SessionEnd,
    SessionInfo,
    SessionJoin,
    SessionJoined,
    SessionLeave,
    SessionLookup,
    SessionReconnect,
    StringRelease,
    StringRenew,
    StringReserve,
    StringReserved,
    Ways,
    WaysAnswer,
    WaysOffer,
    WebrtcIce,
    WebrtcSdp,
    decode_discovery,
)

FLAG, U64 = st.booleans(), st.integers(0, 2**64 - 1)
ID, KEY, SIGNATURE = (st.binary(min_size=size, max_size=size) for size in (16, 32, 64))
PORT = st.integers(1, 65535)
NAME = st.text("abz-", min_size=1, max_size=48)
ADDRESS = st.text("0123456789abcdef.:%", max_size=63)
NUMERIC = st.ip_addresses().map(str)


def text(maximum: int, minimum: int = 0) -> st.SearchStrategy[str]:
    """Text without NUL of at most ``maximum`` bytes in UTF-8."""
    characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.text(characters, min_size=minimum, max_size=maximum).filter(lambda value: len(value.encode()) <= maximum)


def urls(maximum: int) -> st.SearchStrategy[str]:
    rest = st.text("ab.:3", min_size=1, max_size=maximum - 6)
    return st.builds("{}:{}".format, st.sampled_from(["stun", "stuns", "turn", "turns"]), rest)


def some(items: st.SearchStrategy[object], maximum: int) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=maximum).map(tuple)


SERVER = st.builds(IceServer, urls(255), text(60), text(60))
MESSAGES: list[st.SearchStrategy[Message]] = [
    st.builds(
        SessionCreate,
        *(KEY, SIGNATURE, U64, U8, st.integers(1, 32), st.integers(0, 1), FLAG, text(127), FLAG, st.integers(3, 32)),
        *(st.integers(0, 2), ADDRESS, PORT, NAME | st.just("")),
    ),
    st.builds(
        SessionCreated,
        *(NAME, ID, ID, U64, some(st.builds(IceServer, urls(64)), 4)),
        some(st.builds(IceServer, urls(64), text(32), text(64)), 4),
    ),
    st.builds(SessionLookup, NAME),
    st.builds(SessionInfo, FLAG, ID, KEY, U8, U8, U8, U8, FLAG, U64, U64, FLAG, FLAG),
    st.builds(SessionJoin, NAME, KEY, SIGNATURE, U64, FLAG, text(127)),
    st.builds(
        SessionJoined,
        *(FLAG, U8, text(127), ID, ID, ID, FLAG, ID, U8, U8, ADDRESS, U16, text(127), text(127)),
    ),
    st.builds(SessionLeave, ID, ID),
    st.builds(SessionEnd, ID, SIGNATURE, U64),
    st.builds(SessionReconnect, ID, ID, SIGNATURE, U64),
    st.builds(AcipError, U8, text(255)),
    st.builds(WebrtcSdp, ID, ID, ID, FLAG, text(300)),
    st.builds(WebrtcIce, ID, ID, ID, text(100), text(20)),
    st.builds(StringReserve, NAME, st.integers(1, 365), KEY, SIGNATURE, U64),
    st.builds(StringRenew, NAME, st.integers(1, 365), KEY, SIGNATURE, U64),
    st.builds(StringRelease, NAME, KEY, SIGNATURE, U64),
    st.builds(StringReserved, FLAG, U8, text(127), U64),
    st.builds(ParticipantList, ID, some(st.builds(ListedParticipant, ID, ADDRESS, U16, U8), 5)),
    st.builds(ParticipantJoined, ID, ID, KEY, U8),
    st.builds(ParticipantLeft, ID, ID, FLAG, U8),
    st.builds(NetworkQuality, *(ID, ID, FLAG, FLAG, U16, U8, FLAG, U32, U32, U32, U32, U32, U8, ADDRESS, U16, U8)),
    st.builds(HostAnnouncement, ID, ID, ADDRESS, U16, U8),
    st.builds(HostDesignated, ID, ID, ADDRESS, U16, U8),
    st.builds(HostLost, ID, ID, ID, U32, U64),
    st.builds(Rendezvous, ID, ID, ID, st.binary(min_size=1, max_size=300)),
    st.builds(IceServers, U64, some(SERVER, 8)),
    st.builds(Ways, some(st.builds(DirectAddress, U8, NUMERIC, PORT), 32), some(SERVER, 8)),
    st.builds(WaysOffer, text(300, 1)),
    st.builds(WaysAnswer, text(300, 1)),
    st.builds(NatProbe, st.integers(1024, 65535)),
    st.builds(NatProbed, st.integers(0, 3), PORT, NUMERIC),
]
ANY_MESSAGE = st.sampled_from(MESSAGES).flatmap(lambda strategy: strategy)
MEMORY = 2**20
"""Bytes that one payload of at most 64 KiB may cost."""


def decode(kind: int, payload: bytes) -> None:
    """Decode, and check the error and the memory."""
    tracemalloc.start()
    try:
        message = decode_discovery(kind, payload)
    except ProtocolError as error:
        assert str(error)
    else:
        # What a service passes on is what it checked.
        assert isinstance(message, Message)
        again = decode_discovery(kind, message.encode_payload())
        # A replacement character is longer than what it replaces, and texts for people are cut.
        assert again == message or isinstance(message, AcipError | ErrorMessage | SessionJoined | StringReserved)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < MEMORY


@given(ANY_MESSAGE)
def test_messages_survive_the_wire(message: Message) -> None:
    assert decode_discovery(message.type, message.encode_payload()) == message


@given(ANY_MESSAGE, st.lists(damages(), min_size=1, max_size=3))
def test_a_damaged_payload_gives_a_message_or_a_clean_error(message: Message, harm: list[Damage]) -> None:
    payload = message.encode_payload()
    for damage in harm:
        payload = damage(payload)
    decode(message.type, payload)


@given(st.integers(6000, 6199) | U16, st.binary(max_size=600))
def test_random_bytes_give_a_message_or_a_clean_error(kind: int, payload: bytes) -> None:
    decode(kind, payload)
