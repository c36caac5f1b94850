"""STUN messages: the vectors of RFC 5769, aioice's encoder and decoder, and damaged messages."""

from __future__ import annotations

import struct
import zlib

import pytest
from aioice import stun as aioice
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.errors import StunError
from teleglyph.wire.stun import (
    MAX_ATTRIBUTES,
    MAX_MESSAGE,
    MessageClass,
    StunAddress,
    StunMessage,
    decode,
    encode,
)

ID = bytes.fromhex("b7e7a701bc34d686fa87dfae")
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74 00240004 6e0001ff"
    "80290008 932ff9b151263b36 00060009 6576746a3a68367659202020"
    "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf"
)
RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 00200008 0001a147e112a643"
    "00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96"
)
RESPONSE_6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 00200014"
    "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9 00080014 a382954e4be67bf11784c97c8292c275bfe3ed41 80280004 c8fb0b4c"
)
addresses = st.builds(StunAddress, st.ip_addresses().map(str), st.integers(min_value=0, max_value=65535))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
ids = st.binary(min_size=12, max_size=12)
requests = st.builds(
    StunMessage,
    st.just(MessageClass.REQUEST),
    ids,
    change_address=st.booleans(),
    change_port=st.booleans(),
    software=texts,
    has_fingerprint=st.booleans(),
)
successes = st.builds(
    StunMessage,
    st.just(MessageClass.SUCCESS),
    ids,
    mapped_address=addresses,
    response_origin=st.none() | addresses,
    other_address=st.none() | addresses,
    software=texts,
    has_fingerprint=st.booleans(),
)
errors = st.builds(
    StunMessage,
    st.just(MessageClass.ERROR),
    ids,
    error_code=st.integers(min_value=300, max_value=699),
    error_reason=texts,
    unknown=st.lists(st.integers(min_value=0, max_value=0xFFFF), max_size=20).map(tuple),
    has_fingerprint=st.booleans(),
)
messages = requests | successes | errors


def with_attributes(*attributes: tuple[int, bytes], kind: int = 1) -> bytes:
    body = b"".join(
        struct.pack(">HH", number, len(value)) + value + bytes(-len(value) % 4) for number, value in attributes
    )
    return struct.pack(">HHI", kind, len(body), 0x2112A442) + ID + body


def test_vectors_of_the_specification_are_understood() -> None:
    request = decode(REQUEST)
    assert (request.kind, request.transaction_id) == (MessageClass.REQUEST, ID)
    assert (request.software, request.has_fingerprint) == ("STUN test client", True)
    assert request.unknown == ()
    response = decode(RESPONSE)
    assert (response.kind, response.transaction_id) == (MessageClass.SUCCESS, ID)
    assert response.mapped_address == ("192.0.2.1", 32853)
    assert (response.software, response.has_fingerprint) == ("test vector", True)
    assert decode(RESPONSE_6).mapped_address == ("2001:db8:1234:5678:11:2233:4455:6677", 32853)


@given(messages)
def test_what_is_written_is_read(message: StunMessage) -> None:
    assert decode(encode(message)) == message


@given(messages)
def test_aioice_reads_what_we_write(message: StunMessage) -> None:
    parsed = aioice.parse_message(encode(message))
    assert parsed.transaction_id == message.transaction_id
    assert int(parsed.message_class) == int(message.kind)
    assert parsed.attributes.get("XOR-MAPPED-ADDRESS") == message.mapped_address
    assert parsed.attributes.get("RESPONSE-ORIGIN") == message.response_origin
    assert parsed.attributes.get("OTHER-ADDRESS") == message.other_address
    assert parsed.attributes.get("CHANGE-REQUEST", 0) == 4 * message.change_address + 2 * message.change_port
    assert ("FINGERPRINT" in parsed.attributes) == message.has_fingerprint
    if message.error_code:
        assert parsed.attributes["ERROR-CODE"] == (message.error_code, message.error_reason)


@given(addresses, ids)
def test_we_read_what_aioice_writes(address: StunAddress, transaction_id: bytes) -> None:
    theirs = aioice.Message(aioice.Method.BINDING, aioice.Class.RESPONSE, transaction_id)
    theirs.attributes["XOR-MAPPED-ADDRESS"] = tuple(address)
    theirs.attributes["OTHER-ADDRESS"] = tuple(address)
    theirs.add_message_integrity(b"key")
    message = decode(bytes(theirs))
    assert message.mapped_address == message.other_address == address
    assert (message.transaction_id, message.has_fingerprint) == (transaction_id, True)


