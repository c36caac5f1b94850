"""The bytes of every message, built by hand from the offsets of the documentation."""

from __future__ import annotations

import hashlib
import struct

import google_crc32c
import pytest

from teleglyph.keys import FileIdentity
from teleglyph.wire.acip.messages import ErrorMessage, Message, Ping, Pong
from teleglyph.wire.discovery import (
    AcipError,
    Capability,
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
    SessionType,
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
    encode,
    sign,
)

NAME = "blue-mountain-tiger"
TIME = 1_700_000_000_000
SESSION, ONE, TWO = b"S" * 16, b"1" * 16, b"2" * 16
KEY, SIGNATURE = b"k" * 32, b"s" * 64


def payload(size: int, fields: dict[int, bytes | int]) -> bytes:
    """A payload of zeros with these bytes at these offsets; an integer is one byte."""
    data = bytearray(size)
    for offset, value in fields.items():
        part = bytes((value,)) if isinstance(value, int) else value
        assert not any(data[offset : offset + len(part)]), f"fields overlap at {offset}"
        data[offset : offset + len(part)] = part
    assert len(data) == size
    return bytes(data)


def little(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def named(name: str = NAME) -> bytes:
    return bytes((len(name),)) + name.encode()


VECTORS: list[tuple[int, Message, bytes]] = [
    (
        6000,
        SessionCreate(
            KEY,
            SIGNATURE,
            TIME,
            Capability.VIDEO | Capability.RENDEZVOUS,
            12,
            SessionType.WEBRTC,
            has_password=True,
            password_hash="$argon2id$x",
            expose_address=True,
            total_keys=3,
            key_index=2,
            address="2001:db8::1",
            port=27224,
            wanted_name=NAME,
        ),
        payload(
            306 + 19,
            {
                0: KEY,
                32: SIGNATURE,
                96: little(TIME, 8),
                104: 5,
                105: 12,
                106: 1,
                107: 1,
                108: b"$argon2id$x",
                236: 1,
                237: 19,
                238: 3,
                239: 2,
                240: b"2001:db8::1",
                304: b"\x58\x6a",
                306: NAME.encode(),
            },
        ),
    ),
    (
        6001,
        SessionCreated(
            NAME,
            SESSION,
            ONE,
            TIME,
            (IceServer("stun:a.example:3478"),),
            (IceServer("turn:b.example", "user", "secret"), IceServer("turns:c.example")),
        ),
        payload(
            91 + 65 + 2 * 163,
            {
                0: named(),
                49: SESSION,
                65: ONE,
                81: little(TIME, 8),
                89: 1,
                90: 2,
                91: named("stun:a.example:3478"),
                156: named("turn:b.example"),
                156 + 65: named("user"),
                156 + 65 + 33: named("secret"),
                319: named("turns:c.example"),
            },
        ),
    ),
    (6002, SessionLookup(NAME), payload(49, {0: named()})),
    (
        6003,
        SessionInfo(
            True,
            SESSION,
            KEY,
            7,
            16,
            3,
            SessionType.WEBRTC,
            has_password=True,
            created_at=TIME,
            expires_at=TIME + 5,
            server_checks_clients=True,
            clients_check_server=True,
        ),
        payload(
            72,
            {
                0: 1,
                1: SESSION,
                17: KEY,
                49: 7,
                50: 16,
                51: 3,
                52: 1,
                53: 1,
                54: little(TIME, 8),
                62: little(TIME + 5, 8),
                70: 1,
                71: 1,
            },
        ),
    ),
    (6003, SessionInfo(), bytes(72)),
    (
        6004,
        SessionJoin(NAME, KEY, SIGNATURE, TIME, has_password=True, password="hunter22"),
        payload(
            282,
            {0: named(), 49: KEY, 81: SIGNATURE, 145: little(TIME, 8), 153: 1, 154: b"hunter22"},
        ),
    ),
    (
        6005,
        SessionJoined(
            True,
            participant_id=ONE,
            session_id=SESSION,
            initiator_id=TWO,
            has_host=True,
            host_id=TWO,
            peers=4,
            session_type=SessionType.WEBRTC,
            address="203.0.113.7",
            port=27224,
            turn_username=f"1700000000:{NAME}",
            turn_password="lR0N",
        ),
        payload(
            519,
            {
                0: 1,
                130: ONE,
                146: SESSION,
                162: TWO,
                178: 1,
                179: TWO,
                195: 4,
                196: 1,
                197: b"203.0.113.7",
                261: b"\x58\x6a",
                263: b"1700000000:blue-mountain-tiger",
                391: b"lR0N",
            },
        ),
    ),
    (6005, SessionJoined(False, 2, "The session is full."), payload(519, {1: 2, 2: b"The session is full."})),
    (6006, SessionLeave(SESSION, ONE), SESSION + ONE),
    (6007, SessionEnd(SESSION, SIGNATURE, TIME), SESSION + SIGNATURE + little(TIME, 8)),
    (6008, SessionReconnect(SESSION, ONE, SIGNATURE, TIME), SESSION + ONE + SIGNATURE + little(TIME, 8)),
    (6009, WebrtcSdp(SESSION, ONE, TWO, is_answer=False, sdp="v=0"), SESSION + ONE + TWO + b"\0\0\3v=0"),
    (
        6009,
        WebrtcSdp(SESSION, ONE, bytes(16), is_answer=True, sdp="x" * 300),
        SESSION + ONE + bytes(16) + b"\1\x01\x2c" + b"x" * 300,
    ),
    (
        6010,
        WebrtcIce(SESSION, ONE, TWO, "candidate:1", "audio"),
        SESSION + ONE + TWO + b"\0\x0bcandidate:1\0audio\0",
    ),
    (6010, WebrtcIce(SESSION, ONE, TWO, "", ""), SESSION + ONE + TWO + bytes(4)),
    (
        6020,
        StringReserve(NAME, 365, KEY, SIGNATURE, TIME),
        payload(157, {0: KEY, 32: SIGNATURE, 96: little(TIME, 8), 104: named(), 153: little(365, 4)}),
    ),
    (
        6021,
        StringReserved(False, 6, "Taken.", TIME),
        payload(138, {1: 6, 2: b"Taken.", 130: little(TIME, 8)}),
    ),
    (
        6022,
        StringRenew(NAME, 1, KEY, SIGNATURE, TIME),
        payload(157, {0: KEY, 32: SIGNATURE, 96: little(TIME, 8), 104: named(), 153: 1}),
    ),
    (
        6023,
        StringRelease(NAME, KEY, SIGNATURE, TIME),
        payload(153, {0: KEY, 32: SIGNATURE, 96: little(TIME, 8), 104: named()}),
    ),
    (
        6050,
        ParticipantList(
            SESSION, (ListedParticipant(ONE, "192.0.2.1", 27224, 1), ListedParticipant(TWO, "2001:db8::2", 1, 3))
        ),
        payload(
            17 + 2 * 83,
            {
                0: SESSION,
                16: 2,
                17: ONE,
                33: b"192.0.2.1",
                97: b"\x58\x6a",
                99: 1,
                100: TWO,
                116: b"2001:db8::2",
                180: 1,
                182: 3,
            },
        ),
    ),
    (
        6060,
        NetworkQuality(
            SESSION,
            ONE,
            has_public_address=True,
            has_upnp=True,
            upnp_port=27224,
            nat_type=3,
            is_on_lan=True,
            stun_round_trip=1_000_001,
            upload=50_000,
            download=100_000,
            service_round_trip=25_000_000,
            jitter=70_000,
            loss=9,
            public_address="198.51.100.9",
            public_port=40_000,
            candidates=7,
        ),
        payload(
            126,
            {
                0: SESSION,
                16: ONE,
                32: 1,
                33: 1,
                34: b"\x6a\x58",
                36: 3,
                37: 1,
                38: little(1_000_001, 4),
                42: little(50_000, 4),
                46: little(100_000, 4),
                50: little(25_000_000, 4),
                54: little(70_000, 4),
                58: 9,
                59: b"198.51.100.9",
                123: little(40_000, 2),
                125: 7,
            },
        ),
    ),
    (
        6061,
        HostAnnouncement(SESSION, ONE, "203.0.113.7", 27224, 2),
        payload(99, {0: SESSION, 16: ONE, 32: b"203.0.113.7", 96: b"\x58\x6a", 98: 2}),
    ),
    (
        6062,
        HostDesignated(SESSION, ONE, "203.0.113.7", 27224, 3),
        payload(99, {0: SESSION, 16: ONE, 32: b"203.0.113.7", 96: b"\x58\x6a", 98: 3}),
    ),
    (
        6065,
        HostLost(SESSION, ONE, TWO, 2, TIME),
        payload(60, {0: SESSION, 16: ONE, 32: TWO, 48: little(2, 4), 52: little(TIME, 8)}),
    ),
    (6067, ParticipantJoined(SESSION, ONE, KEY, 3), SESSION + ONE + KEY + b"\3"),
    (6068, ParticipantLeft(SESSION, ONE, was_host=True, participants=2), SESSION + ONE + b"\1\2"),
    (6110, Rendezvous(SESSION, ONE, TWO, b"\1body"), SESSION + ONE + TWO + b"\1body"),
    (
        6111,
        IceServers(TIME, (IceServer("stun:a"), IceServer("turn:b", "u" * 300, "c" * 28))),
        little(TIME, 8) + b"\2\6stun:a" + bytes(4) + b"\6turn:b" + b"\x2c\x01" + b"u" * 300 + b"\x1c\0" + b"c" * 28,
    ),
    (
        6112,
        Ways(
            (DirectAddress(0, "192.168.1.5", 27224), DirectAddress(2, "2001:db8::5", 258)), (IceServer("stuns:a:5349"),)
        ),
        b"\2\0\x0b192.168.1.5\x58\x6a\2\x0b2001:db8::5\2\1" + b"\1\x0cstuns:a:5349" + bytes(4),
    ),
    (6112, Ways(), b"\0\0"),
    (6113, WaysOffer("v=0 ü"), "v=0 ü".encode()),
    (6114, WaysAnswer("v=0"), b"v=0"),
    (6115, NatProbe(27224), b"\x58\x6a"),
    (6116, NatProbed(2, 27224, "203.0.113.7"), b"\2\x58\x6a\x0b203.0.113.7"),
    (6199, AcipError(5, "Too many requests."), payload(257, {0: 5, 1: b"Too many requests."})),
    (2003, ErrorMessage(44, "away"), b"\0\0\0\x2c\0\0\0\4away"),
    (5001, Ping(), b""),
    (5002, Pong(), b""),
]


@pytest.mark.parametrize(("number", "message", "expected"), VECTORS, ids=lambda value: type(value).__name__)
def test_the_bytes_are_those_of_the_documentation(number: int, message: Message, expected: bytes) -> None:
    assert message.type == number
    assert message.encode_payload() == expected
    assert decode_discovery(number, expected) == message
    header = struct.pack(">QHIII", 0x0A5C11C4A1, number, len(expected), google_crc32c.value(expected), 0)
    assert encode(message) == header + expected


@pytest.mark.parametrize(("number", "message", "expected"), VECTORS, ids=lambda value: type(value).__name__)
def test_secrets_are_not_in_the_representation(number: int, message: Message, expected: bytes) -> None:
    text = repr(message)
    for secret in ("hunter22", "$argon2id$", "lR0N", "secret", "c" * 28, "body", repr(SIGNATURE)):
        assert secret not in text


# --- the vectors of the description of ascii-chat's service -----------------------------------------------------------

IDENTITY = FileIdentity(bytes(range(32)))
CREATE_SIGNATURE = bytes.fromhex(
    "6fa25c6001c8680402a0e8bb1c725b7660a86e0f750d83649662962015d85bbe"
    "dd659a4e367c1a09d58e5f7aa6bc75ec1ebfd9a353eb4002ab794de2bc1eea0e"
)
JOIN_SIGNATURE = bytes.fromhex(
    "4ffb5578ffb1110c4e46af9e34e9e4b61a6a6e70a2612798e645bb284e58b456"
    "5873555103973e9d9a7d9f6346e06325b9dd2d1374a7b53c3a576252470bd40d"
)
CREATE = SessionCreate(expose_address=True, address="203.0.113.7", port=27224)


def test_lookup_is_the_known_packet() -> None:
    packet = encode(SessionLookup(NAME))
    assert packet[:22].hex() == "0000000a5c11c4a11772000000319c20a4a800000000"
    assert packet[22:].hex() == "13626c75652d6d6f756e7461696e2d7469676572" + "00" * 29


def test_create_is_the_known_packet() -> None:
    message = sign(CREATE, IDENTITY, TIME)
    assert message.identity.hex() == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    assert message.signature == CREATE_SIGNATURE
    data = message.encode_payload()
    assert len(data) == 306
    assert google_crc32c.value(data) == 0x21BFE4C5
    assert hashlib.sha256(data).hexdigest() == "1e24bec534b514ccac925766c4828aeba609e131f767c1836e2b0f9ba1e21cca"


def test_join_is_the_known_packet() -> None:
    message = sign(SessionJoin(NAME), IDENTITY, TIME)
    assert message.signature == JOIN_SIGNATURE
    data = message.encode_payload()
    assert len(data) == 282
    assert google_crc32c.value(data) == 0xF406C3CD
    assert hashlib.sha256(data).hexdigest() == "dfe02694e6e4ebc69e2f3d6d38c59c6bfe9b33703c19e60c5efbef71884e76ac"
