"""Makes headers of the PROXY protocol, version 2, from its specification alone."""

from __future__ import annotations

import ipaddress

import google_crc32c

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
LOCAL, PROXY = 0x20, 0x21
TCP4, UDP4, TCP6, UDP6, UNIX = 0x11, 0x12, 0x21, 0x22, 0x31


def field(kind: int, value: bytes) -> bytes:
    """A type, a length and a value."""
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def header(content: bytes = b"", *, command: int = PROXY, family: int = TCP4) -> bytes:
    """A header with any content."""
    return SIGNATURE + bytes([command, family]) + len(content).to_bytes(2, "big") + content


def header_of(address: str, port: int, *fields: bytes, has_checksum: bool = False) -> bytes:
    """The header for a TCP client.

    Args:
        address: its numeric address.
        port: its port.
        fields: follow the addresses.
        has_checksum: add a checksum as the last field.
    """
    source = ipaddress.ip_address(address).packed
    content = source + bytes(len(source)) + port.to_bytes(2, "big") + b"\x6a\x58" + b"".join(fields)
    family = TCP4 if len(source) == 4 else TCP6
    if not has_checksum:
        return header(content, family=family)
    blank = header(content + field(3, bytes(4)), family=family)
    return blank[:-4] + int(google_crc32c.value(blank)).to_bytes(4, "big")
