"""Port mapping with routers that are honest, lie, refuse, restart or disappear."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from simulated_routers import GATEWAY, PUBLIC, PcpRouter, UpnpRouter
from teleglyph.discovery.port_mapping import PortMapping, PortMappingSettings, Route, is_public, probe
from teleglyph.discovery.port_mapping.upnp_requests import MAX_DOCUMENT

PORT = 27224
ROUTE = Route(GATEWAY, "127.0.0.1")
QUICK = PortMappingSettings(
    min_renewal=0.05,
    check_interval=0.05,
    retry_interval=0.2,
    search_timeout=0.5,
    request_timeout=0.5,
    close_timeout=2.0,
)
"""Times for routers that do not answer."""
NESTED = (
    b'<root xmlns="urn:schemas-upnp-org:device-1-0">'
    + b"<device><deviceList>" * 5000
    + b"</deviceList></device>" * 5000
    + b"</root>"
)
"""A description that is valid XML, with devices in devices in devices."""


async def on_loopback() -> Route:
    return ROUTE


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the test's own timeout ends it."""
    while not condition():  # noqa: ASYNC110  # the routers know nothing of events
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def network(
    pcp: PcpRouter | None = None, upnp: UpnpRouter | None = None, **changes: Any
) -> AsyncIterator[PortMappingSettings]:
    """A network with a router; settings to use it."""
    async with contextlib.AsyncExitStack() as stack:
        if pcp is not None:
            await stack.enter_async_context(pcp.running())
        if upnp is not None:
            await stack.enter_async_context(upnp.running())
        yield dataclasses.replace(
            QUICK,
            find_route=on_loopback,
            pcp_port=pcp.udp_port if pcp else 9,
            ssdp=upnp.ssdp if upnp else (GATEWAY, 9),
            **changes,
        )
    for router in (pcp, upnp):
        assert router is None or router.violations == []


class Outcome(NamedTuple):
    """What a mapping said after its first attempt."""

    external: tuple[str, int] | None
    status: str
    protocol: str | None


def attempt(
    test: Callable[[PortMapping], Awaitable[None]] | None = None,
    *,
    pcp: PcpRouter | None = None,
    upnp: UpnpRouter | None = None,
    **changes: Any,
) -> Outcome:
    """Start a mapping, wait for the end of its first attempt, run a test with it, and close it."""

    async def run() -> Outcome:
        async with network(pcp, upnp, **changes) as settings:
            mapping = PortMapping(settings)
            await mapping.start(PORT)
            await mapping.settled()
            outcome = Outcome(mapping.external, mapping.status, mapping.protocol)
            if test is not None:
                await test(mapping)
            await mapping.close()
            assert (mapping.external, mapping.status) == (None, "Port mapping is off.")
            return outcome

    return asyncio.run(run())


# --- every protocol -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speaks", ["pcp", "nat-pmp", "old nat-pmp"])
def test_pcp_or_nat_pmp_maps_the_port_and_removes_the_mapping(speaks: str) -> None:
    router = PcpRouter(speaks)

    async def mapped(mapping: PortMapping) -> None:
        assert router.mappings == {PORT: PORT}

    outcome = attempt(mapped, pcp=router)
    protocol = "PCP" if speaks == "pcp" else "NAT-PMP"
    assert outcome == (
        (PUBLIC, PORT),
        f"The router forwards {PUBLIC}:{PORT} to 127.0.0.1:{PORT} ({protocol}).",
        protocol,
    )
    assert router.mappings == {}


@pytest.mark.parametrize("version", [1, 2])
def test_upnp_maps_the_port_and_removes_the_mapping(version: int) -> None:
    router = UpnpRouter(version)

    async def mapped(mapping: PortMapping) -> None:
        assert router.mappings == {PORT: ("127.0.0.1", PORT, 3600)}

    outcome = attempt(mapped, upnp=router)
    assert outcome.external == (PUBLIC, PORT)
    assert outcome.protocol == "UPnP"
    assert router.mappings == {}
    assert "DeletePortMapping" in router.calls


