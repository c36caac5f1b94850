"""This machine's addresses and networks, and which addresses belong to a local network."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOCAL = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
]
"""Networks whose addresses the internet does not carry: private ones (RFC 1918, RFC 4193) and those of one link."""
_MIN_PREFIX = 8
"""A network with fewer bits is a misconfiguration, and would make most of the internet a neighbour."""


class InterfaceAddress(NamedTuple):
    """An address of this machine.

    Attributes:
        address: without a zone.
        network: of the address.
        interface: its number.
    """

    address: IPAddress
    network: IPNetwork
    interface: int


def interface_addresses() -> list[InterfaceAddress]:
    """All addresses of this machine except loopback ones; empty if the system does not list them."""
    # Imported here, because few commands need it.
    import ifaddr

    found = []
    with contextlib.suppress(OSError):
        for adapter in ifaddr.get_adapters():
            for ip in adapter.ips:
                with contextlib.suppress(ValueError):
                    text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
                    interface = ipaddress.ip_interface(f"{text.partition('%')[0]}/{ip.network_prefix}")
                    if not interface.ip.is_loopback:
                        found.append(InterfaceAddress(interface.ip, interface.network, adapter.index or 0))
    return found


def is_local(address: IPAddress) -> bool:
    """Whether an address is private or link-local, so that nobody on the internet can reach it."""
    return any(address in network for network in _LOCAL)


def local_addresses(bound: Iterable[str], own: Sequence[InterfaceAddress]) -> list[InterfaceAddress]:
    """The addresses of this machine at which the local network reaches a server.

    Args:
        bound: the addresses that the server listens on, perhaps ``0.0.0.0`` and ``::``.
        own: the addresses of this machine.
    """
    listening = [ipaddress.ip_address(text.partition("%")[0]) for text in bound]
    return [
        each
        for each in own
        if is_local(each.address)
        and any(at == each.address or (at.is_unspecified and at.version == each.address.version) for at in listening)
    ]


def is_neighbour(address: IPAddress, own: Iterable[InterfaceAddress]) -> bool:
    """Whether an address is a single machine's on a local network: private, link-local, or in a network of ours."""
    if address.is_multicast or address.is_loopback or address.is_unspecified:
        return False
    networks = [each.network for each in own if each.network.prefixlen >= _MIN_PREFIX]
    if any(_is_broadcast(address, network) for network in networks):
        return False
    return is_local(address) or any(address in network for network in networks)


def _is_broadcast(address: IPAddress, network: IPNetwork) -> bool:
    return network.version == 4 and network.prefixlen < 31 and address == network.broadcast_address
