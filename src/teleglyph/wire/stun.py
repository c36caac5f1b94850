"""STUN (RFC 8489) with the attributes that tell the kind of a NAT (RFC 5780): bytes ⇄ messages.

Only binding requests and their responses.  aioice has a codec as well, for its own use: it is not documented, belongs
to an event loop, and accepts attributes that are cut off.  TURN and ICE are left to it.
"""

from __future__ import annotations

import ipaddress
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from teleglyph.errors import StunError

DEFAULT_PORT: Final = 3478
TRANSACTION_ID_SIZE: Final = 12
MAX_MESSAGE: Final = 1280
"""Largest message in bytes: what fits into one packet on every IPv6 network."""
MAX_ATTRIBUTES: Final = 32

_COOKIE: Final = 0x2112A442
_FINGERPRINT_XOR: Final = 0x5354554E
_BINDING: Final = 0x001
_CLASS_BITS: Final = 0x0110
_HEADER: Final = struct.Struct(">HHI12s")
_ATTRIBUTE: Final = struct.Struct(">HH")
_FINGERPRINT_SIZE: Final = 8
_CHANGE_ADDRESS, _CHANGE_PORT = 4, 2
_OPTIONAL: Final = 0x8000
_MAX_TEXT: Final = 763
"""Bytes of a SOFTWARE attribute or a reason."""


class MessageClass(IntEnum):
    """What a message is.  The values are bits of its type."""

    REQUEST = 0x000
    INDICATION = 0x010
    SUCCESS = 0x100
    ERROR = 0x110


class Attribute(IntEnum):
    """The attributes that we read or write."""

    MAPPED_ADDRESS = 0x0001
    CHANGE_REQUEST = 0x0003
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    SOFTWARE = 0x8022
    FINGERPRINT = 0x8028
    RESPONSE_ORIGIN = 0x802B
    OTHER_ADDRESS = 0x802C


_KNOWN: Final = frozenset(int(attribute) for attribute in Attribute)


class StunAddress(NamedTuple):
    """A numeric address and a UDP port."""

    host: str
    port: int


@dataclass(frozen=True)
class StunMessage:
    """A binding request or a response to one.

    Attributes:
        kind: request, indication, success or error.
        transaction_id: random bytes that a response repeats.
        mapped_address: where the request came from, as the server saw it; XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS
            from a server that has no other.
        response_origin: from where the server sent the response.
        other_address: the server's second address and port.
        change_address: a request for a response from the second address.
        change_port: a request for a response from the second port.
        error_code: 300 to 699; 0 if the message is not an error.
        error_reason: the server's words.
        software: the name of the program at the other end.
        unknown: numbers of attributes that we do not know but should; of an error response, those that the server
            did not know.
        has_fingerprint: the message had a FINGERPRINT, and it was right.
    """

    kind: MessageClass
    transaction_id: bytes
    mapped_address: StunAddress | None = None
    response_origin: StunAddress | None = None
    other_address: StunAddress | None = None
    change_address: bool = False
    change_port: bool = False
    error_code: int = 0
    error_reason: str = ""
    software: str = ""
    unknown: tuple[int, ...] = ()
    has_fingerprint: bool = False


