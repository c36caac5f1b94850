"""What the doctor says about NATs, routers, the discovery service, and a port as seen from outside."""

from __future__ import annotations

import asyncio
import socket

import pytest

from teleglyph.client.doctor.reachability import (
    ProbePort,
    Ways,
    check_mapping,
    check_nat,
    check_port,
    check_service,
    reachability_checks,
)
from teleglyph.client.doctor.report import Finding, Verdict
from teleglyph.discovery.port_mapping import ProtocolReport, Route, RouterReport
from teleglyph.discovery.stun import NatKind, NatReport
from teleglyph.errors import ConnectError, VerificationError
from teleglyph.wire.discovery import NatProbed, ProbeResult
from teleglyph.wire.stun import StunAddress


def expect(finding: Finding, verdict: Verdict, text: str, step: str = "") -> None:
    assert finding.verdict is verdict, finding
    assert text in finding.text, finding
    assert step in finding.step, finding
    assert bool(finding.step) or verdict is not Verdict.PROBLEM


# --- NAT ----------------------------------------------------------------------------------------------------------


def of_nat(kind: NatKind) -> Finding:
    async def examine() -> NatReport:
        return NatReport(kind, public=StunAddress("203.0.113.9", 4000))

    return asyncio.run(check_nat(examine, "stun.example:3478"))


@pytest.mark.parametrize(
    ("kind", "verdict", "text"),
    [
        (NatKind.OPEN, Verdict.OK, "There is no NAT"),
        (NatKind.FULL_CONE, Verdict.OK, "full cone"),
        (NatKind.RESTRICTED, Verdict.OK, "a restricted cone"),
        (NatKind.PORT_RESTRICTED, Verdict.OK, "port-restricted cone"),
        (NatKind.CONE, Verdict.OK, "one port for all destinations"),
        (NatKind.SYMMETRIC, Verdict.NOTE, "many calls will be relayed"),
        (NatKind.BLOCKED, Verdict.PROBLEM, "stun.example:3478 does not answer over UDP"),
        (NatKind.UNKNOWN, Verdict.NOTE, "cannot find out which kind"),
    ],
)
def test_every_kind_of_nat_has_a_meaning(kind: NatKind, verdict: Verdict, text: str) -> None:
    expect(of_nat(kind), verdict, text)


def test_the_public_address_is_shown() -> None:
    assert of_nat(NatKind.FULL_CONE).text.endswith("Your public address is 203.0.113.9.")


def test_a_guessed_stun_server_may_not_exist() -> None:
    async def examine() -> NatReport:
        return NatReport(NatKind.BLOCKED)

    found = asyncio.run(check_nat(examine, "d.example:3478", is_guess=True))
    expect(found, Verdict.SKIPPED, "no STUN server at d.example:3478", "--stun HOST:PORT")


def test_no_kind_is_forgotten() -> None:
    assert all(of_nat(kind).text for kind in NatKind)


# --- port mapping -------------------------------------------------------------------------------------------------


ROUTER = Route("192.168.1.1", "192.168.1.5")


def of_mapping(report: RouterReport) -> Finding:
    async def probe() -> RouterReport:
        return report

    return asyncio.run(check_mapping(probe))


def offers(*externals: str | None) -> RouterReport:
    """A router that answers one protocol for each address, and one that it does not."""
    names = ("UPnP", "PCP")
    answered = [
        ProtocolReport(name, True, external, "It works.") for name, external in zip(names, externals, strict=False)
    ]
    return RouterReport(ROUTER, (ProtocolReport("NAT-PMP", False, None, "It does not."), *answered))


@pytest.mark.parametrize(
    ("report", "verdict", "text", "step"),
    [
        (offers("8.8.4.4"), Verdict.OK, "answers UPnP; its public address is 8.8.4.4.", ""),
        (offers(None, "8.8.4.4"), Verdict.OK, "answers UPnP and PCP; its public address is 8.8.4.4.", ""),
        (offers("10.1.2.3", "8.8.4.4"), Verdict.OK, "its public address is 8.8.4.4.", ""),
        (offers("10.1.2.3"), Verdict.NOTE, "10.1.2.3 is not public: there is a second NAT", "relay"),
        (offers("100.64.9.9"), Verdict.NOTE, "is not public", "relay"),
        (offers(None), Verdict.OK, "names no public address", ""),
        (offers(), Verdict.NOTE, "The router 192.168.1.1 answers neither", "Turn on UPnP"),
        (RouterReport(None), Verdict.SKIPPED, "no router", ""),
    ],
)
def test_port_mapping(report: RouterReport, verdict: Verdict, text: str, step: str) -> None:
    expect(of_mapping(report), verdict, text, step)


# --- the service --------------------------------------------------------------------------------------------------


def test_a_service_that_answers() -> None:
    async def visit() -> float:
        return 0.034

    expect(asyncio.run(check_service(visit, "discovery.example")), Verdict.OK, "discovery.example answers in 34 ms")


