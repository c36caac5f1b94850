"""Framing: a stream of bytes ⇄ whole packets (docs/protocol/framing.md)."""

from __future__ import annotations

import struct
from collections import deque
from typing import Final, NamedTuple

import google_crc32c

from teleglyph.errors import ProtocolError, ServerFullError
from teleglyph.wire.acip.packet_type import name_of

MAGIC: Final = 0x0000000A5C11C4A1
HEADER: Final = struct.Struct(">QHIII")
"""Magic, type, payload length, CRC-32C of the payload, client id."""
MAX_PAYLOAD: Final = 5 * 2**20
"""Largest payload of any packet in bytes."""
MAX_PLAINTEXT: Final = 2**20
"""Largest packet, header included, that can be encrypted, in bytes."""

_MAGIC_BYTES = MAGIC.to_bytes(8, "big")
_REFUSAL = b"SERVER_FULL"
_MAX_REFUSAL = 256
_SMALL_CHUNK, _BLOCK = 4096, 65536
"""Chunks smaller than the first size are collected in blocks of the second: a peer that sends single bytes must not
cost one Python object for each."""


class Packet(NamedTuple):
    """One packet with an undecoded payload."""

    type: int
    payload: bytes
    client_id: int = 0


class _Header(NamedTuple):
    type: int
    length: int
    checksum: int
    client_id: int


def checksum(payload: bytes) -> int:
    """CRC-32C (Castagnoli) of a payload; 0 for an empty one."""
    return int(google_crc32c.value(payload))


def pack_header(type: int, *parts: bytes, client_id: int = 0) -> bytes:
    """The header for a payload that consists of ``parts``."""
    crc = length = 0
    for part in parts:
        crc = google_crc32c.extend(crc, part)
        length += len(part)
    return HEADER.pack(MAGIC, type, length, crc, client_id)


def encode_packet(type: int, payload: bytes = b"", client_id: int = 0) -> bytes:
    """A complete packet: header and payload."""
    return pack_header(type, payload, client_id=client_id) + payload


def split_packets(data: bytes) -> list[bytes]:
    """Split bytes of our own at the borders of their packets, which are whole."""
    packets, offset = [], 0
    while offset < len(data):
        end = offset + HEADER.size + _Header(*HEADER.unpack_from(data, offset)[1:]).length
        packets.append(data[offset:end])
        offset = end
    return packets


def parse_packet(data: bytes) -> Packet:
    """Parse exactly one packet, as it is inside an encrypted one.

    Raises:
        ProtocolError: ``data`` is too short, or magic, length or checksum is wrong.
    """
    if len(data) < HEADER.size:
        raise ProtocolError(f"An encrypted packet holds {len(data)} bytes, but a packet needs at least {HEADER.size}.")
    header = _parse_header(data[: HEADER.size])
    if header.length != len(data) - HEADER.size:
        raise ProtocolError(
            f"{name_of(header.type)} announces {header.length} bytes, but holds {len(data) - HEADER.size}."
        )
    return _checked_packet(header, data[HEADER.size :])


def _parse_header(data: bytes) -> _Header:
    magic, *fields = HEADER.unpack(data)
    if magic != MAGIC:
        raise ProtocolError(f"Not an ACIP packet: its magic is {magic:#018x}.")
    return _Header(*fields)


def _checked_packet(header: _Header, payload: bytes) -> Packet:
    if payload and checksum(payload) != header.checksum:
        raise ProtocolError(f"Wrong checksum of {name_of(header.type)} with {len(payload)} bytes.")
    return Packet(header.type, payload, header.client_id)


class PacketDecoder:
    """Splits a stream into packets; the stream may arrive in chunks of any size.

    It stores chunks as they arrive and copies each payload once.  Memory depends on the bytes that were fed, not
    on the length that a header announces.

    Args:
        max_payload: longer payloads are refused as soon as their header is complete, in bytes.
        recognize_refusal: for clients: understand the unframed line of a full server
            (docs/protocol/framing.md#full-server).
    """

    def __init__(self, *, max_payload: int = MAX_PAYLOAD, recognize_refusal: bool = False) -> None:
        self.max_payload = max_payload
        self._recognize_refusal = recognize_refusal
        self._chunks: deque[bytes | bytearray] = deque()
        self._offset = 0
        """Bytes of the first chunk that were returned already."""
        self._buffered = 0
        self._header: _Header | None = None

    @property
    def buffered(self) -> int:
        """Bytes that were fed and not returned in a packet."""
        return self._buffered + (HEADER.size if self._header else 0)

    def feed(self, data: bytes) -> None:
        """Append bytes from the transport."""
        if not data:
            return
        self._buffered += len(data)
        if len(data) >= _SMALL_CHUNK:
            self._chunks.append(bytes(data))
            return
        last = self._chunks[-1] if self._chunks else None
        if isinstance(last, bytearray) and len(last) < _BLOCK:
            last += data
        else:
            self._chunks.append(bytearray(data))

    def next_packet(self) -> Packet | None:
        """The next whole packet, or None while its bytes are incomplete.

        Raises:
            ProtocolError: magic or checksum is wrong, or the payload is too long.  Do not use the decoder afterwards.
            ServerFullError: the server sent the line of a full server instead of a packet.
        """
        if self._header is None:
            if not self._is_at_packet() or self._buffered < HEADER.size:
                return None
            header = _parse_header(self._consume(HEADER.size))
            if header.length > self.max_payload:
                raise ProtocolError(
                    f"{name_of(header.type)} announces {header.length} bytes, but the limit is {self.max_payload}."
                )
            self._header = header
        if self._buffered < self._header.length:
            return None
        header, self._header = self._header, None
        return _checked_packet(header, self._consume(header.length))

    def _is_at_packet(self) -> bool:
        """Whether a packet may begin here.  A wrong first byte is found at once, not after 22 bytes."""
        if not self._chunks:
            return False
        start = bytes(self._chunks[0][self._offset : self._offset + len(_MAGIC_BYTES)])
        if _MAGIC_BYTES.startswith(start):
            return True
        if self._recognize_refusal and _REFUSAL.startswith(start):
            self._read_refusal()
            return False
        raise ProtocolError(f"Not an ACIP packet: it begins with {start.hex()}.")

    def _read_refusal(self) -> None:
        text = b"".join(self._chunks)[self._offset : self._offset + _MAX_REFUSAL]
        if not _REFUSAL.startswith(text[: len(_REFUSAL)]):
            raise ProtocolError(f"Not an ACIP packet: it begins with {text[:16].hex()}.")
        line, newline, _ = text.partition(b"\n")
        if newline or len(text) == _MAX_REFUSAL:
            reason = line.decode("ascii", "replace").removeprefix("SERVER_FULL").lstrip(":").strip().rstrip(".")
            raise ServerFullError(f"The server is full: {reason}." if reason else "The server is full.")

    def _consume(self, size: int) -> bytes:
        pieces = []
        self._buffered -= size
        while size:
            chunk = self._chunks[0]
            piece = memoryview(chunk)[self._offset : self._offset + size]
            pieces.append(piece)
            size -= len(piece)
            self._offset += len(piece)
            if self._offset == len(chunk):
                self._chunks.popleft()
                self._offset = 0
        return b"".join(pieces)
