"""PROXY protocol, version 2: the header in which a TCP proxy names the client of a connection.

HAProxy's specification has the format: https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt.  Anybody can send
such a header, so it counts only from proxies that the operator trusts.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import google_crc32c

from teleglyph.errors import ProxyHeaderError

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
"""The first bytes of every header."""
TEXT_SIGNATURE: Final = b"PROXY "
"""The first bytes of a version 1 header, which is refused."""
HEADER_SIZE: Final = 16
"""Bytes of a header's fixed part."""
MAX_HEADER: Final = 536
"""Largest header in bytes.  The specification designs headers to fit into the TCP segment that every host accepts:
an IP packet of 576 bytes less 40."""

_FIXED: Final = struct.Struct(">12sBBH")
_TLV: Final = struct.Struct(">BH")
_CRC32C: Final = 0x03
_CRC_SIZE: Final = 4
_VERSION: Final = 2
_LOCAL, _PROXY = 0, 1
_UNSPEC, _INET, _INET6, _UNIX = range(4)
_UNSPEC_PROTOCOL, _STREAM, _DATAGRAM = range(3)
_ADDRESSES: Final = {
    _INET: struct.Struct(">4s4sHH"),
    _INET6: struct.Struct(">16s16sHH"),
    _UNIX: struct.Struct(">108s108s"),
}


class ProxiedAddress(NamedTuple):
    """The client of a proxied connection.

    Attributes:
        address: numeric and without a zone; IPv4 if it was written as IPv6 (``::ffff:a.b.c.d``).
        port: its port.
    """

    address: str
    port: int


def header_length(first: bytes) -> int:
    """The size of a whole header in bytes, at most :data:`MAX_HEADER`.

    Args:
        first: at least the first :data:`HEADER_SIZE` bytes of the connection.

    Raises:
        ProxyHeaderError: they do not start a valid header.
    """
    return HEADER_SIZE + _fixed_part(first)[2]


def parse_header(data: bytes) -> ProxiedAddress | None:
    """The client that a header names.

    Args:
        data: starts with the whole header; bytes after it are ignored.

    Returns:
        None if the connection counts as the proxy's own: a health check (LOCAL), or not from a TCP client.

    Raises:
        ProxyHeaderError: the header is invalid, incomplete or damaged.
    """
    command, kind, length = _fixed_part(data)
    header = data[: HEADER_SIZE + length]
    if len(header) < HEADER_SIZE + length:
        raise ProxyHeaderError(f"A PROXY header of {HEADER_SIZE + length} bytes ends after {len(header)}.")
    family, protocol = divmod(kind, 16)
    # The specification wants a receiver to ignore everything that follows here.
    if command == _LOCAL or family == _UNSPEC or protocol == _UNSPEC_PROTOCOL:
        return None
    layout = _ADDRESSES[family]
    if length < layout.size:
        raise ProxyHeaderError(
            f"A PROXY header has {length} bytes of addresses; family {family} needs at least {layout.size}."
        )
    _check_fields(header, HEADER_SIZE + layout.size)
    if protocol != _STREAM or family == _UNIX:
        return None
    source, _, port, _ = layout.unpack_from(header, HEADER_SIZE)
    return ProxiedAddress(_numeric(source), port)


def _fixed_part(first: bytes) -> tuple[int, int, int]:
    """The command, the family with the protocol, and the number of bytes that follow."""
    if first.startswith(TEXT_SIGNATURE):
        raise ProxyHeaderError(
            "The proxy sent version 1 of the PROXY protocol; only version 2 is supported. In HAProxy, write "
            "send-proxy-v2 instead of send-proxy. nginx can only send version 1: turn proxy_protocol off."
        )
    if len(first) < HEADER_SIZE:
        raise ProxyHeaderError(f"A PROXY header of at least {HEADER_SIZE} bytes ends after {len(first)}.")
    signature, version_command, kind, length = _FIXED.unpack_from(first)
    if signature != SIGNATURE:
        raise ProxyHeaderError("A PROXY header does not start with the signature of version 2.")
    version, command = divmod(version_command, 16)
    if version != _VERSION:
        raise ProxyHeaderError(f"A PROXY header has version {version}; only version {_VERSION} is supported.")
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError(f"A PROXY header has the unknown command {command}.")
    # A health check may name any family.
    if command == _PROXY and (kind // 16 > _UNIX or kind % 16 > _DATAGRAM):
        raise ProxyHeaderError(f"A PROXY header has the unknown address family and protocol {kind:#04x}.")
    if HEADER_SIZE + length > MAX_HEADER:
        raise ProxyHeaderError(
            f"A PROXY header has {HEADER_SIZE + length} bytes, more than {MAX_HEADER}. Let the proxy send fewer "
            "fields (in HAProxy: proxy-v2-options)."
        )
    return command, kind, length


def _check_fields(header: bytes, start: int) -> None:
    """Check the sizes of the fields after the addresses, and the checksum if there is one."""
    has_checksum = False
    for kind, place, size in _fields(header, start):
        if kind != _CRC32C:
            continue
        if has_checksum or size != _CRC_SIZE:
            raise ProxyHeaderError(f"A PROXY header needs one checksum of {_CRC_SIZE} bytes, or none.")
        has_checksum = True
        end = place + size
        crc = int(google_crc32c.value(header[:place] + bytes(size) + header[end:]))
        if crc != int.from_bytes(header[place:end], "big"):
            raise ProxyHeaderError("A PROXY header is damaged: its checksum does not match.")


def _fields(header: bytes, start: int) -> Iterator[tuple[int, int, int]]:
    """Type, place and size of the value of each field."""
    while start < len(header):
        if start + _TLV.size > len(header):
            raise ProxyHeaderError(f"A PROXY header ends inside a field, after {len(header)} bytes.")
        kind, size = _TLV.unpack_from(header, start)
        start += _TLV.size
        if start + size > len(header):
            raise ProxyHeaderError(f"Field {kind:#04x} of a PROXY header has {size} bytes, more than are left.")
        yield kind, start, size
        start += size


def _numeric(packed: bytes) -> str:
    if len(packed) == 4:
        return str(ipaddress.IPv4Address(packed))
    parsed = ipaddress.IPv6Address(packed)
    return str(parsed.ipv4_mapped or parsed)