def encode(message: StunMessage) -> bytes:
    """The bytes of a message.  A mapped address is written as XOR-MAPPED-ADDRESS."""
    body = bytearray()
    if message.change_address or message.change_port:
        bits = _CHANGE_ADDRESS * message.change_address | _CHANGE_PORT * message.change_port
        body += _attribute(Attribute.CHANGE_REQUEST, bits.to_bytes(4, "big"))
    if message.error_code:
        number = bytes([0, 0, message.error_code // 100, message.error_code % 100])
        body += _attribute(Attribute.ERROR_CODE, number + message.error_reason.encode())
    if message.unknown:
        body += _attribute(Attribute.UNKNOWN_ATTRIBUTES, struct.pack(f">{len(message.unknown)}H", *message.unknown))
    if message.mapped_address:
        packed = _packed_address(message.mapped_address)
        body += _attribute(Attribute.XOR_MAPPED_ADDRESS, packed[:2] + _xor(packed[2:], message.transaction_id))
    if message.response_origin:
        body += _attribute(Attribute.RESPONSE_ORIGIN, _packed_address(message.response_origin))
    if message.other_address:
        body += _attribute(Attribute.OTHER_ADDRESS, _packed_address(message.other_address))
    if message.software:
        body += _attribute(Attribute.SOFTWARE, message.software.encode())
    size = len(body) + _FINGERPRINT_SIZE * message.has_fingerprint
    data = _HEADER.pack(_BINDING | message.kind, size, _COOKIE, message.transaction_id) + body
    if message.has_fingerprint:
        data += _attribute(Attribute.FINGERPRINT, _fingerprint(data).to_bytes(4, "big"))
    return data


def decode(data: bytes) -> StunMessage:
    """The message in a datagram.

    Raises:
        StunError: it is not a valid binding request or response.
    """
    if not _HEADER.size <= len(data) <= MAX_MESSAGE:
        raise StunError(f"A STUN message has {len(data)} bytes; expected {_HEADER.size} to {MAX_MESSAGE}.")
    kind, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if cookie != _COOKIE:
        raise StunError("A STUN message does not have the magic cookie.")
    if kind & ~_CLASS_BITS != _BINDING:
        raise StunError(f"A STUN message has the unsupported type {kind:#06x}.")
    if length % 4 or length != len(data) - _HEADER.size:
        raise StunError(f"A STUN message of {len(data)} bytes has the length {length}.")
    reader = _Reader(MessageClass(kind & _CLASS_BITS), transaction_id)
    for place, number, value in _attributes(data):
        reader.read(data, place, number, value)
    return reader.message()


class _Reader:
    """Collects the attributes of one message.  Of several with one number, the first counts."""

    def __init__(self, kind: MessageClass, transaction_id: bytes) -> None:
        self._kind, self._transaction_id = kind, transaction_id
        self._seen: set[int] = set()
        self._unknown: list[int] = []
        self._addresses: dict[int, StunAddress] = {}
        self._change = self._error_code = 0
        self._error_reason = self._software = ""

    def read(self, data: bytes, place: int, number: int, value: bytes) -> None:
        if Attribute.FINGERPRINT in self._seen:
            raise StunError("A STUN message has attributes after its FINGERPRINT.")
        is_signed = self._seen & {Attribute.MESSAGE_INTEGRITY, Attribute.MESSAGE_INTEGRITY_SHA256}
        if number in self._seen or (
            is_signed and number not in (Attribute.FINGERPRINT, Attribute.MESSAGE_INTEGRITY_SHA256)
        ):
            return
        self._seen.add(number)
        match number:
            case Attribute.MAPPED_ADDRESS | Attribute.RESPONSE_ORIGIN | Attribute.OTHER_ADDRESS:
                self._addresses[number] = _address(value)
            case Attribute.XOR_MAPPED_ADDRESS:
                self._addresses[number] = _address(value[:2] + _xor(value[2:], self._transaction_id))
            case Attribute.CHANGE_REQUEST:
                self._change = int.from_bytes(_sized(value, 4, "CHANGE-REQUEST"), "big")
            case Attribute.ERROR_CODE:
                self._error_code, self._error_reason = _error(value)
            case Attribute.UNKNOWN_ATTRIBUTES if self._kind == MessageClass.ERROR:
                self._unknown = list(struct.unpack(f">{len(value) // 2}H", value[: len(value) // 2 * 2]))
            case Attribute.SOFTWARE:
                self._software = _text(value)
            case Attribute.FINGERPRINT:
                if int.from_bytes(_sized(value, 4, "FINGERPRINT"), "big") != _fingerprint(data[:place]):
                    raise StunError("A STUN message has a wrong FINGERPRINT.")
            case _:
                if number < _OPTIONAL and number not in _KNOWN and self._kind != MessageClass.ERROR:
                    self._unknown.append(number)

    def message(self) -> StunMessage:
        """The whole message."""
        if self._kind == MessageClass.ERROR and not self._error_code:
            raise StunError("A STUN error response has no ERROR-CODE.")
        addresses = self._addresses
        return StunMessage(
            self._kind,
            self._transaction_id,
            mapped_address=addresses.get(Attribute.XOR_MAPPED_ADDRESS, addresses.get(Attribute.MAPPED_ADDRESS)),
            response_origin=addresses.get(Attribute.RESPONSE_ORIGIN),
            other_address=addresses.get(Attribute.OTHER_ADDRESS),
            change_address=bool(self._change & _CHANGE_ADDRESS),
            change_port=bool(self._change & _CHANGE_PORT),
            error_code=self._error_code,
            error_reason=self._error_reason,
            software=self._software,
            unknown=tuple(self._unknown),
            has_fingerprint=Attribute.FINGERPRINT in self._seen,
        )


def _attributes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Place, number and value of each attribute."""
    place, count = _HEADER.size, 0
    while place < len(data):
        count += 1
        if count > MAX_ATTRIBUTES:
            raise StunError(f"A STUN message has more than {MAX_ATTRIBUTES} attributes.")
        number, size = _ATTRIBUTE.unpack_from(data, place)
        start = place + _ATTRIBUTE.size
        end = start + (size + 3) // 4 * 4
        if end > len(data):
            raise StunError(f"Attribute {number:#06x} of a STUN message has {size} bytes, more than are left.")
        yield place, number, data[start : start + size]
        place = end


def _attribute(number: Attribute, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(number, len(value)) + value + bytes(-len(value) % 4)


def _fingerprint(data: bytes) -> int:
    """The checksum of everything before the FINGERPRINT, whose header already counts it."""
    return zlib.crc32(data) ^ _FINGERPRINT_XOR


def _xor(value: bytes, transaction_id: bytes) -> bytes:
    """Hide a port and an address from routers that rewrite addresses wherever they see them; also the reverse."""
    cookie = _COOKIE.to_bytes(4, "big")
    return bytes(a ^ b for a, b in zip(value, cookie[:2] + cookie + transaction_id, strict=False))


def _packed_address(address: StunAddress) -> bytes:
    host = ipaddress.ip_address(address.host.partition("%")[0])
    return bytes([0, 1 if host.version == 4 else 2]) + address.port.to_bytes(2, "big") + host.packed


def _address(value: bytes) -> StunAddress:
    family = value[1] if len(value) > 1 else 0
    if (family, len(value)) not in ((1, 8), (2, 20)):
        raise StunError(f"A STUN message has an address of family {family} with {len(value)} bytes.")
    return StunAddress(str(ipaddress.ip_address(value[4:])), int.from_bytes(value[2:4], "big"))


def _error(value: bytes) -> tuple[int, str]:
    if len(value) < 4 or not 3 <= value[2] & 7 <= 6 or value[3] > 99:
        raise StunError("A STUN message has an invalid ERROR-CODE.")
    return (value[2] & 7) * 100 + value[3], _text(value[4:])


def _text(value: bytes) -> str:
    if len(value) > _MAX_TEXT:
        raise StunError(f"A STUN message has a text of {len(value)} bytes, more than {_MAX_TEXT}.")
    return value.decode(errors="replace")


def _sized(value: bytes, size: int, name: str) -> bytes:
    if len(value) != size:
        raise StunError(f"{name} of a STUN message has {len(value)} bytes; expected {size}.")
    return value
