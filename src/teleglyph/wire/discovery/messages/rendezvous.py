"""How a joiner and a host find ways to each other, and tests of NAT (docs/protocol/discovery.md#rendezvous)."""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass, field
from typing import ClassVar, Self

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip.messages.base import Message
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.discovery.layout import ADDRESS_SIZE, ID, U16, FixedMessage, Layout
from teleglyph.wire.discovery.messages.ice import (
    IceServer,
    pack_servers,
    read_servers,
)
from teleglyph.wire.discovery.parts import Reader, decode_strict, pack_text

MAX_RELAYED = 16384
"""Bytes of a rendezvous message, which the service relays."""
MAX_ADDRESSES = 32
"""Direct addresses in WAYS."""
MAX_SDP = 12000
"""Bytes of a session description in WAYS_OFFER and WAYS_ANSWER."""
MIN_PROBED_PORT = 1024
"""The service probes no port below this one."""


class AddressKind(enum.IntEnum):
    """Where an address of the host is valid."""

    LAN = 0
    PUBLIC = 1
    MAPPED = 2
    """A router forwards this port to the host."""


class ProbeResult(enum.IntEnum):
    """What became of the connection of a probe."""

    REACHED = 0
    REFUSED = 1
    NO_ANSWER = 2
    RATE_LIMITED = 3


@dataclass(frozen=True, slots=True)
class Rendezvous(Message):
    """A message from one participant to another, of which one is the host.

    Attributes:
        sender_id: the service refuses a wrong one.
        body: 1 to 16384 bytes.
    """

    type: ClassVar = PacketType.RENDEZVOUS
    layout: ClassVar = Layout(type, session_id=ID, sender_id=ID, recipient_id=ID)
    session_id: bytes
    sender_id: bytes
    recipient_id: bytes
    body: bytes = field(repr=False)

    def encode_payload(self) -> bytes:
        if not 1 <= len(self.body) <= MAX_RELAYED:
            raise ValueError(f"RENDEZVOUS body of {len(self.body)} bytes (expected 1-{MAX_RELAYED})")
        return self.layout.pack(self) + self.body

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        smallest, largest = cls.layout.size + 1, cls.layout.size + MAX_RELAYED
        if not smallest <= len(payload) <= largest:
            raise ProtocolError(f"RENDEZVOUS payload size {len(payload)} (expected {smallest}-{largest})")
        return cls(**cls.layout.unpack(payload), body=payload[cls.layout.size :])


@dataclass(frozen=True, slots=True)
class DirectAddress:
    """An address at which the host listens for TCP connections.

    Attributes:
        kind: an :class:`AddressKind`, or a number of a later version.
        host: numeric, IPv4 or IPv6.
    """

    kind: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Ways(Message):
    """The host's ways in, inside the sealed channel only.

    Attributes:
        addresses: to try directly.
        servers: for ICE.
    """

    type: ClassVar = PacketType.WAYS
    addresses: tuple[DirectAddress, ...] = ()
    servers: tuple[IceServer, ...] = ()

    def encode_payload(self) -> bytes:
        if len(self.addresses) > MAX_ADDRESSES:
            raise ValueError(f"{len(self.addresses)} addresses (at most {MAX_ADDRESSES})")
        parts = [bytes((len(self.addresses),))]
        for one in self.addresses:
            parts += bytes((one.kind,)), pack_text(one.host, 1, ADDRESS_SIZE), one.port.to_bytes(2, "little")
        return b"".join(parts) + pack_servers(self.servers)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        reader = Reader(cls.type, payload)
        count = reader.number(1)
        if count > MAX_ADDRESSES:
            raise BadDataError(f"WAYS has {count} addresses (at most {MAX_ADDRESSES})")
        addresses = tuple(
            DirectAddress(reader.number(1), reader.text(1, ADDRESS_SIZE), reader.number(2)) for _ in range(count)
        )
        for one in addresses:
            _check_address(cls.type, one.host, one.port)
        servers = read_servers(cls.type, reader)
        reader.finish()
        return cls(addresses, servers)


class _Description(Message):
    __slots__ = ()

    sdp: str

    def encode_payload(self) -> bytes:
        data = self.sdp.encode()
        if not 1 <= len(data) <= MAX_SDP:
            raise ValueError(f"{self.type.name} of {len(data)} bytes (expected 1-{MAX_SDP})")
        return data

    @classmethod
    def decode_sdp(cls, payload: bytes) -> str:
        if not 1 <= len(payload) <= MAX_SDP:
            raise ProtocolError(f"{cls.type.name} payload size {len(payload)} (expected 1-{MAX_SDP})")
        return decode_strict(cls.type, payload)


@dataclass(frozen=True, slots=True)
class WaysOffer(_Description):
    """The joiner's offer of a data channel as SDP, inside the sealed channel only."""

    type: ClassVar = PacketType.WAYS_OFFER
    sdp: str

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        return cls(cls.decode_sdp(payload))


@dataclass(frozen=True, slots=True)
class WaysAnswer(_Description):
    """The host's answer to :class:`WaysOffer`."""

    type: ClassVar = PacketType.WAYS_ANSWER
    sdp: str

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        return cls(cls.decode_sdp(payload))


@dataclass(frozen=True, slots=True)
class NatProbe(FixedMessage):
    """Asks the service to try a TCP connection to the sender's own address.

    Attributes:
        port: 1024 or larger.
    """

    type: ClassVar = PacketType.NAT_PROBE
    layout: ClassVar = Layout(type, port=U16)
    port: int

    def check(self) -> None:
        if self.port < MIN_PROBED_PORT:
            raise self.layout.fault(f"port {self.port} (at least {MIN_PROBED_PORT})")


@dataclass(frozen=True, slots=True)
class NatProbed(Message):
    """The answer to :class:`NatProbe`.

    Attributes:
        result: a :class:`ProbeResult`.
        port: of the request.
        address: the sender's, as the service sees it; numeric.
    """

    type: ClassVar = PacketType.NAT_PROBED
    result: int
    port: int
    address: str

    def encode_payload(self) -> bytes:
        return bytes((self.result,)) + self.port.to_bytes(2, "little") + pack_text(self.address, 1, ADDRESS_SIZE)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        reader = Reader(cls.type, payload)
        result, port, address = reader.number(1), reader.number(2), reader.text(1, ADDRESS_SIZE)
        reader.finish()
        if result not in tuple(ProbeResult):
            raise BadDataError(f"NAT_PROBED result {result} (expected 0-{max(ProbeResult)})")
        _check_address(cls.type, address, port)
        return cls(result, port, address)


def _check_address(type: PacketType, host: str, port: int) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise BadDataError(f"{type.name} has the address {host!r}, which is not numeric") from None
    if not port:
        raise BadDataError(f"{type.name} has port 0 for {host}")
