"""Framing."""

from __future__ import annotations

import itertools
import struct
import tracemalloc

import pytest

from teleglyph.errors import ProtocolError, ServerFullError
from teleglyph.wire.acip import MAX_PAYLOAD, Message, Packet, PacketDecoder, PacketType, encode, encode_packet
from teleglyph.wire.acip.packet import HEADER, MAGIC, checksum, parse_packet
from unit.wire.examples import VECTORS

FULL = b"SERVER_FULL: Maximum client limit reached\n"
vectors = pytest.mark.parametrize(("message", "data"), VECTORS.values(), ids=VECTORS.keys())


def header(kind: int = 5001, length: int = 0, crc: int = 0, magic: int = MAGIC) -> bytes:
    return struct.pack(">QHIII", magic, kind, length, crc, 0)


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"123456789", 0xE3069283), (b"ascii-chat", 0xD644B14A), (b"\0\0\0\1", 0xBA0CC8C4), (b"", 0)],
)
def test_the_checksum_is_crc32c(data: bytes, crc: int) -> None:
    assert checksum(data) == crc


@vectors
def test_a_message_encodes_to_its_known_bytes(message: Message, data: bytes) -> None:
    assert encode(message) == data


@vectors
def test_known_bytes_are_one_packet_that_decodes_to_the_message(message: Message, data: bytes) -> None:
    decoder = PacketDecoder()
    decoder.feed(data)
    packet = decoder.next_packet()
    assert packet == Packet(message.type, data[HEADER.size :])
    assert message.decode_payload(packet.payload) == message
    assert decoder.next_packet() is None
    assert decoder.buffered == 0


@vectors
def test_a_packet_is_complete_with_its_last_byte_and_not_before(message: Message, data: bytes) -> None:
    decoder = PacketDecoder()
    for byte in data[:-1]:
        decoder.feed(bytes([byte]))
        assert decoder.next_packet() is None
    assert decoder.buffered == len(data) - 1
    decoder.feed(data[-1:])
    assert decoder.next_packet() == Packet(message.type, data[HEADER.size :])


@vectors
def test_bytes_after_a_packet_wait_for_the_next(message: Message, data: bytes) -> None:
    decoder = PacketDecoder()
    decoder.feed(data + data[:10])
    assert decoder.next_packet() == Packet(message.type, data[HEADER.size :])
    assert decoder.next_packet() is None
    assert decoder.buffered == 10
    decoder.feed(data[10:])
    assert decoder.next_packet() == Packet(message.type, data[HEADER.size :])


def test_the_client_id_is_carried_and_not_interpreted() -> None:
    decoder = PacketDecoder()
    decoder.feed(encode_packet(PacketType.PING, client_id=0xDEADBEEF))
    assert decoder.next_packet() == Packet(PacketType.PING, b"", 0xDEADBEEF)


def test_large_and_small_chunks_may_alternate_within_a_packet() -> None:
    payload = bytes(range(256)) * 400
    data = encode_packet(3001, payload)
    decoder = PacketDecoder()
    cuts = [0, 1, 21, 22, 23, 5000, 5001, 9999, 80000, len(data)]
    for start, end in itertools.pairwise(cuts):
        assert decoder.next_packet() is None
        decoder.feed(data[start:end])
    assert decoder.next_packet() == Packet(3001, payload)


def test_the_checksum_of_an_empty_payload_is_ignored() -> None:
    decoder = PacketDecoder()
    decoder.feed(header(crc=0x12345678))
    assert decoder.next_packet() == Packet(5001, b"")


def test_a_wrong_checksum_is_refused() -> None:
    data = bytearray(encode_packet(3001, b"payload"))
    data[-1] ^= 1
    decoder = PacketDecoder()
    decoder.feed(bytes(data))
    with pytest.raises(ProtocolError, match=r"Wrong checksum of IMAGE_FRAME \(3001\)"):
        decoder.next_packet()