def test_only_one_protocol_maps_if_a_router_speaks_all() -> None:
    pcp, upnp = PcpRouter(), UpnpRouter()

    async def mapped(mapping: PortMapping) -> None:
        assert len(pcp.mappings) + len(upnp.mappings) == 1

    assert attempt(mapped, pcp=pcp, upnp=upnp).external == (PUBLIC, PORT)
    assert len(pcp.mappings) + len(upnp.mappings) == 0


@pytest.mark.parametrize(
    ("pcp", "upnp", "protocol"),
    [
        (PcpRouter(result=2), UpnpRouter(), "UPnP"),
        (PcpRouter(external="10.0.0.7"), UpnpRouter(), "UPnP"),
        (PcpRouter(silent_after=1), UpnpRouter(), "UPnP"),
        (PcpRouter(), UpnpRouter(external="100.64.1.2"), "PCP"),
        (PcpRouter(), UpnpRouter(errors={"AddPortMapping": 606}), "PCP"),
        (PcpRouter("nat-pmp"), UpnpRouter(description=b"<"), "NAT-PMP"),
    ],
)
def test_the_other_protocol_is_used_if_one_fails(pcp: PcpRouter, upnp: UpnpRouter, protocol: str) -> None:
    outcome = attempt(pcp=pcp, upnp=upnp)
    assert (outcome.external, outcome.protocol) == ((PUBLIC, PORT), protocol)
    assert len(pcp.mappings) + len(upnp.mappings) == 0


def test_without_a_router_the_status_says_so() -> None:
    async def nowhere() -> None:
        return None

    async def run() -> tuple[str, bool]:
        settings = dataclasses.replace(QUICK, find_route=nowhere)
        async with PortMapping(settings) as mapping:
            await mapping.start(PORT)
            await mapping.settled()
            return mapping.status, (await probe(settings=settings)).works

    assert asyncio.run(run()) == ("There is no router: this machine has no default route for IPv4.", False)


def test_a_router_that_offers_nothing_gets_advice() -> None:
    outcome = attempt()
    assert outcome.external is None
    assert "PCP and NAT-PMP: The router did not answer" in outcome.status
    assert "UPnP: The router did not answer." in outcome.status
    assert "Turn on UPnP or NAT-PMP in the settings of the router 127.0.0.1" in outcome.status


# --- lies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.1", "100.64.0.9", "127.0.0.1", "0.0.0.0", "224.0.0.9"])
@pytest.mark.parametrize("kind", ["pcp", "nat-pmp", "upnp"])
def test_an_external_address_that_is_not_public_is_not_offered(kind: str, address: str) -> None:
    if kind == "upnp":
        upnp = UpnpRouter(external=address)
        outcome = attempt(upnp=upnp)
        assert "AddPortMapping" not in upnp.calls, "nothing is mapped"
    else:
        pcp = PcpRouter(kind, external=address)
        outcome = attempt(pcp=pcp)
        assert pcp.mappings == {}, "nothing stays mapped"
    assert outcome.external is None
    assert f"The router's external address, {address}, is not public" in outcome.status
    assert "Turn on UPnP" not in outcome.status, "that would not help"


@pytest.mark.parametrize("kind", ["pcp", "nat-pmp"])
def test_another_external_port_is_accepted_and_kept(kind: str) -> None:
    router = PcpRouter(kind, port=40001, lease=1)

    async def renewed(mapping: PortMapping) -> None:
        await until(lambda: router.made >= 2)
        assert mapping.external == (PUBLIC, 40001)

    assert attempt(renewed, pcp=router).external == (PUBLIC, 40001)
    wanted = [
        int.from_bytes(data[42:44] if data[0] == 2 else data[6:8], "big") for data in router.requests if len(data) > 8
    ]
    assert 40001 in wanted[1:] or kind == "pcp"