@pytest.mark.parametrize(
    ("error", "text", "step"),
    [
        (ConnectError("Nobody listens on d.example:27225. Is the server running?"), "Nobody listens", "Is the server"),
        (VerificationError("It shows another identity"), "It shows another identity.", "Check --discovery"),
    ],
)
def test_a_service_that_cannot_be_used_is_a_problem(error: Exception, text: str, step: str) -> None:
    async def visit() -> float:
        raise error

    expect(asyncio.run(check_service(visit, "d.example")), Verdict.PROBLEM, text, step)


# --- the port -----------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


def of_port(reach: ProbeResult, address: str = "8.8.4.4", wanted: int = 0) -> Finding:
    async def probe(port: int) -> NatProbed:
        return NatProbed(reach, port, address)

    return asyncio.run(check_port(probe, wanted or free_port()))


@pytest.mark.parametrize(
    ("reach", "address", "verdict", "text", "step"),
    [
        (ProbeResult.REACHED, "8.8.4.4", Verdict.OK, "of this machine at 8.8.4.4", ""),
        (ProbeResult.REFUSED, "8.8.4.4", Verdict.NOTE, "the router does not forward it", "--port-mapping"),
        (ProbeResult.NO_ANSWER, "8.8.4.4", Verdict.NOTE, "a router or firewall drops", "allow TCP port"),
        (ProbeResult.NO_ANSWER, "2606:4700::1", Verdict.NOTE, "2606:4700::1 answers", "allow TCP port"),
        (ProbeResult.REFUSED, "192.168.1.5", Verdict.SKIPPED, "which is not public", "on the Internet"),
        (ProbeResult.RATE_LIMITED, "8.8.4.4", Verdict.SKIPPED, "asked too often", "in a minute"),
    ],
)
def test_a_port_from_outside(reach: ProbeResult, address: str, verdict: Verdict, text: str, step: str) -> None:
    expect(of_port(reach, address), verdict, text, step)


async def knock(port: int) -> NatProbed:
    """A service that really connects, from this machine."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return NatProbed(ProbeResult.REFUSED, port, "8.8.4.4")
    writer.close()
    return NatProbed(ProbeResult.REACHED, port, "8.8.4.4")


def test_somebody_listens_for_the_time_of_the_check() -> None:
    port = free_port()
    expect(asyncio.run(check_port(knock, port)), Verdict.OK, f"reaches port {port}")
    assert asyncio.run(knock(port)).result == ProbeResult.REFUSED


def test_a_server_that_runs_already_is_not_disturbed() -> None:
    async def main() -> Finding:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), None, free_port())
        async with server:
            return await check_port(knock, server.sockets[0].getsockname()[1])

    expect(asyncio.run(main()), Verdict.OK, "reaches port")


def test_a_server_for_this_machine_only_is_explained() -> None:
    async def main() -> Finding:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", free_port())
        async with server:
            port = server.sockets[0].getsockname()[1]

            async def probe(port: int) -> NatProbed:
                return NatProbed(ProbeResult.REFUSED, port, "8.8.4.4")

            return await check_port(probe, port)

    expect(asyncio.run(main()), Verdict.NOTE, "where a program of this machine listens", "teleglyph server 0.0.0.0 ::")


def test_ports_that_cannot_be_tried() -> None:
    expect(of_port(ProbeResult.REACHED, wanted=443), Verdict.SKIPPED, "Port 443 is below 1024", "another --port")


@pytest.mark.parametrize(
    ("error", "verdict", "text"),
    [
        (ConnectError("Nobody is there."), Verdict.SKIPPED, "cannot be reached"),
        (VerificationError("Somebody else. Ask."), Verdict.PROBLEM, "Somebody else."),
    ],
)
def test_a_service_that_fails_meanwhile(error: Exception, verdict: Verdict, text: str) -> None:
    async def probe(port: int) -> NatProbed:
        raise error

    expect(asyncio.run(check_port(probe, free_port())), verdict, text)


# --- which are made -----------------------------------------------------------------------------------------------


def all_of(ways: Ways, why_not: str = "") -> dict[str, Finding]:
    async def main() -> dict[str, Finding]:
        return {check.name: await check.run() for check in reachability_checks(ways, why_not)}

    return asyncio.run(main())


def test_without_options_there_is_a_hint() -> None:
    found = all_of(Ways())
    assert {finding.verdict for finding in found.values()} == {Verdict.SKIPPED}
    assert "--stun HOST:PORT" in found["nat"].step
    assert "--discovery HOST" in found["port-from-outside"].step


def test_without_network_nothing_is_suggested() -> None:
    found = all_of(Ways(), "--no-network leaves this out.")
    assert {(finding.text, finding.step) for finding in found.values()} == {("--no-network leaves this out.", "")}


def test_everything_is_checked_that_can_be() -> None:
    async def examine() -> NatReport:
        return NatReport(NatKind.OPEN)

    async def probe_mapping() -> RouterReport:
        return offers("8.8.4.4")

    async def visit() -> float:
        return 0.01

    probe: ProbePort = knock
    found = all_of(Ways(examine, "stun", False, probe_mapping, visit, "service", probe, free_port()))
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
