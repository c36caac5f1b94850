"""A small internet for one test: servers on public addresses, and homes behind routers.

::

    with Networks("full cone", Home("symmetric", hosts=2, loss=0.01)) as networks:
        service = networks.public.start(["some-server", SERVICE])
        service.wait_for_line("listening")
        networks.homes[0].host.run(["some-client", SERVICE])
        with networks.homes[1].hosts[1].entered():
            probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

Addresses: our programs offer an address to others only if it is globally routable. According to Python's ``ipaddress``,
the networks reserved for documentation are not. So public addresses here are from 45.0.0.0/8 and 2a00::/16, which
belong to somebody. That is safe: no namespace has an interface to the outside.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from networks.namespace import Namespace, Program
from networks.routers import NatKind, rules

SERVICE, OTHER_SERVICE = "45.0.0.1", "45.0.0.2"
"""Addresses of servers. Programs in a namespace know them as service.test and other.test."""
SERVICE_IPV6, OTHER_SERVICE_IPV6 = "2a00:45::1", "2a00:45::2"
_DELAYED_LINK = Path(__file__).with_name("delayed_link.py")
_PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")


@dataclass(frozen=True)
class Home:
    """What a home is like.

    Attributes:
        nat: how its router translates addresses.
        hosts: how many it has.
        carrier: how its provider translates the router's address once more; None if the router has a public address.
        ipv6: every host also has a public IPv6 address, behind a firewall that lets only answers in.
        loss: share of packets that the router drops in each direction, in steps of 0.001.
        delay: seconds that a packet takes to the public net, and again from there.
        hairpin: hosts inside may reach each other by the router's address; only for a full cone.
        lan: the first three bytes of the addresses of its hosts, such as "192.168.178". By default, no two homes have
            the same.
    """

    nat: NatKind = "port restricted"
    hosts: int = 1
    carrier: NatKind | None = None
    ipv6: bool = False
    loss: float = 0.0
    delay: float = 0.0
    hairpin: bool = False
    lan: str | None = None


class Place(Namespace):
    """A namespace where programs run.

    Attributes:
        address: its own IPv4 address.
        gateway: the address of its router; empty for the public net.
        ipv6_address: its public one, if its home has IPv6.
    """

    def __init__(self, address: str, programs: list[Program]) -> None:
        super().__init__()
        self.address = address
        self.gateway = ""
        self.ipv6_address: str | None = None
        self._programs = programs
        # Nobody else has our addresses, and waiting to find that out takes seconds.
        self.set_kernel("ipv6/conf/default/accept_dad", 0)

    def let_forward(self) -> None:
        """Make it a router."""
        self.set_kernel("ipv4/ip_forward", 1)
        self.set_kernel("ipv6/conf/all/forwarding", 1)
        # The rules are for what is routed. Some kernels apply them to what passes a bridge, too.
        for family in ("ip", "ip6", "arp"):
            with contextlib.suppress(FileNotFoundError):
                self.set_kernel(f"bridge/bridge-nf-call-{family}tables", 0)

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Program:
        """Start a program; it is stopped with the networks, and killed if the calling thread ends before."""
        return self.keep(super().start(command, environment))

    def keep(self, program: Program) -> Program:
        """Stop this program with the networks."""
        self._programs.append(program)
        return program


class HomeNetwork:
    """A running home.

    Attributes:
        address: of its router, as the public net sees it; of its first host if it is open.
        router: the router's namespace.
        hosts: the namespaces of its hosts.
    """

    def __init__(self, address: str, router: Place, hosts: list[Place]) -> None:
        self.address = address
        self.router = router
        self.hosts = hosts

    @property
    def host(self) -> Place:
        """Its first host."""
        return self.hosts[0]


class Networks:
    """The public net and its homes, until ``close`` or the end of a ``with`` block.

    Attributes:
        public: has the addresses of servers, and routes between the homes.
        homes: in the order in which they were given.
        programs: that were started in the namespaces, or for them.
    """

    def __init__(self, *homes: Home | NatKind) -> None:
        self.programs: list[Program] = []
        self._exits = contextlib.ExitStack()
        self.homes: list[HomeNetwork] = []
        try:
            self.public = self._place(SERVICE)
            self._make_public()
            for number, home in enumerate(homes, 1):
                self.homes.append(self._make_home(number, home if isinstance(home, Home) else Home(home)))
        except BaseException:
            self.close()
            raise

    def _place(self, address: str) -> Place:
        return self._exits.enter_context(Place(address, self.programs))

    def _make_public(self) -> None:
        self.public.let_forward()
        self.public.ip(
            "link set lo up",
            *(f"addr add {address}/32 dev lo" for address in (SERVICE, OTHER_SERVICE)),
            *(f"addr add {address}/128 dev lo" for address in (SERVICE_IPV6, OTHER_SERVICE_IPV6)),
            # As on the internet, a packet to a private address gets no answer and is no error. An interface that nobody
            # reads does that; a blackhole route would make sending fail.
            "tuntap add dev nowhere mode tun",
            "link set nowhere up",
            *(f"route add {network} dev nowhere" for network in _PRIVATE),
        )

    def _make_home(self, number: int, home: Home) -> HomeNetwork:
        address, lan = f"45.0.{number}.2", home.lan or f"192.168.{number}"
        at_public = [f"addr add 45.0.{number}.1/24 dev home{number}"]
        at_router = [f"addr add {address}/24 dev wan", f"route add default via 45.0.{number}.1"]
        if home.nat == "open":
            lan = f"45.1.{number}"
            at_public.append(f"route add {lan}.0/24 via {address}")
        if home.ipv6:
            at_public += [
                f"addr add 2a00:45:0:{number}::1/64 dev home{number}",
                f"route add 2a00:45:{number}::/64 via 2a00:45:0:{number}::2",
            ]
            at_router += [
                f"addr add 2a00:45:0:{number}::2/64 dev wan",
                f"route add default via 2a00:45:0:{number}::1",
                *_make_bridge(lan),
                f"addr add 2a00:45:{number}::1/64 dev lan",
            ]
        elif home.carrier is None:
            at_router += _make_bridge(lan)
        router = self._place(address)
        if home.carrier is not None:
            assert home.nat != "open"
            assert not home.ipv6
            shared = f"100.64.{number}"
            self._connect(
                self.public, f"home{number}", at_public, router, "wan", at_router + _make_bridge(shared), home.delay
            )
            self._translate(router, Home(home.carrier), shared)
            carrier, router = router, self._place(f"{shared}.2")
            router.gateway = f"{shared}.1"
            at_router = [f"addr add {router.address}/24 dev wan", f"route add default via {router.gateway}"]
            self._connect(carrier, "home", ["link set home master lan"], router, "wan", at_router + _make_bridge(lan))
        else:
            self._connect(self.public, f"home{number}", at_public, router, "wan", at_router, home.delay)
        self._translate(router, home, lan)
        hosts = [self._make_host(router, lan, number, place, home.ipv6) for place in range(10, 10 + home.hosts)]
        return HomeNetwork(address if home.nat != "open" else hosts[0].address, router, hosts)

    def _translate(self, router: Place, home: Home, lan: str) -> None:
        """Make a router of a namespace with the interfaces ``wan`` and ``lan``."""
        router.let_forward()
        router.nft(rules(home.nat, router.address, lan, home.loss, home.hairpin))

    def _make_host(self, router: Place, lan: str, number: int, place: int, ipv6: bool) -> Place:
        host = self._place(f"{lan}.{place}")
        host.gateway = f"{lan}.1"
        commands = [f"addr add {host.address}/24 dev lan", f"route add default via {host.gateway}"]
        if ipv6:
            host.ipv6_address = f"2a00:45:{number}::{place}"
            commands += [f"addr add {host.ipv6_address}/64 dev lan", f"route add default via 2a00:45:{number}::1"]
        self._connect(router, f"port{place}", [f"link set port{place} master lan"], host, "lan", commands)
        return host

    def _connect(
        self,
        one: Place,
        interface: str,
        commands: list[str],
        other: Place,
        other_interface: str,
        other_commands: list[str],
        delay: float = 0.0,
    ) -> None:
        """Connect two namespaces by a new interface in each, and run commands there; the other one is new."""
        made = []
        if delay:
            descriptors = (one.open_tun(interface), other.open_tun(other_interface))
            program = [sys.executable, str(_DELAYED_LINK), str(delay), *map(str, descriptors)]
            self.programs.append(Program.start(program, os.environ, descriptors))
            for descriptor in descriptors:
                os.close(descriptor)
        else:
            made = [f"link add {interface} type veth peer name {other_interface} netns {other.path}"]
        one.ip(*made, f"link set {interface} up", *commands)
        other.ip("link set lo up", f"link set {other_interface} up", *other_commands)

    def close(self) -> None:
        """Stop all programs and let the namespaces vanish."""
        with self._exits:
            for program in reversed(self.programs):
                program.stop()

    def __enter__(self) -> Networks:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _make_bridge(lan: str) -> list[str]:
    """Commands that give a router its interface to the inside."""
    return ["link add lan type bridge", "link set lan up", f"addr add {lan}.1/24 dev lan"]