@pytest.mark.parametrize(
    ("router", "reason"),
    [
        (PcpRouter(result=2), "turned off in its settings"),
        (PcpRouter(result=8), "no room"),
        (PcpRouter(result=2, short_errors=True), "turned off in its settings"),
        (PcpRouter("nat-pmp", result=2), "NAT-PMP is turned off"),
        (PcpRouter("nat-pmp", result=4), "no room"),
        (PcpRouter(internal_port=80), "mapped port 80 instead of 27224"),
        (PcpRouter(lease=0), "no time at all"),
        (PcpRouter("nat-pmp", lease=0), "no time at all"),
        (PcpRouter(wrong_nonce=True), "did not answer"),
        (PcpRouter(from_elsewhere=True), "did not answer"),
        (PcpRouter("nat-pmp", from_elsewhere=True), "did not answer"),
        (PcpRouter("nat-pmp", internal_port=80), "did not answer"),
        (PcpRouter(garbage=b"\xff" * 60), "did not answer"),
        (PcpRouter(garbage=b"\2\x81" + b"\0" * 2000), "did not answer"),
        (PcpRouter(garbage=b"\2\x81" + b"\0" * 22), "24 bytes"),
        (PcpRouter("nat-pmp", garbage=b"\0\x82"), "only 2 bytes"),
        (PcpRouter(silent_after=0), "did not answer"),
        (PcpRouter(silent_after=1), "did not answer"),
        (PcpRouter("nat-pmp", silent_after=2), "did not answer"),
    ],
)
def test_refusals_and_nonsense_of_pcp_and_nat_pmp_reach_the_status(router: PcpRouter, reason: str) -> None:
    outcome = attempt(pcp=router)
    assert outcome.external is None
    assert reason in outcome.status


# --- UPnP ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("router", "reason"),
    [
        (UpnpRouter(errors={"AddPortMapping": 606}), r"does not allow this computer to map ports \(606\)"),
        (UpnpRouter(errors={"AddPortMapping": 728}), "no room for another mapping"),
        (UpnpRouter(errors={"AddPortMapping": 899}), "UPnP error 899"),
        (UpnpRouter(errors={"AddPortMapping": 718}), "taken"),
        (UpnpRouter(errors={"GetExternalIPAddress": 501}), "501"),
        (UpnpRouter(external=""), "does not know its external address"),
        (UpnpRouter(external="example.org"), "does not know its external address"),
        (UpnpRouter(description=b""), "invalid answer"),
        (UpnpRouter(description=b"<root>"), "invalid answer"),
        (UpnpRouter(description=b"\xff\xfe\0<"), "invalid answer"),
        (UpnpRouter(description=b"<root xmlns='urn:schemas-upnp-org:device-1-0'/>"), "invalid answer"),
        (UpnpRouter(description=b"x" * (MAX_DOCUMENT + 1)), "more than 256 KiB"),
        (UpnpRouter(description=b"<a>" * 40_000), "invalid answer"),
        (
            UpnpRouter(description=b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><r>&b;</r>'),
            "invalid answer",
        ),
        (UpnpRouter(description=NESTED), "invalid answer"),
        (UpnpRouter(drips=True), "did not describe itself"),
        (UpnpRouter(redirects="http://127.0.0.2:9/"), "invalid answer|did not describe itself"),
        (UpnpRouter(location="http://127.0.0.2:9/root.xml"), "an address that is not its own"),
        (UpnpRouter(location="http://127.0.0.1:1/root.xml"), "did not describe itself"),
        (UpnpRouter(location="https://127.0.0.1/root.xml"), "did not answer"),
        (UpnpRouter(location="file:///etc/passwd"), "did not answer"),
        (UpnpRouter(answers_from="127.0.0.3"), "did not answer"),
        (UpnpRouter(silent_after=0), "did not answer GetExternalIPAddress in time"),
        (UpnpRouter(silent_after=1), "did not answer AddPortMapping in time"),
    ],
)
def test_refusals_and_nonsense_of_upnp_reach_the_status(router: UpnpRouter, reason: str) -> None:
    outcome = attempt(upnp=router)
    assert outcome.external is None
    assert re.search(reason, outcome.status), outcome.status
    assert router.mappings == {}