def test_the_old_mapped_address_counts_if_there_is_no_other() -> None:
    old, xored = bytes.fromhex("000104d2c0000201"), bytes.fromhex("0001a147e112a643")
    assert decode(with_attributes((0x0001, old), kind=0x101)).mapped_address == ("192.0.2.1", 1234)
    assert decode(with_attributes((0x0001, old), (0x0020, xored), kind=0x101)).mapped_address == ("192.0.2.1", 32853)


def test_unknown_attributes_are_named_if_they_matter() -> None:
    data = with_attributes((0x0027, b"\0\x50\0\0"), (0x8777, b"may be ignored"), (0x0026, bytes(8)))
    assert decode(data).unknown == (0x0027, 0x0026)


def test_what_follows_a_signature_does_not_count() -> None:
    data = with_attributes((0x0008, bytes(20)), (0x0020, bytes.fromhex("0001a147e112a643")), kind=0x101)
    assert decode(data).mapped_address is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes"),
        (REQUEST[:19], "19 bytes"),
        (REQUEST + bytes(4), "length"),
        (REQUEST[:-4], "length"),
        (with_attributes((0x8022, bytes(MAX_MESSAGE))), "bytes; expected"),
        (b"\x00\x03" + REQUEST[2:], "type 0x0003"),
        (b"\x80" + REQUEST[1:], "type 0x8001"),
        (REQUEST[:4] + b"\x21\x12\xa4\x43" + REQUEST[8:], "cookie"),
        (REQUEST[:-1] + b"\0", "FINGERPRINT"),
        (with_attributes((0x8028, bytes(3))), "FINGERPRINT"),
        (with_attributes((0x0003, bytes(5))), "CHANGE-REQUEST"),
        (with_attributes(*[(0x8777, b"")] * (MAX_ATTRIBUTES + 1)), f"more than {MAX_ATTRIBUTES} attributes"),
        (with_attributes((0x0020, b"\0\1\0\0\0\0\0"), kind=0x101), "family 1 with 7 bytes"),
        (with_attributes((0x0020, b"\0\3" + bytes(6)), kind=0x101), "family 3"),
        (with_attributes((0x0001, b""), kind=0x101), "family 0 with 0 bytes"),
        (with_attributes((0x0009, b"\0\0\7\0"), kind=0x111), "ERROR-CODE"),
        (with_attributes(kind=0x111), "no ERROR-CODE"),
        (with_attributes((0x8022, bytes(764))), "text of 764 bytes"),
        (struct.pack(">HHI", 1, 4, 0x2112A442) + ID + b"\x80\x22\x00\x05", "more than are left"),
    ],
)
def test_invalid_messages_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(StunError, match=reason):
        decode(data)


def test_nothing_may_follow_the_fingerprint() -> None:
    head = with_attributes()[:20]
    first = head[:2] + b"\0\x08" + head[4:]
    fingerprint = struct.pack(">HHI", 0x8028, 4, zlib.crc32(first) ^ 0x5354554E)
    assert decode(first + fingerprint).has_fingerprint
    longer = head[:2] + b"\0\x0c" + head[4:]
    with pytest.raises(StunError):
        decode(longer + fingerprint + b"\x87\x77\0\0")


@given(messages.map(encode) | st.sampled_from([REQUEST, RESPONSE, RESPONSE_6]), st.data())
def test_damaged_messages_are_read_or_refused(whole: bytes, data: st.DataObject) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(min_value=1, max_value=4))):
        damaged[data.draw(st.integers(min_value=0, max_value=len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(min_value=0, max_value=len(damaged)))
    for candidate in (bytes(damaged), bytes(damaged[:cut])):
        try:
            message = decode(candidate)
        except StunError:
            continue
        assert len(message.unknown) <= MAX_MESSAGE // 2
        assert decode(encode(message)).mapped_address == message.mapped_address


@given(st.binary(max_size=MAX_MESSAGE + 8))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StunError):
        decode(data)
