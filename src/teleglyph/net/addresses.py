"""Network addresses as text: formatting, comparing, and grouping for limits."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Sequence

DEFAULT_PORT = 27224
"""The port for calls, chat and games."""
SERVICE_PORT = 27225
"""The port of discovery services."""
ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - only for those who ask for it
"""Listening on these means listening on all addresses of the machine."""


def authority(host: str, port: int) -> str:
    """``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def numeric(address: str) -> str | None:
    """The canonical form of a numeric address, without a zone; None for anything else.

    IPv4 addresses written as IPv6 (``::ffff:a.b.c.d``) become IPv4.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def is_loopback(address: str) -> bool:
    """Whether a text is a loopback address."""
    plain = numeric(address)
    return plain is not None and ipaddress.ip_address(plain).is_loopback


def network_of(address: str) -> str:
    """The key for limits per address: itself for IPv4, its /64 for IPv6 (one subscriber has a whole /64).

    IPv4 addresses written as IPv6 (``::ffff:a.b.c.d``) count as IPv4; text that is not an address is its own key.
    """
    plain = numeric(address)
    if plain is None:
        return address
    return str(ipaddress.ip_network((plain, 64), strict=False)) if ":" in plain else plain


def reachable_addresses(bound: Sequence[tuple[str, int]], machine: Sequence[str]) -> list[tuple[str, int]]:
    """The addresses and ports by which other machines may reach a server, in the order of ``bound``.

    Args:
        bound: addresses and ports that it listens on.
        machine: this machine's own addresses, which those of :data:`ALL_ADDRESSES` stand for.
    """
    found: list[tuple[str, int]] = []
    for address, port in bound:
        if address in ALL_ADDRESSES:
            found += [(own, port) for own in machine if (":" in own) == (":" in address)]
        elif not is_loopback(address):
            found.append((address, port))
    return list(dict.fromkeys(found))


def own_addresses() -> list[str]:
    """The addresses that this machine uses for outgoing connections, IPv4 first; empty without a network.

    A connected datagram socket knows its own address; no packet is sent.  The destinations are reserved for
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
