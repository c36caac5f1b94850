"""NAT-PMP (RFC 6886): requests to a router, and its responses."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final, NamedTuple

from teleglyph.errors import GatewayError

VERSION: Final = 0
"""The first byte of every NAT-PMP message."""
UNSUPPORTED_VERSION: Final = 1
"""The result with which a router says that it speaks another version."""

_EXTERNAL_ADDRESS, _MAP_TCP = 0, 2
_RESPONSE: Final = 128
_MAP_REQUEST: Final = struct.Struct(">BBHHHI")
_HEADER: Final = struct.Struct(">BBH")
_ADDRESS_RESPONSE: Final = struct.Struct(">BBHI4s")
_MAP_RESPONSE: Final = struct.Struct(">BBHIHHI")
_RESULTS: Final = {
    UNSUPPORTED_VERSION: "it does not support this version of NAT-PMP",
    2: "NAT-PMP is turned off in its settings",
    3: "it has no address from its own network yet",
    4: "it has no room for another mapping",
    5: "it does not support this kind of mapping",
}


class ExternalAddress(NamedTuple):
    """The router's address on its other side.

    Attributes:
        epoch: seconds since the router started or lost its mappings.
        address: its IPv4 address.
    """

    epoch: int
    address: str


class MapResponse(NamedTuple):
    """A mapping that the router has made or, with a lifetime of 0, removed.

    Attributes:
        epoch: seconds since the router started or lost its mappings.
        internal_port: the port on our side.
        external_port: the port on the other side, perhaps not the wanted one.
        lifetime: seconds for which it is kept.
    """

    epoch: int
    internal_port: int
    external_port: int
    lifetime: int


def external_address_request() -> bytes:
    """Ask for the router's external address."""
    return bytes([VERSION, _EXTERNAL_ADDRESS])


def map_request(internal_port: int, external_port: int, lifetime: int) -> bytes:
    """Ask for a mapping of a TCP port, or remove one.

    Args:
        internal_port: the port on our side.
        external_port: the wanted port on the other side; 0 to remove the mapping.
        lifetime: seconds; 0 to remove the mapping.
    """
    return _MAP_REQUEST.pack(VERSION, _MAP_TCP, 0, internal_port, external_port, lifetime)


def is_unsupported_version(data: bytes) -> bool:
    """Whether a NAT-PMP router answers a request of another protocol, such as PCP, in this way."""
    return len(data) >= _HEADER.size and data[0] == VERSION and data[1] >= _RESPONSE and data[3] == UNSUPPORTED_VERSION


def parse_external_address(data: bytes) -> ExternalAddress:
    """The response to :func:`external_address_request`.

    Raises:
        GatewayError: the router refused, or the response is invalid.
    """
    _check_header(data, _EXTERNAL_ADDRESS, _ADDRESS_RESPONSE.size)
    _, _, _, epoch, packed = _ADDRESS_RESPONSE.unpack_from(data)
    return ExternalAddress(epoch, str(ipaddress.IPv4Address(packed)))


def parse_map_response(data: bytes) -> MapResponse:
    """The response to :func:`map_request`.

    Raises:
        GatewayError: the router refused, or the response is invalid.
    """
    _check_header(data, _MAP_TCP, _MAP_RESPONSE.size)
    _, _, _, epoch, internal_port, external_port, lifetime = _MAP_RESPONSE.unpack_from(data)
    if lifetime > 0 and external_port == 0:
        raise GatewayError("The router answered a NAT-PMP request with the external port 0.")
    return MapResponse(epoch, internal_port, external_port, lifetime)


def _check_header(data: bytes, operation: int, size: int) -> None:
    if len(data) < _HEADER.size:
        raise GatewayError(f"A NAT-PMP response has only {len(data)} bytes.")
    version, answered, result = _HEADER.unpack_from(data)
    if version != VERSION:
        raise GatewayError(f"A NAT-PMP response has version {version}.")
    if answered != _RESPONSE + operation:
        raise GatewayError(f"A NAT-PMP response has operation {answered}; expected {_RESPONSE + operation}.")
    if result:
        reason = _RESULTS.get(result, f"NAT-PMP error {result}")
        raise GatewayError(f"The router refused NAT-PMP: {reason}.")
    if len(data) < size:
        raise GatewayError(f"A NAT-PMP response has {len(data)} bytes; expected {size}.")
