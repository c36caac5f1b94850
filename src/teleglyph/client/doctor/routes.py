"""Checks of the ways to the Internet, without sending anything."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable
from functools import partial

from teleglyph.client.doctor.examination import Check, immediate
from teleglyph.client.doctor.report import Finding, note, ok, problem

Route = Callable[[int], str | None]
"""The address that this machine would use towards the Internet, for an address family; None without a route."""

_DESTINATIONS = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Reserved for documentation (RFC 5737, RFC 3849)."""
_SHARED = ipaddress.ip_network("100.64.0.0/10")
"""Between customers and a provider's own NAT (RFC 6598)."""
_UNIQUE_LOCAL = ipaddress.ip_network("fc00::/7")
_NO_NETWORK = "Connect to a network. Calls on this machine work without one."
_STUCK = "Check the network settings of this machine."


def own_route(family: int) -> str | None:
    """The address that this machine would use; a connected datagram socket knows it, and sends nothing."""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((_DESTINATIONS[socket.AddressFamily(family)], 9))
        address = str(probe.getsockname()[0]).partition("%")[0]
        parsed = ipaddress.ip_address(address)
        if not parsed.is_loopback and not parsed.is_unspecified and not parsed.is_link_local:
            return address
    return None


def route_checks(route: Route = own_route) -> list[Check]:
    """The checks of both versions of the Internet Protocol."""
    return [
        Check("ipv4", "IPv4", immediate(partial(check_ipv4, route)), _STUCK),
        Check("ipv6", "IPv6", immediate(partial(check_ipv6, route)), _STUCK),
    ]


def check_ipv4(route: Route) -> Finding:
    """Whether there is a way to the Internet over IPv4, and whether it leads through a NAT."""
    address = route(socket.AF_INET)
    if address is None:
        if route(socket.AF_INET6) is None:
            return problem("This machine has no way to the Internet.", _NO_NETWORK)
        return note("This machine has no way to the IPv4 Internet.", "Hosts that have only IPv4 cannot be reached.")
    if ipaddress.ip_address(address) in _SHARED:
        return note(
            f"This machine has {address}: your provider shares one public address among customers.",
            "Nobody can connect to this machine over IPv4. To host, use --discovery, IPv6, or another machine.",
        )
    if not ipaddress.ip_address(address).is_global:
        return ok(f"This machine has the private address {address}, so a router or firewall translates it.")
    return ok(f"This machine has the public address {address}.")


def check_ipv6(route: Route) -> Finding:
    """Whether there is a way to the Internet over IPv6."""
    address = route(socket.AF_INET6)
    if address is None:
        if route(socket.AF_INET) is None:
            return problem("This machine has no way to the Internet.", _NO_NETWORK)
        return note(
            "This machine has no way to the IPv6 Internet.",
            "You need nothing more if IPv4 works. Many routers and providers can turn IPv6 on.",
        )
    if ipaddress.ip_address(address) in _UNIQUE_LOCAL:
        return note(
            f"This machine has only the private IPv6 address {address}.",
            "Turn IPv6 on in your router, if it can do that.",
        )
    return ok(f"This machine has the public address {address}. Firewalls may still refuse connections to it.")
