"""The Port Control Protocol, PCP (RFC 6887): requests to a router, and its responses."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final, NamedTuple

from teleglyph.errors import GatewayError
from teleglyph.wire.port_mapping import MAX_RESPONSE, TCP

VERSION: Final = 2
"""The first byte of every PCP message."""
NONCE_SIZE: Final = 12
"""Bytes of the random number that proves who owns a mapping."""

_ANNOUNCE, _MAP = 0, 1
_ANY_ADDRESS: Final = "::ffff:0.0.0.0"
_RESPONSE: Final = 0x80
_UNSUPPORTED_VERSION: Final = 1
_UNSUPPORTED_OPERATION: Final = 4
_REQUEST: Final = struct.Struct(">BBHI16s")
_RESPONSE_HEADER: Final = struct.Struct(">BBBBII12x")
_MAPPING: Final = struct.Struct(">12sB3xHH16s")
_RESULTS: Final = {
    _UNSUPPORTED_VERSION: "it does not support this version of PCP",
    2: "PCP is turned off in its settings, or not allowed for this computer",
    3: "it could not read the request",
    _UNSUPPORTED_OPERATION: "it does not support port mappings",
    5: "it does not support an option",
    6: "it could not read an option",
    7: "it has no network on its other side",
    8: "it has no room for another mapping",
    9: "it does not support this protocol",
    10: "this computer has too many mappings",
    11: "it cannot provide that external port",
    12: "another router changed this computer's address on the way",
    13: "the request would exclude everybody",
}


class MapResponse(NamedTuple):
    """A mapping that the router has made or, with a lifetime of 0, removed.

    Attributes:
        epoch: seconds since the router started or lost its mappings.
        internal_port: the port on our side.
        external_port: the port on the other side, perhaps not the wanted one.
        external_address: the address on the other side; IPv4 or IPv6.
        lifetime: seconds for which it is kept.
    """

    epoch: int
    internal_port: int
    external_port: int
    external_address: str
    lifetime: int


def announce_request(client: str) -> bytes:
    """Ask the router for its epoch, without any effect on mappings.

    Args:
        client: our address, as the router sees it.
    """
    return _REQUEST.pack(VERSION, _ANNOUNCE, 0, 0, _packed(client))


def map_request(
    client: str,
    nonce: bytes,
    internal_port: int,
    external_port: int,
    lifetime: int,
    external_address: str | None = None,
) -> bytes:
    """Ask for a mapping of a TCP port, renew it, or remove it.

    Args:
        client: our address, as the router sees it.
        nonce: :data:`NONCE_SIZE` random bytes, the same for all requests about a mapping.
        internal_port: the port on our side.
        external_port: the wanted port on the other side.
        lifetime: seconds; 0 removes the mapping.
        external_address: the wanted address on the other side; None for any IPv4 address.
    """
    mapping = _MAPPING.pack(nonce, TCP, internal_port, external_port, _packed(external_address or _ANY_ADDRESS))
    return _REQUEST.pack(VERSION, _MAP, 0, lifetime, _packed(client)) + mapping


def is_unsupported_version(data: bytes) -> bool:
    """Whether a PCP router says that it does not speak version 2."""
    return _is_response(data) and data[3] == _UNSUPPORTED_VERSION


def parse_announce_response(data: bytes) -> int:
    """The response to :func:`announce_request`: the epoch, in seconds.

    A router that does not know ANNOUNCE has an epoch as well.

    Raises:
        GatewayError: the router refused, or the response is invalid.
    """
    return _check_header(data, _ANNOUNCE, _RESPONSE_HEADER.size, also_good=_UNSUPPORTED_OPERATION)


def parse_map_response(data: bytes, nonce: bytes) -> MapResponse:
    """The response to :func:`map_request`.

    Args:
        data: the response.
        nonce: of the request.

    Raises:
        GatewayError: the router refused, the response is invalid, or it answers somebody else's request.
    """
    size = _RESPONSE_HEADER.size + _MAPPING.size
    if _is_response(data) and len(data) >= size and not is_answer_to(data, nonce):
        raise GatewayError("A PCP response belongs to another request.")
    epoch = _check_header(data, _MAP, size)
    lifetime = _RESPONSE_HEADER.unpack_from(data)[4]
    _, protocol, internal_port, external_port, packed = _MAPPING.unpack_from(data, _RESPONSE_HEADER.size)
    if protocol != TCP:
        raise GatewayError(f"The router mapped a port of protocol {protocol} instead of TCP ({TCP}).")
    if lifetime > 0 and external_port == 0:
        raise GatewayError("The router answered a PCP request with the external port 0.")
    address = ipaddress.IPv6Address(packed)
    return MapResponse(epoch, internal_port, external_port, str(address.ipv4_mapped or address), lifetime)


def is_answer_to(data: bytes, nonce: bytes) -> bool:
    """Whether a MAP response repeats this nonce.  Others have to be ignored: anybody can send them."""
    start = _RESPONSE_HEADER.size
    return data[start : start + NONCE_SIZE] == nonce


def _is_response(data: bytes) -> bool:
    return len(data) >= 4 and data[0] == VERSION and data[1] >= _RESPONSE


def _check_header(data: bytes, operation: int, size: int, also_good: int = 0) -> int:
    """The epoch of a response."""
    if len(data) < _RESPONSE_HEADER.size or len(data) > MAX_RESPONSE or len(data) % 4:
        raise GatewayError(f"A PCP response has {len(data)} bytes.")
    version, answered, _, result, _, epoch = _RESPONSE_HEADER.unpack_from(data)
    if version != VERSION:
        raise GatewayError(f"A PCP response has version {version}; expected {VERSION}.")
    if answered != _RESPONSE + operation:
        raise GatewayError(f"A PCP response has operation {answered}; expected {_RESPONSE + operation}.")
    if result not in (0, also_good):
        reason = _RESULTS.get(result, f"PCP error {result}")
        raise GatewayError(f"The router refused PCP: {reason}.")
    if len(data) < size:
        raise GatewayError(f"A PCP response has {len(data)} bytes; expected {size}.")
    return int(epoch)


def _packed(address: str) -> bytes:
    parsed = ipaddress.ip_address(address)
    return parsed.packed if parsed.version == 6 else b"\0" * 10 + b"\xff\xff" + parsed.packed
