"""The addresses by which others may reach this server without help."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from teleglyph.net.addresses import numeric, reachable_addresses
from teleglyph.wire.discovery import AddressKind, DirectAddress

MAX_ADDRESSES = 8


def direct_addresses(
    bound: Sequence[tuple[str, int]], machine: Sequence[str], mapped: tuple[str, int] | None
) -> list[DirectAddress]:
    """The addresses for guests.

    Args:
        bound: addresses and ports that the server listens on.
        machine: this machine's own addresses.
        mapped: a public address and port that the router forwards here; None without one.

    Returns:
        At most :data:`MAX_ADDRESSES`, those in the local network first.
    """
    addresses = [DirectAddress(_kind(address), address, port) for address, port in reachable_addresses(bound, machine)]
    if mapped is not None:
        addresses.append(DirectAddress(AddressKind.MAPPED, *mapped))
    return sorted(addresses, key=lambda one: one.kind)[:MAX_ADDRESSES]


def _kind(address: str) -> AddressKind:
    plain = numeric(address)
    is_public = plain is not None and ipaddress.ip_address(plain).is_global
    return AddressKind.PUBLIC if is_public else AddressKind.LAN
