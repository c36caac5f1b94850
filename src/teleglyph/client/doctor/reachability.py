"""Checks of the ways through a NAT: its kind, port mapping, the discovery service, and a port as seen from outside."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from teleglyph.client.doctor.examination import Check, immediate
from teleglyph.client.doctor.report import Finding, note, ok, problem, skipped
from teleglyph.discovery.port_mapping import RouterReport, is_public
from teleglyph.discovery.stun import NatKind, NatReport
from teleglyph.errors import ConnectError, PeerError
from teleglyph.wire.discovery import NatProbed, ProbeResult
from teleglyph.wire.discovery.messages.rendezvous import MIN_PROBED_PORT

NAT_SECONDS = 16.0
"""For all packets of an examination, each with its own timeout."""
MAPPING_SECONDS = 22.0
"""For all protocols, side by side."""
SERVICE_SECONDS = 22.0
"""A connection, a handshake and an answer, each with its own timeout."""
_STUCK = "Check the network, and run 'teleglyph doctor' again."
_NAT_TEXTS = {
    NatKind.OPEN: "There is no NAT, and UDP gets in.",
    NatKind.FULL_CONE: "Your NAT is a full cone: direct ways work with everybody.",
    NatKind.RESTRICTED: "Your NAT is a restricted cone: direct ways work with almost everybody.",
    NatKind.PORT_RESTRICTED: "Your NAT is a port-restricted cone: direct ways work, except with symmetric NATs.",
    NatKind.CONE: "Your NAT uses one port for all destinations: direct ways work with almost everybody.",
}


ExamineNat = Callable[[], Awaitable[NatReport]]
ProbeMapping = Callable[[], Awaitable[RouterReport]]
VisitService = Callable[[], Awaitable[float]]
"""Asks the service something, and returns the seconds until the answer."""
ProbePort = Callable[[int], Awaitable[NatProbed]]


@dataclass(frozen=True, slots=True)
class Ways:
    """How to look at the ways through a NAT; None for what cannot be looked at.

    Attributes:
        nat: examines the NAT with a STUN server.
        stun_server: its name, for people.
        guesses_stun: nobody named a STUN server, so there may be none.
        mapping: asks the router.
        service: visits the discovery service.
        service_name: its name, for people.
        probe: has the service try a port of this machine.
        port: to try.
    """

    nat: ExamineNat | None = None
    stun_server: str = ""
    guesses_stun: bool = False
    mapping: ProbeMapping | None = None
    service: VisitService | None = None
    service_name: str = ""
    probe: ProbePort | None = None
    port: int = 0


def reachability_checks(ways: Ways, why_not: str = "") -> list[Check]:
    """The checks of the ways through a NAT.

    Args:
        ways: how to look.
        why_not: why nothing may be looked at; empty if it may.
    """
    no_service = partial(skipped, why_not or "No discovery service was named.", "" if why_not else _ADD_SERVICE)
    no_nat = partial(skipped, why_not or "No STUN server was named.", "" if why_not else _ADD_STUN)
    no_mapping = partial(skipped, why_not or "There is no way to ask the router.")
    nat = (
        immediate(no_nat)
        if ways.nat is None
        else partial(check_nat, ways.nat, ways.stun_server, is_guess=ways.guesses_stun)
    )
    mapping = immediate(no_mapping) if ways.mapping is None else partial(check_mapping, ways.mapping)
    service = immediate(no_service) if ways.service is None else partial(check_service, ways.service, ways.service_name)
    port = immediate(no_service) if ways.probe is None else partial(check_port, ways.probe, ways.port)
    return [
        Check("nat", "NAT", nat, _STUCK, NAT_SECONDS),
        Check("port-mapping", "port mapping", mapping, "Restart the router.", MAPPING_SECONDS),
        Check("discovery-service", "discovery service", service, _STUCK, SERVICE_SECONDS),
        Check("port-from-outside", "port from outside", port, _STUCK, SERVICE_SECONDS),
    ]


_ADD_SERVICE = "Add --discovery HOST to check one."
_ADD_STUN = "Add --stun HOST:PORT to find out what your NAT does."


async def check_nat(examine: ExamineNat, server: str, *, is_guess: bool = False) -> Finding:
    """What the NAT in front of this machine means for direct ways.

    Args:
        examine: asks a STUN server.
        server: its name, for people.
        is_guess: there may be no STUN server.
    """
    report = await examine()
    if report.kind in _NAT_TEXTS:
        seen = "" if report.public is None else f" Your public address is {report.public.host}."
        return ok(_NAT_TEXTS[report.kind] + seen)
    if report.kind is NatKind.SYMMETRIC:
        return note(
            "Your NAT is symmetric: it uses another port for each destination, so many calls will be relayed.",
            "If you host: forward the port in your router, or use --port-mapping. Else a relay (TURN) does it.",
        )
    if report.kind is NatKind.BLOCKED and is_guess:
        return skipped(f"There seems to be no STUN server at {server}.", _ADD_STUN)
    if report.kind is NatKind.BLOCKED:
        return problem(
            f"{server} does not answer over UDP: a firewall blocks it, or there is no STUN server.",
            "Allow outgoing UDP in your firewall, or try another --stun. Without UDP, calls need a direct TCP address "
            "or a relay (TURN) over TCP.",
        )
    return note(
        f"You are behind a NAT, but {server} cannot find out which kind.",
        "Use a STUN server with two addresses (RFC 5780).",
    )


async def check_mapping(probe: ProbeMapping) -> Finding:
    """Whether the router would forward a port by itself."""
    report = await probe()
    if report.route is None:
        return skipped("This machine has no router that could be asked.")
    working = [offer for offer in report.protocols if offer.works]
    if not working:
        return note(
            f"The router {report.route.gateway} answers neither UPnP, NAT-PMP nor PCP.",
            "You need this only to host. Turn on UPnP in the router, or forward the port there by hand.",
        )
    text = f"The router answers {' and '.join(offer.protocol for offer in working)}"
    externals = [offer.external for offer in working if offer.external]
    if not externals:
        return ok(f"{text}, but names no public address before a port is mapped.")
    public = next(filter(is_public, externals), None)
    if public is None:
        return note(
            f"{text}, but its own address {externals[0]} is not public: there is a second NAT behind it.",
            "A mapping there helps nobody. Ask your provider for a public address, or use IPv6 or a relay.",
        )
    return ok(f"{text}; its public address is {public}.")


async def check_service(visit: VisitService, name: str) -> Finding:
    """Whether the discovery service answers.

    Args:
        visit: connects to it.
        name: its name, for people.
    """
    try:
        seconds = await visit()
    except PeerError as error:
        return _failure(error)
    return ok(f"{name} answers in {seconds * 1000:.0f} ms.")


async def check_port(probe: ProbePort, port: int) -> Finding:
    """Whether the service can connect to a port of this machine, as guests would.

    If nothing listens on the port, something does for the time of the check.
    """
    if port < MIN_PROBED_PORT:
        return skipped(f"Port {port} is below {MIN_PROBED_PORT}, and services do not try these.", "Use another --port.")
    try:
        async with _listening(port) as is_ours:
            answer = await probe(port)
    except ConnectError:
        return skipped("The discovery service cannot be reached.")
    except PeerError as error:
        return _failure(error)
    except OSError as error:
        return problem(f"Cannot listen on port {port}: {error.strerror}.", "Use another --port.")
    address = answer.address
    if answer.result == ProbeResult.REACHED:
        return ok(f"The service reaches port {port} of this machine at {address}.")
    if answer.result == ProbeResult.RATE_LIMITED:
        return skipped("The service was asked too often.", "Try again in a minute.")
    if not ipaddress.ip_address(address).is_global:
        return skipped(
            f"The service sees this machine at {address}, which is not public, and did not reach port {port} there.",
            "Use a service on the Internet to see what guests from there see.",
        )
    if answer.result == ProbeResult.REFUSED and not is_ours:
        return note(
            f"{address} refuses connections from outside to port {port}, where a program of this machine listens.",
            "If that is your server: let it listen on all addresses (teleglyph server 0.0.0.0 ::), and forward TCP "
            f"port {port} in the router.",
        )
    if answer.result == ProbeResult.REFUSED:
        return note(
            f"{address} refuses connections from outside to port {port}: the router does not forward it.",
            f"To host, forward TCP port {port} to this machine in the router, or use --port-mapping. "
            "Otherwise guests come in through a data channel.",
        )
    return note(
        f"Nothing at {address} answers on port {port} from outside: a router or firewall drops these connections.",
        f"To host, allow TCP port {port} in your firewalls and forward it in the router, or use --port-mapping. "
        "Otherwise guests come in through a data channel.",
    )


def _failure(error: PeerError) -> Finding:
    text, _, step = str(error).partition(". ")
    return problem(f"{text.rstrip('.')}.", step or "Check --discovery and the service.")


@contextlib.asynccontextmanager
async def _listening(port: int) -> AsyncIterator[bool]:
    """Listen on a port of all addresses, unless another program uses it already; says whether it does not."""

    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    try:
        server = await asyncio.start_server(hang_up, None, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        yield False
        return
    async with server:
        yield True
