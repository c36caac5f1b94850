"""The routers of the tests do what routers of their kind do, seen by plain sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from networks.homes import OTHER_SERVICE, SERVICE, SERVICE_IPV6, Home, HomeNetwork, Networks
from networks.probes import Address, UdpProbe, connect, outside_address, tcp_listener
from networks.routers import NAT_KINDS, NatKind
from terminal import wait_for

MakeNetworks = Callable[..., Networks]
_TESTS = str(Path(__file__).parents[1])
PASSING_UDP: tuple[NatKind, ...] = tuple(kind for kind in NAT_KINDS if kind != "udp blocked")

# Who reaches an address that a host uses with one server: the server from another port, another server.
ANSWERS: dict[NatKind, tuple[bool, bool]] = {
    "open": (True, True),
    "full cone": (True, True),
    "restricted": (True, False),
    "port restricted": (False, False),
    "symmetric": (False, False),
}


@pytest.fixture
def networks(shared_networks: MakeNetworks) -> Networks:
    """Two homes of each kind."""
    return shared_networks(*NAT_KINDS, *NAT_KINDS)


def home_of(networks: Networks, kind: NatKind, second: bool = False) -> HomeNetwork:
    return networks.homes[NAT_KINDS.index(kind) + len(NAT_KINDS) * second]


@pytest.fixture
def servers(networks: Networks) -> Iterator[tuple[UdpProbe, UdpProbe, UdpProbe]]:
    """A server, another one at its address, and another one at another address."""
    with ExitStack() as exits:
        first, port, address = (
            exits.enter_context(UdpProbe(networks.public, address)) for address in (SERVICE, SERVICE, OTHER_SERVICE)
        )
        yield first, port, address


@pytest.mark.parametrize("kind", PASSING_UDP)
def test_only_a_symmetric_router_uses_another_port_for_each_destination(
    networks: Networks, servers: tuple[UdpProbe, ...], kind: NatKind
) -> None:
    home = home_of(networks, kind)
    with UdpProbe(home.host) as inside:
        seen = [outside_address(inside, server) for server in servers]
        assert {address for address, _ in seen} == {home.address}
        assert len({port for _, port in seen}) == (3 if kind == "symmetric" else 1)
        assert outside_address(inside, servers[0]) == seen[0]


@pytest.mark.parametrize("kind", PASSING_UDP)
def test_who_may_answer_depends_on_the_kind(
    networks: Networks, servers: tuple[UdpProbe, UdpProbe, UdpProbe], kind: NatKind
) -> None:
    server, other_port, other_address = servers
    with UdpProbe(home_of(networks, kind).host) as inside:
        outside = outside_address(inside, server)
        other_port.send(outside, "other port")
        other_address.send(outside, "other address")
        server.send(outside, "same")
        received = {inside.receive()[0]}
        while "same" not in received:
            received.add(inside.receive()[0])
        from_port, from_address = ANSWERS[kind]
        assert ("other port" in received, "other address" in received) == (from_port, from_address)


@pytest.mark.parametrize("kind", ["open", "full cone"])
def test_an_answer_to_a_stranger_comes_from_the_port_that_the_stranger_knows(
    networks: Networks, servers: tuple[UdpProbe, UdpProbe, UdpProbe], kind: NatKind
) -> None:
    server, _, other_address = servers
    with UdpProbe(home_of(networks, kind).host) as inside:
        outside = outside_address(inside, server)
        other_address.send(outside, "hello")
        assert inside.receive() == ("hello", other_address.address)
        inside.send(other_address.address, "good day")
        assert other_address.receive() == ("good day", outside)


def test_blocked_udp_does_not_pass(networks: Networks, servers: tuple[UdpProbe, ...]) -> None:
    home = home_of(networks, "udp blocked")
    with UdpProbe(home.host) as inside, UdpProbe(home_of(networks, "open").host) as witness:
        inside.send(servers[0].address, "blocked")
        witness.send(servers[0].address, "passed")
        assert servers[0].receive()[0] == "passed"


@pytest.mark.parametrize("kind", NAT_KINDS)
def test_tcp_goes_out_and_comes_in_only_without_translation(networks: Networks, kind: NatKind) -> None:
    home = home_of(networks, kind)
    with networks.public.entered():
        caller = socket.socket()
    with caller, tcp_listener(home.host, home.host.address) as listener:
        caller.setblocking(False)
        caller.connect_ex((home.address, listener.getsockname()[1]))
        with tcp_listener(networks.public, SERVICE) as service, connect(home.host, service.getsockname()):
            connection, address = service.accept()
            connection.close()
            assert address[0] == home.address
        if kind == "open":
            listener.accept()[0].close()
        else:
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()


def punch(one: UdpProbe, other: UdpProbe, addresses: tuple[Address, Address]) -> bool:
    """Whether two hosts reach each other if both send to where the other is seen, and answer to what they get."""
    known = ({addresses[1]}, {addresses[0]})
    reached = [False, False]
    for _ in range(3):
        for side, probe in enumerate((one, other)):
            for address in known[side]:
                probe.send(address)
        for side, probe in enumerate((one, other)):
            for _, sender in probe.waiting(0.05):
                known[side].add(sender)
                reached[side] = True
    assert reached[0] == reached[1]
    return all(reached)


@pytest.mark.parametrize(("one", "other"), list(combinations_with_replacement(PASSING_UDP, 2)))
def test_pairs_that_reach_each_other_without_a_relay(
    networks: Networks, servers: tuple[UdpProbe, ...], one: NatKind, other: NatKind
) -> None:
    with (
        UdpProbe(home_of(networks, one).host) as inside,
        UdpProbe(home_of(networks, other, second=True).host) as other_inside,
    ):
        addresses = outside_address(inside, servers[0]), outside_address(other_inside, servers[0])
        needs_relay = {one, other} in ({"symmetric"}, {"symmetric", "port restricted"})
        assert punch(inside, other_inside, addresses) != needs_relay


@pytest.mark.parametrize("kind", NAT_KINDS)
def test_private_addresses_of_another_home_are_not_reached(networks: Networks, kind: NatKind) -> None:
    other = home_of(networks, "full cone", second=True)
    home = home_of(networks, kind)
    with UdpProbe(networks.public, SERVICE) as server, UdpProbe(other.host) as target, UdpProbe(home.host) as caller:
        outside = outside_address(target, server)
        caller.send((other.host.address, target.address[1]), "private")
        server.send(outside, "public")
        assert target.receive()[0] == "public"


def test_hosts_of_a_home_reach_each_other_also_by_multicast(make_networks: MakeNetworks) -> None:
    networks = make_networks(Home("symmetric", hosts=2), "full cone")
    home, other = networks.homes
    group = "224.0.0.251"
    with (
        UdpProbe(home.hosts[0]) as one,
        UdpProbe(home.hosts[1], group, 5353) as two,
        UdpProbe(other.host, group, 5353) as three,
    ):
        for probe, place in ((two, home.hosts[1]), (three, other.host)):
            probe.join_group(group, place.address)
        one.send((group, two.address[1]), "who is there?")
        assert two.receive() == ("who is there?", (home.hosts[0].address, one.address[1]))
        with UdpProbe(networks.public, SERVICE) as server:
            outside_address(one, server)
        assert three.waiting() == []


@pytest.mark.parametrize("hairpin", [True, False])
def test_the_own_outside_address_leads_back_only_with_hairpinning(make_networks: MakeNetworks, hairpin: bool) -> None:
    networks = make_networks(Home("full cone", hosts=2, hairpin=hairpin))
    one, two = networks.homes[0].hosts
    with UdpProbe(networks.public, SERVICE) as server, UdpProbe(one) as probe, UdpProbe(two) as other:
        outside, other_outside = outside_address(probe, server), outside_address(other, server)
        other.send(outside, "hairpin")
        server.send(outside, "server")
        expected = [("hairpin", other_outside)] * hairpin + [("server", server.address)]
        assert [probe.receive() for _ in expected] == expected


def test_a_carrier_translates_once_more(make_networks: MakeNetworks) -> None:
    (home,) = (networks := make_networks(Home("full cone", carrier="symmetric"))).homes
    assert home.router.address.startswith("100.64.")
    with (
        UdpProbe(networks.public, SERVICE) as server,
        UdpProbe(networks.public, OTHER_SERVICE) as other,
        UdpProbe(home.host) as inside,
    ):
        first, second = outside_address(inside, server), outside_address(inside, other)
        assert first[0] == second[0] == home.address
        assert first[1] != second[1]


def test_ipv6_is_not_translated_but_only_answers_get_in(make_networks: MakeNetworks) -> None:
    networks = make_networks(Home("symmetric", ipv6=True))
    host = networks.homes[0].host
    assert host.ipv6_address is not None
    with (
        UdpProbe(networks.public, SERVICE_IPV6) as server,
        UdpProbe(networks.public, SERVICE_IPV6) as stranger,
        UdpProbe(host, host.ipv6_address) as inside,
    ):
        assert outside_address(inside, server) == inside.address
        stranger.send(inside.address, "stranger")
        server.send(inside.address, "server")
        assert inside.receive()[0] == "server"


def test_a_router_loses_the_share_of_packets_that_it_should(make_networks: MakeNetworks) -> None:
    networks = make_networks(Home("full cone", loss=0.1))
    (home,) = networks.homes
    with UdpProbe(networks.public, SERVICE) as server, UdpProbe(home.host) as inside:
        outside = (home.address, inside.address[1])
        for sender, receiver, destination in ((inside, server, server.address), (server, inside, outside)):
            arrived = 0
            for _ in range(50):
                for _ in range(20):
                    sender.send(destination)
                arrived += len(receiver.waiting(0.01))
            assert 850 < arrived < 950  # five standard deviations


def test_a_link_delays_packets_in_both_directions(make_networks: MakeNetworks) -> None:
    networks = make_networks(Home("port restricted", delay=0.1))
    (home,) = networks.homes
    with tcp_listener(networks.public, SERVICE) as service:
        started = time.monotonic()
        connect(home.host, service.getsockname()).close()
        assert time.monotonic() - started >= 0.2
        service.accept()[0].close()


def test_programs_know_the_names_of_the_servers(make_networks: MakeNetworks) -> None:
    host = make_networks("symmetric").homes[0].host
    assert host.run(["getent", "hosts", "service.test"]).stdout.split()[0] == SERVICE


def test_nothing_stays_when_the_tests_are_killed(make_networks: MakeNetworks) -> None:
    make_networks()  # or skip
    code = """
import os, sys
from networks.homes import Home, Networks
networks = Networks(Home("symmetric", delay=0.01))
host = networks.homes[0].host
host.start(["sleep", "1000"])
print(os.stat(host.path).st_ino, *(program.pid for program in networks.programs), flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": _TESTS},
    ) as process:
        assert process.stdout is not None
        network, *programs = map(int, process.stdout.readline().split())
        assert network in used_networks()
        # The system shows no command line while a program is being loaded.
        wait_for(lambda: all(map(is_running, programs)), "a program does not run")
        process.kill()
    wait_for(lambda: network not in used_networks(), "a program still runs in a namespace")
    wait_for(lambda: not any(map(is_running, programs)), "a program still runs")


def used_networks() -> set[int]:
    """The numbers of the network namespaces of all processes."""
    numbers = set()
    for place in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):
            numbers.add(place.stat().st_ino)
    return numbers


def is_running(pid: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def test_without_rights_the_reason_for_skipping_says_so(make_networks: MakeNetworks) -> None:
    make_networks()  # or skip
    code = "from networks.namespace import why_unavailable; print(why_unavailable())"
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": _TESTS},
    )
    assert done.stdout.startswith("network namespaces need root"), done.stdout