def test_services_on_other_hosts_are_not_contacted() -> None:
    elsewhere = (
        "<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><serviceId>x</serviceId>"
        "<SCPDURL>http://127.0.0.2:9/x</SCPDURL><controlURL>http://127.0.0.2:9/</controlURL><eventSubURL>/</eventSubURL>"
        "</service>"
    )
    assert attempt(upnp=UpnpRouter(extra_service=elsewhere)).external == (PUBLIC, PORT)


def test_a_description_with_endless_services_is_cut_off() -> None:
    service = (
        "<service><serviceType>x</serviceType><serviceId>x</serviceId><SCPDURL>/service.xml</SCPDURL>"
        "<controlURL>/</controlURL><eventSubURL>/</eventSubURL></service>"
    )
    outcome = attempt(upnp=UpnpRouter(extra_service=service * 100), request_timeout=20.0)
    assert "needs more than 40 requests" in outcome.status


@pytest.mark.parametrize("hides_conflicts", [False, True])
def test_the_port_of_another_computer_is_left_alone(hides_conflicts: bool) -> None:
    router = UpnpRouter(taken={PORT}, hides_conflicts=hides_conflicts)
    outcome = attempt(upnp=router)
    assert outcome.external is not None
    assert outcome.external[0] == PUBLIC
    assert 20000 <= outcome.external[1] < 60000
    assert outcome.external[1] != PORT
    assert router.mappings == {}


def test_a_newer_router_chooses_another_port_itself() -> None:
    router = UpnpRouter(2, taken={PORT})
    assert attempt(upnp=router).external == (PUBLIC, 40404)
    assert router.mappings == {}


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_an_invalid_port_of_a_newer_router_is_refused(port: int) -> None:
    assert attempt(upnp=UpnpRouter(2, taken={PORT}, any_port=port)).external is None


def test_a_router_without_leases_gets_a_permanent_mapping_that_is_removed() -> None:
    router = UpnpRouter(only_permanent=True)

    async def mapped(mapping: PortMapping) -> None:
        assert router.mappings == {PORT: ("127.0.0.1", PORT, 0)}

    assert attempt(mapped, upnp=router).external == (PUBLIC, PORT)
    assert router.mappings == {}


def test_a_router_that_wants_equal_ports_gets_them() -> None:
    router = UpnpRouter(same_ports=True)
    assert attempt(upnp=router).external == (PUBLIC, PORT)


def test_a_router_that_does_not_list_mappings_is_believed() -> None:
    router = UpnpRouter(lists_mappings=False)
    assert attempt(upnp=router).external == (PUBLIC, PORT)


# --- time passes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pcp", "nat-pmp"])
def test_a_mapping_is_renewed_before_it_expires(kind: str) -> None:
    router = PcpRouter(kind, lease=1)

    async def renewed(mapping: PortMapping) -> None:
        await until(lambda: router.made >= 4)
        assert mapping.external == (PUBLIC, PORT)

    attempt(renewed, pcp=router)
    assert router.mappings == {}


def test_a_lease_of_upnp_is_renewed_before_it_expires() -> None:
    router = UpnpRouter()

    async def renewed(mapping: PortMapping) -> None:
        await until(lambda: router.calls.count("AddPortMapping") >= 3)
        assert mapping.external == (PUBLIC, PORT)

    attempt(renewed, upnp=router, lease=1)
    assert router.mappings == {}


@pytest.mark.parametrize("kind", ["pcp", "nat-pmp"])
def test_the_mapping_is_made_again_after_the_router_restarted(kind: str) -> None:
    router = PcpRouter(kind)

    async def restarted(mapping: PortMapping) -> None:
        router.restart()
        await until(lambda: router.mappings == {PORT: PORT})
        assert mapping.external == (PUBLIC, PORT)

    attempt(restarted, pcp=router)
    assert router.mappings == {}


