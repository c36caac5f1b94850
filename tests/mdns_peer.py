"""An independent peer of multicast DNS over IPv4 (RFC 6762): bytes and a socket, without the library under test."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

GROUP, PORT = "224.0.0.251", 5353
A, PTR, TXT, AAAA, SRV, ANY = 1, 12, 16, 28, 33, 255
CALLS = "_ascii-chat._tcp.local"
_IN, _FLUSH = 1, 0x8000
_RESPONSE = 0x8400


class Record(NamedTuple):
    """A resource record.

    Attributes:
        name: labels, joined with dots.
        kind: its type.
        lifetime: seconds; 0 says goodbye.
        data: as on the wire, but with uncompressed names.
    """

    name: str
    kind: int
    lifetime: int
    data: bytes


class Packet(NamedTuple):
    """A packet that arrived; for a query, the questions are names and types."""

    is_response: bool
    questions: list[tuple[str, int]]
    records: list[Record]


def encode_name(name: str) -> bytes:
    """A name without compression; its first label may have dots if it is followed by the calls' type."""
    labels = name.split(".")
    if name.endswith(f".{CALLS}"):
        labels = [name.removesuffix(f".{CALLS}"), *CALLS.split(".")]
    coded = [label.encode() for label in labels if label]
    return b"".join(bytes([len(label)]) + label for label in coded) + b"\0"


def encode_text(*entries: bytes) -> bytes:
    """The data of a TXT record."""
    return b"".join(bytes([len(entry)]) + entry for entry in entries)


def encode_response(records: Sequence[Record]) -> bytes:
    """A response with these records."""
    packet = struct.pack("!6H", 0, _RESPONSE, 0, len(records), 0, 0)
    for record in records:
        flush = 0 if record.kind == PTR else _FLUSH
        packet += encode_name(record.name)
        packet += struct.pack("!HHIH", record.kind, _IN | flush, record.lifetime, len(record.data)) + record.data
    return packet


def encode_query(name: str, kind: int) -> bytes:
    """A query with one question."""
    return struct.pack("!6H", 0, 0, 1, 0, 0, 0) + encode_name(name) + struct.pack("!HH", kind, _IN)


def service(
    instance: str,
    address: str = "10.77.0.2",
    port: int = 27224,
    text: bytes | None = None,
    *,
    lifetime: int = 120,
    target: str = "",
) -> list[Record]:
    """All records of a call."""
    name, host = f"{instance}.{CALLS}", target or f"host-of-{instance}.local"[:60]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    known = encode_text(b"session_string=", b"host_pubkey=" + b"0" * 64, b"v=1", b"name=" + instance.encode()[:60])
    return [
        Record(CALLS, PTR, lifetime, encode_name(name)),
        Record(name, SRV, lifetime, struct.pack("!3H", 0, 0, port) + encode_name(host)),
        Record(name, TXT, lifetime, known if text is None else text),
        Record(host, AAAA if ":" in address else A, lifetime, socket.inet_pton(family, address)),
    ]


def decode(packet: bytes) -> Packet:
    """Decode what a well-behaved peer sent."""
    _, flags, *counts = struct.unpack_from("!6H", packet)
    offset, questions, records = 12, [], []
    for _ in range(counts[0]):
        name, offset = _read_name(packet, offset)
        questions.append((name, struct.unpack_from("!H", packet, offset)[0]))
        offset += 4
    for _ in range(sum(counts[1:])):
        name, offset = _read_name(packet, offset)
        kind, _, lifetime, size = struct.unpack_from("!HHIH", packet, offset)
        offset += 10
        data = packet[offset : offset + size]
        if kind == PTR:
            data = _read_name(packet, offset)[0].encode()
        elif kind == SRV:
            data = data[:6] + _read_name(packet, offset + 6)[0].encode()
        offset += size
        records.append(Record(name, kind, lifetime, data))
    return Packet(bool(flags & 0x8000), questions, records)


def _read_name(packet: bytes, offset: int) -> tuple[str, int]:
    labels: list[str] = []
    end = None
    while (length := packet[offset]) != 0:
        if length >= 0xC0:
            end = end or offset + 2
            offset = struct.unpack_from("!H", packet, offset)[0] & 0x3FFF
        else:
            labels.append(packet[offset + 1 : offset + 1 + length].decode())
            offset += 1 + length
    return ".".join(labels), end or offset + 1


class MdnsPeer:
    """Listens to the group, and answers each query for calls with given packets.

    Create it on its machine (:meth:`network_namespace.Machine.call`).  Use as a context manager.

    Args:
        address: its own address.
        answers: packets; may be changed at any time.
    """

    def __init__(self, address: str, answers: Sequence[bytes] = ()) -> None:
        self.answers = list(answers)
        self.received: list[Packet] = []
        self._address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        member = socket.inet_aton(GROUP) + socket.inet_aton(address)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        self._socket.bind(("", PORT))
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> MdnsPeer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._thread.join()
        self._socket.close()

    def send(self, *packets: bytes) -> None:
        """Send packets to everybody."""
        for packet in packets:
            with contextlib.suppress(BlockingIOError):
                self._socket.sendto(packet, (GROUP, PORT))

    def wait_for(self, condition: Callable[[Packet], bool], seconds: float = 60.0) -> Packet:
        """The first packet that fulfils a condition."""
        deadline = time.monotonic() + seconds
        while True:
            for packet in list(self.received):
                if condition(packet):
                    return packet
            assert time.monotonic() < deadline, self.received
            time.sleep(0.02)

    def records(self, kind: int) -> list[Record]:
        """All records of a type in the responses so far."""
        return [record for packet in list(self.received) for record in packet.records if record.kind == kind]

    def _run(self) -> None:
        while not self._closed:
            if not select.select([self._socket], [], [], 0.05)[0]:
                continue
            data, (sender, _) = self._socket.recvfrom(9000)
            if sender == self._address:
                continue
            packet = decode(data)
            self.received.append(packet)
            if not packet.is_response and any(name.lower().endswith(CALLS) for name, _ in packet.questions):
                self.send(*self.answers)