def test_a_payload_of_the_largest_size_is_accepted() -> None:
    decoder = PacketDecoder()
    decoder.feed(encode_packet(3001, bytes(MAX_PAYLOAD)))
    packet = decoder.next_packet()
    assert packet is not None
    assert len(packet.payload) == MAX_PAYLOAD


@pytest.mark.parametrize("length", [MAX_PAYLOAD + 1, 0xFFFFFFFF])
def test_a_longer_payload_is_refused_before_it_arrives(length: int) -> None:
    decoder = PacketDecoder()
    decoder.feed(header(3001, length))
    with pytest.raises(ProtocolError, match=f"announces {length} bytes"):
        decoder.next_packet()


@pytest.mark.parametrize("position", range(8))
def test_junk_is_refused_at_its_first_wrong_byte(position: int) -> None:
    start = bytearray(header()[: position + 1])
    start[position] ^= 0x80
    decoder = PacketDecoder()
    decoder.feed(bytes(start))
    with pytest.raises(ProtocolError, match="Not an ACIP packet"):
        decoder.next_packet()


def test_a_wrong_magic_that_is_split_over_chunks_is_refused() -> None:
    data = header(magic=MAGIC ^ 1)
    decoder = PacketDecoder()
    decoder.feed(data[:4])
    assert decoder.next_packet() is None
    decoder.feed(bytes(9000))
    with pytest.raises(ProtocolError, match="Not an ACIP packet"):
        decoder.next_packet()


def test_memory_grows_with_received_bytes_not_with_announced_sizes() -> None:
    decoder = PacketDecoder()
    tracemalloc.start()
    try:
        decoder.feed(header(3001, MAX_PAYLOAD))
        for _ in range(1000):
            decoder.feed(b"12")
            assert decoder.next_packet() is None
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 20_000


def test_many_tiny_chunks_are_joined() -> None:
    decoder = PacketDecoder()
    tracemalloc.start()
    try:
        decoder.feed(header(3001, MAX_PAYLOAD))
        for number in range(300_000):
            decoder.feed(number.to_bytes(3, "big"))
        assert decoder.next_packet() is None
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 2 * decoder.buffered


def test_a_full_servers_line_is_recognized_whole_and_byte_by_byte() -> None:
    whole = PacketDecoder(recognize_refusal=True)
    whole.feed(FULL)
    with pytest.raises(ServerFullError, match="Maximum client limit reached"):
        whole.next_packet()
    slow = PacketDecoder(recognize_refusal=True)
    for byte in FULL[:-1]:
        slow.feed(bytes([byte]))
        assert slow.next_packet() is None
    slow.feed(FULL[-1:])
    with pytest.raises(ServerFullError, match="Maximum client limit reached"):
        slow.next_packet()


def test_an_endless_refusal_is_cut() -> None:
    decoder = PacketDecoder(recognize_refusal=True)
    decoder.feed(b"SERVER_FULL: " + b"x" * 1000)
    with pytest.raises(ServerFullError) as caught:
        decoder.next_packet()
    assert len(str(caught.value)) < 300


def test_a_line_that_only_begins_like_a_refusal_is_junk() -> None:
    decoder = PacketDecoder(recognize_refusal=True)
    decoder.feed(b"SERVER_FOLLY: hello\n")
    with pytest.raises(ProtocolError, match="Not an ACIP packet"):
        decoder.next_packet()


def test_a_server_treats_the_refusal_as_junk() -> None:
    decoder = PacketDecoder()
    decoder.feed(FULL)
    with pytest.raises(ProtocolError, match="Not an ACIP packet"):
        decoder.next_packet()


def test_exactly_one_packet_is_parsed() -> None:
    assert parse_packet(encode_packet(2004, b"text")) == Packet(2004, b"text")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        header()[:21],
        header(length=1),
        header() + b"x",
        header(magic=MAGIC + 1),
        header(2004, 4, 1) + b"text",
    ],
    ids=["empty", "short", "too few bytes", "too many bytes", "magic", "checksum"],
)
def test_anything_but_exactly_one_packet_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_packet(data)