def test_the_mapping_is_made_again_after_a_upnp_router_forgot_it() -> None:
    router = UpnpRouter()

    async def restarted(mapping: PortMapping) -> None:
        router.mappings.clear()
        await until(lambda: router.mappings != {})
        assert mapping.external == (PUBLIC, PORT)

    attempt(restarted, upnp=router)


def test_a_port_that_another_computer_has_taken_over_is_left_to_it() -> None:
    router = UpnpRouter()

    async def taken_over(mapping: PortMapping) -> None:
        router.mappings.clear()
        router.taken = {PORT}
        await until(lambda: mapping.external is not None and mapping.external[1] != PORT)
        assert len(router.mappings) == 1

    attempt(taken_over, upnp=router)
    assert router.mappings == {}


@pytest.mark.parametrize("kind", ["nat-pmp", "upnp"])
def test_a_new_external_address_is_noticed(kind: str) -> None:
    router = UpnpRouter() if kind == "upnp" else PcpRouter(kind)

    async def changed(mapping: PortMapping) -> None:
        router.external = "22.33.44.55"
        await until(lambda: mapping.external == ("22.33.44.55", PORT))
        router.external = "100.64.0.1"
        await until(lambda: mapping.external is None)
        await until(lambda: "100.64.0.1, is not public" in mapping.status)

    if isinstance(router, UpnpRouter):
        attempt(changed, upnp=router)
    else:
        attempt(changed, pcp=router)


@pytest.mark.parametrize("kind", ["pcp", "nat-pmp"])
def test_a_router_that_disappears_loses_the_mapping_when_it_expires(kind: str) -> None:
    router = PcpRouter(kind, lease=1)

    async def gone(mapping: PortMapping) -> None:
        router.silent_after = 0
        await until(lambda: "could not be renewed yet" in mapping.status)
        assert mapping.external == (PUBLIC, PORT), "it may still work"
        await until(lambda: mapping.external is None)
        router.silent_after = float("inf")
        await until(lambda: mapping.external == (PUBLIC, PORT))

    attempt(gone, pcp=router, request_timeout=0.2)


def test_a_router_that_turns_up_later_is_used() -> None:
    router = PcpRouter(result=2)

    async def allowed(mapping: PortMapping) -> None:
        router.result = 0
        await until(lambda: mapping.external == (PUBLIC, PORT))

    assert attempt(allowed, pcp=router).external is None


def test_another_network_gets_a_mapping_of_its_own() -> None:
    routes = [ROUTE]
    changes: list[tuple[str, int] | None] = []

    async def current() -> Route:
        return routes[-1]

    async def run() -> None:
        router = PcpRouter()
        async with network(router) as settings:
            mapping = PortMapping(
                dataclasses.replace(settings, find_route=current), on_change=lambda: changes.append(mapping.external)
            )
            async with mapping:
                await mapping.start(PORT)
                await mapping.settled()
                routes.append(Route("127.0.0.8", "127.0.0.1"))
                await until(lambda: "127.0.0.8" in mapping.status)
                assert router.mappings == {}, "removed from the old router"
                routes.append(ROUTE)
                await until(lambda: mapping.external is not None)

    asyncio.run(run())
    assert changes == [(PUBLIC, PORT), None, (PUBLIC, PORT), None]


# --- the end ------------------------------------------------------------------------------------------------------


