"""Payloads and values that are refused, with the reason that a peer or a log gets."""

from __future__ import annotations

import struct

import pytest

from teleglyph.errors import BadDataError, ProtocolError, SessionNameError
from teleglyph.wire.acip.messages import Message
from teleglyph.wire.discovery import (
    MAX_DISCOVERY_PAYLOAD,
    AcipError,
    DirectAddress,
    HostAnnouncement,
    IceServer,
    IceServers,
    NatProbe,
    NetworkQuality,
    ParticipantList,
    Rendezvous,
    SessionCreate,
    SessionCreated,
    SessionJoin,
    SessionJoined,
    SessionLeave,
    SessionLookup,
    StringReserve,
    Ways,
    WaysOffer,
    WebrtcIce,
    decode_discovery,
)
from unit.wire.discovery.test_layouts import NAME, ONE, SESSION, TWO, VECTORS

CREATE = SessionCreate(address="203.0.113.7", port=27224).encode_payload()
CREATED = SessionCreated(NAME, SESSION).encode_payload()
SDP_HEAD = SESSION + ONE + TWO


def put(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


FAULTS: list[tuple[str, int, bytes, type[ProtocolError], str]] = [
    ("no participants", 6000, put(CREATE, 105, b"\0"), BadDataError, r"max participants 0 \(expected 1-32\)"),
    ("many participants", 6000, put(CREATE, 105, b"\x21"), BadDataError, "max participants 33"),
    ("unknown session type", 6000, put(CREATE, 106, b"\2"), BadDataError, r"session type 2 \(expected 0 or 1\)"),
    ("no port", 6000, put(CREATE, 304, b"\0\0"), BadDataError, "port 0 for a session over TCP"),
    ("many keys", 6000, put(CREATE, 238, b"\x21"), BadDataError, r"key 0 of 33 \(at most 32\)"),
    ("key behind the last", 6000, put(CREATE, 238, b"\2\2"), BadDataError, "key 2 of 2"),
    ("name that does not follow", 6000, put(CREATE, 237, b"\x13"), SessionNameError, "announces a name of 19 bytes"),
    ("short name", 6000, put(CREATE, 237, b"\x13") + b"abc", ProtocolError, "name of 19 bytes, but has 3"),
    ("name without its length", 6000, CREATE + b"abc", ProtocolError, "name of 0 bytes, but has 3"),
    ("long name", 6000, put(CREATE, 237, b"\x31") + b"a" * 49, SessionNameError, "at most 48 lower-case"),
    ("capitals in a name", 6000, put(CREATE, 237, b"\5") + b"A-b-c", SessionNameError, "b'A-b-c'"),
    ("escape in an address", 6000, put(CREATE, 240, b"\x1b[2J"), BadDataError, "other characters than visible ASCII"),
    ("many STUN servers", 6001, put(CREATED, 89, b"\5") + bytes(325), BadDataError, "5 STUN and 0 TURN servers"),
    ("many TURN servers", 6001, put(CREATED, 90, b"\xff"), BadDataError, r"255 TURN servers \(at most 4 each\)"),
    ("missing STUN server", 6001, put(CREATED, 89, b"\1"), ProtocolError, r"size 91 \(at least 92\)"),
    ("bytes behind the servers", 6001, CREATED + b"\0", ProtocolError, "1 bytes follow its end"),
    ("long URL", 6001, put(CREATED, 89, b"\1") + b"\x41" + bytes(64), BadDataError, "65 bytes in a field of 64"),
    ("web address", 6001, put(CREATED, 89, b"\1") + b"\6http:a".ljust(65, b"\0"), BadDataError, "ICE server 'http:a'"),
    ("empty name", 6002, bytes(49), SessionNameError, "SESSION_LOOKUP has no session name"),
    ("length beyond the field", 6002, b"\x31" + b"a" * 48, SessionNameError, r"name of 49 bytes \(at most 48\)"),
    ("NUL in a name", 6002, b"\3a\0b".ljust(49, b"\0"), SessionNameError, "at most 48 lower-case"),
    ("join without a name", 6004, bytes(282), SessionNameError, "SESSION_JOIN has no session name"),
    ("kind of SDP", 6009, SDP_HEAD + b"\2\0\0", BadDataError, r"kind 2 \(expected 0 or 1\)"),
    ("SDP that does not follow", 6009, SDP_HEAD + b"\0\xff\xff" + b"a", ProtocolError, r"size 52 \(expected 65586\)"),
    ("bytes behind the SDP", 6009, SDP_HEAD + b"\0\0\1ab", ProtocolError, r"size 53 \(expected 52\)"),
    ("SDP that is not UTF-8", 6009, SDP_HEAD + b"\0\0\1\xff", BadDataError, "not UTF-8"),
    ("NUL in SDP", 6009, SDP_HEAD + b"\0\0\1\0", BadDataError, "text with NUL"),
    ("candidate without NUL", 6010, SDP_HEAD + b"\0\2abc\0", ProtocolError, "no candidate and mid"),
    ("mid without NUL", 6010, SDP_HEAD + b"\0\2ab\0x", ProtocolError, "no candidate and mid"),
    ("no mid", 6010, SDP_HEAD + b"\0\2ab\0", ProtocolError, "no candidate and mid"),
    ("NUL in a mid", 6010, SDP_HEAD + b"\0\2ab\0x\0y\0", BadDataError, "text with NUL"),
    ("no days", 6020, put(StringReserve(NAME, 1).encode_payload(), 153, b"\0"), BadDataError, "days 0"),
    ("many days", 6022, put(StringReserve(NAME, 1).encode_payload(), 153, b"\x6e\1"), BadDataError, "days 366"),
    ("no name to release", 6023, bytes(153), SessionNameError, "STRING_RELEASE has no session name"),
    ("missing participants", 6050, SESSION + b"\2" + bytes(83), ProtocolError, r"size 100 \(expected 183\)"),
    ("no body", 6110, SDP_HEAD, ProtocolError, r"size 48 \(expected 49-16432\)"),
    ("large body", 6110, SDP_HEAD + bytes(16385), ProtocolError, r"size 16433 \(expected 49-16432\)"),
    ("many ICE servers", 6111, bytes(8) + b"\x09", BadDataError, r"9 ICE servers \(at most 8\)"),
    ("long user name", 6111, bytes(8) + b"\1\6turn:a\1\2", ProtocolError, r"text of 513 bytes \(at most 512\)"),
    ("missing user name", 6111, bytes(8) + b"\1\6turn:a\0\2", ProtocolError, "at least 530"),
    ("many addresses", 6112, b"\x21", BadDataError, r"33 addresses \(at most 32\)"),
    ("missing addresses", 6112, b"\x20", ProtocolError, r"WAYS payload size 1 \(at least 2\)"),
    ("host name", 6112, b"\1\0\x07a.local\1\0\0", BadDataError, "address 'a.local', which is not numeric"),
    ("no port", 6112, b"\1\0\x03::1\0\0\0", BadDataError, "port 0 for ::1"),
    ("long address", 6112, b"\1\0\x41" + b"1" * 65, ProtocolError, r"text of 65 bytes \(at most 64\)"),
    ("empty offer", 6113, b"", ProtocolError, r"WAYS_OFFER payload size 0 \(expected 1-12000\)"),
    ("large answer", 6114, b"v" * 12001, ProtocolError, r"WAYS_ANSWER payload size 12001"),
    ("privileged port", 6115, b"\xff\3", BadDataError, r"port 1023 \(at least 1024\)"),
    ("unknown result", 6116, b"\4\x58\x6a\x03::1", BadDataError, r"result 4 \(expected 0-3\)"),
    ("unknown type", 7, b"", ProtocolError, "type 7 is not a message of a discovery service"),
    ("type of a call", 3000, b"", ProtocolError, r"ASCII_FRAME \(3000\) is not a message"),
    ("large payload", 6009, bytes(MAX_DISCOVERY_PAYLOAD + 1), ProtocolError, r"65537 bytes \(at most 65536\)"),
]


@pytest.mark.parametrize(
    ("number", "data", "kind", "reason"), [one[1:] for one in FAULTS], ids=[one[0] for one in FAULTS]
)
def test_invalid_payloads_are_refused(number: int, data: bytes, kind: type[ProtocolError], reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason) as caught:
        decode_discovery(number, data)
    assert caught.type is kind


COMPLETE = [(number, data) for number, message, data in VECTORS if number not in (2003, 5001, 5002, 6110, 6113, 6114)]
"""Payloads that end with a field of a fixed or announced size."""


@pytest.mark.parametrize(("number", "data"), COMPLETE)
def test_a_payload_without_its_last_byte_is_refused(number: int, data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_discovery(number, data[:-1])


@pytest.mark.parametrize(("number", "data"), COMPLETE)
def test_a_payload_with_another_byte_is_refused(number: int, data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_discovery(number, data + b"a")


@pytest.mark.parametrize("number", [number for number, _, _ in VECTORS if number >= 6000])
def test_an_empty_payload_is_refused(number: int) -> None:
    with pytest.raises(ProtocolError, match=r"payload size 0 \("):
        decode_discovery(number, b"")


UNSENDABLE: list[tuple[Message, str]] = [
    (SessionLookup("Blue-mountain-tiger"), "SESSION_LOOKUP name: session name 'Blue-mountain-tiger'"),
    (SessionLookup("a" * 49), r"at most 48 lower-case letters and hyphens"),
    (SessionJoin(NAME, identity=b"short"), "SESSION_JOIN identity: 5 bytes where 32 belong"),
    (SessionJoin(NAME, timestamp=-1), "SESSION_JOIN timestamp: -1 does not fit into 64 bits"),
    (SessionLeave(SESSION, ONE + b"x"), "SESSION_LEAVE participant_id: 17 bytes where 16 belong"),
    (SessionCreate(port=65536), "SESSION_CREATE port: 65536 does not fit into 16 bits"),
    (SessionCreate(port=1, address="a" * 65), "at most 64 visible ASCII characters"),
    (SessionCreate(port=1, address="a b"), "visible ASCII"),
    (SessionCreated(NAME, SESSION, stun=(IceServer("stun:a"),) * 5), r"5 STUN and 0 TURN servers \(at most 4 each\)"),
    (SessionCreated(NAME, SESSION, turn=(IceServer("turn:a", "u" * 33),)), r"a text of 33 bytes \(at most 32\)"),
    (HostAnnouncement(SESSION, ONE, "ä", 1), "HOST_ANNOUNCEMENT address: address 'ä'"),
    (NetworkQuality(SESSION, ONE, stun_round_trip=1 << 32), "stun_round_trip: 4294967296 does not fit into 32 bits"),
    (WebrtcIce(SESSION, ONE, TWO, "a\0b", ""), "text with NUL"),
    (Rendezvous(SESSION, ONE, TWO, b""), r"RENDEZVOUS body of 0 bytes \(expected 1-16384\)"),
    (Rendezvous(SESSION, ONE, TWO, bytes(16385)), r"RENDEZVOUS body of 16385 bytes"),
    (IceServers(0, (IceServer("stun:a"),) * 9), r"9 ICE servers \(at most 8\)"),
    (IceServers(0, (IceServer("stun:" + "a" * 251),)), r"a text of 256 bytes \(at most 255\)"),
    (Ways((DirectAddress(0, "::1", 1),) * 33), r"33 addresses \(at most 32\)"),
    (WaysOffer(""), r"WAYS_OFFER of 0 bytes \(expected 1-12000\)"),
    (WaysOffer("ä" * 6001), r"WAYS_OFFER of 12002 bytes"),
    (NatProbe(70_000), "NAT_PROBE port: 70000 does not fit into 16 bits"),
]


@pytest.mark.parametrize(("message", "reason"), UNSENDABLE, ids=lambda value: type(value).__name__)
def test_values_that_do_not_fit_are_not_sent(message: Message, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        message.encode_payload()


def test_the_error_for_a_long_password_does_not_contain_it() -> None:
    with pytest.raises(ValueError, match=r"SESSION_JOIN password: the text has 136 bytes \(at most 128") as caught:
        SessionJoin(NAME, password="hunter22" * 17).encode_payload()
    assert "hunter22" not in str(caught.value)


def test_a_full_field_needs_no_nul() -> None:
    data = SessionJoin(NAME).encode_payload()
    assert SessionJoin.decode_payload(data[:154] + b"p" * 128).password == "p" * 128
    assert NetworkQuality.decode_payload(bytes(59) + b"1" * 64 + bytes(3)).public_address == "1" * 64


def test_passwords_keep_bytes_that_are_not_utf_8() -> None:
    data = SessionJoin(NAME).encode_payload()
    raw = data[:154] + b"\xff\xfe".ljust(128, b"\0")
    message = SessionJoin.decode_payload(raw)
    assert message.encode_payload() == raw
    assert message != SessionJoin.decode_payload(data[:154] + b"\xfe\xff".ljust(128, b"\0"))


def test_texts_for_people_are_cut() -> None:
    joined = SessionJoined(False, 255, "ä" * 200)
    assert SessionJoined.decode_payload(joined.encode_payload()).error == "ä" * 63
    assert AcipError.decode_payload(AcipError(255, "a" * 300).encode_payload()).text == "a" * 255


def test_bytes_behind_a_nul_are_ignored() -> None:
    data = put(CREATE, 240, b"10.0.0.1\0\xff\xff")
    assert SessionCreate.decode_payload(data).address == "10.0.0.1"


def test_the_largest_ways_fit_into_a_sealed_message() -> None:
    address = DirectAddress(2, "f" * 64, 65535)
    server = IceServer("turn:" + "a" * 250, "u" * 512, "c" * 512)
    assert len(Ways((address,) * 32, (server,) * 8).encode_payload()) + struct.calcsize(">QHIII") <= 16384 - 17


def test_the_largest_list_of_participants_fits_into_a_payload() -> None:
    data = SESSION + b"\xff" + bytes(83 * 255)
    assert len(data) < MAX_DISCOVERY_PAYLOAD
    assert len(ParticipantList.decode_payload(data).participants) == 255
