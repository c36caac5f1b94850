"""The addresses by which others may reach this server without help."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from teleglyph.net import is_loopback
from teleglyph.net.addresses import numeric
from teleglyph.wire.discovery import AddressKind, DirectAddress

_ANY = ("0.0.0.0", "::")  # noqa: S104 - to be recognised, not listened on
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
    found: list[tuple[str, int]] = []
    for address, port in bound:
        if address in _ANY:
            found += [(own, port) for own in machine if (":" in own) == (":" in address)]
        elif not is_loopback(address):
            found.append((address, port))
    addresses = [DirectAddress(_kind(address), address, port) for address, port in dict.fromkeys(found)]
    if mapped is not None:
        addresses.append(DirectAddress(AddressKind.MAPPED, *mapped))
    return sorted(addresses, key=lambda one: one.kind)[:MAX_ADDRESSES]


def _kind(address: str) -> AddressKind:
    plain = numeric(address)
    is_public = plain is not None and ipaddress.ip_address(plain).is_global
    return AddressKind.PUBLIC if is_public else AddressKind.LAN