def test_a_mapping_is_removed_when_the_program_is_cancelled() -> None:
    router = PcpRouter()

    async def serve(settings: PortMappingSettings) -> None:
        async with PortMapping(settings) as mapping:
            await mapping.start(PORT)
            await asyncio.Event().wait()

    async def run() -> None:
        async with network(router) as settings:
            task = asyncio.create_task(serve(settings))
            await until(lambda: router.mappings != {})
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert router.mappings == {}

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["pcp", "nat-pmp", "upnp"])
def test_a_mapping_is_removed_that_was_requested_when_the_program_ended(kind: str) -> None:
    """The router maps the port, but its answer comes after the end."""

    async def run() -> None:
        pcp = PcpRouter("nat-pmp" if kind == "upnp" else kind, silent_after=0 if kind == "upnp" else float("inf"))
        upnp = UpnpRouter()
        async with network(pcp, upnp if kind == "upnp" else None, request_timeout=20.0) as settings:
            mapping = PortMapping(settings)
            await mapping.start(PORT)
            await until(lambda: pcp.mappings != {} or upnp.mappings != {})
            await mapping.close()
            assert len(pcp.mappings) + len(upnp.mappings) == 0

    asyncio.run(run())


def test_the_end_waits_only_so_long_for_a_router_that_is_gone() -> None:
    router = PcpRouter()

    async def gone(mapping: PortMapping) -> None:
        router.silent_after = 0

    attempt(gone, pcp=router, request_timeout=3600.0, close_timeout=0.3)


@pytest.mark.parametrize("silent_after", [0, 1])
def test_a_slow_router_does_not_hold_up_the_first_attempt(silent_after: int) -> None:
    outcome = attempt(upnp=UpnpRouter(silent_after=silent_after), request_timeout=3600.0, attempt_timeout=1.0)
    assert "UPnP: The router took too long to answer." in outcome.status


def test_close_is_harmless_at_any_time() -> None:
    async def run() -> None:
        async with network(PcpRouter(silent_after=0)) as settings:
            mapping = PortMapping(settings)
            await mapping.close()
            await mapping.start(PORT)
            await mapping.close()
            await mapping.close()
            await mapping.settled()
            assert mapping.status == "Port mapping is off."

    asyncio.run(run())


# --- probing ------------------------------------------------------------------------------------------------------


def test_a_probe_leaves_nothing_behind() -> None:
    pcp, upnp = PcpRouter(), UpnpRouter()

    async def run() -> None:
        async with network(pcp, upnp) as settings:
            asked = await probe(settings=settings)
            assert asked.route == ROUTE
            assert asked.works
            assert [(report.protocol, report.works, report.external) for report in asked.protocols] == [
                ("PCP", True, None),
                ("UPnP", True, PUBLIC),
            ]
            assert pcp.made == 0
            assert "AddPortMapping" not in upnp.calls
            tried = await probe(PORT, settings=settings)
            assert tried.works
            assert [report.external for report in tried.protocols] == [PUBLIC, PUBLIC]
            assert pcp.made == upnp.calls.count("AddPortMapping") == 1

    asyncio.run(run())
    assert len(pcp.mappings) + len(upnp.mappings) == 0


def test_a_probe_explains_what_does_not_work() -> None:
    pcp, upnp = PcpRouter(result=2), UpnpRouter(external="100.64.7.7")

    async def run() -> None:
        async with network(pcp, upnp) as settings:
            report = await probe(PORT, settings=settings)
            assert not report.works
            refused, private = report.protocols
            assert (refused.works, private.works) == (False, True)
            assert "turned off" in refused.detail
            assert "100.64.7.7, is not public" in private.detail
        async with network() as settings:
            report = await probe(PORT, settings=settings)
            assert not report.works
            assert [entry.protocol for entry in report.protocols] == ["PCP or NAT-PMP", "UPnP"]

    asyncio.run(run())
    assert upnp.mappings == {}


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("11.22.33.44", True),
        ("2606:4700::1", True),
        ("10.1.2.3", False),
        ("172.31.0.1", False),
        ("192.168.0.1", False),
        ("100.64.0.1", False),
        ("100.127.255.255", False),
        ("169.254.1.1", False),
        ("192.0.2.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("0.0.0.0", False),
        ("fd00::1", False),
        ("fe80::1", False),
        ("::", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("", False),
        ("example.org", False),
    ],
)
def test_public_addresses_are_global_ones_of_one_machine(address: str, public: bool) -> None:
    assert is_public(address) == public
