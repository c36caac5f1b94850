"""Addresses as text: written with a port, counted by network, told from this machine's own."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

DEFAULT_PORT = 27224
"""Of calls, chat and games."""


def authority(host: str, port: int) -> str:
    """``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(address: str) -> bool:
    """Whether a numeric address is this machine's own; text that is no address is not."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def network_of(address: str) -> str:
    """The key under which an address is limited: itself for IPv4, its /64 for IPv6 (one subscriber has a whole /64).

    IPv4 addresses written as IPv6 (``::ffff:a.b.c.d``) count as IPv4; text that is no address is its own key.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def own_addresses() -> list[str]:
    """The addresses that this machine would use towards others, IPv4 first; none without a network.

    A datagram socket that is connected tells its own address; no packet is sent.  The destinations are reserved for
    documentation (RFC 5737, RFC 3849).
    """
    found = []
    for family, destination in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((destination, 9))
            address = str(probe.getsockname()[0])
            if not is_loopback(address) and not ipaddress.ip_address(address).is_unspecified:
                found.append(address)
    return found
