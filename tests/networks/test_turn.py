"""coturn relays for hosts behind every kind of router, and its own tools recognize the kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from networks.homes import OTHER_SERVICE, SERVICE, HomeNetwork, Networks
from networks.namespace import Program
from networks.routers import NAT_KINDS, NatKind
from networks.turn import TurnServer

MakeNetworks = Callable[..., Networks]
ECHO_PORT = 3480
MESSAGES = 3

# What turnutils_natdiscovery says about mapping and filtering.
VERDICTS: dict[NatKind, tuple[str, str]] = {
    "open": ("Endpoint Independent Mapping", "Endpoint Independent Filtering"),
    "full cone": ("Endpoint Independent Mapping", "Endpoint Independent Filtering"),
    "restricted": ("Endpoint Independent Mapping", "Address Dependent Filtering"),
    "port restricted": ("Endpoint Independent Mapping", "Address and Port Dependent Filtering"),
    "symmetric": ("Address and Port Dependent Mapping", "Address and Port Dependent Filtering"),
}


@pytest.fixture
def networks(shared_networks: MakeNetworks) -> Networks:
    return shared_networks(*NAT_KINDS)


@pytest.fixture
def _echo(networks: Networks) -> Iterator[None]:
    program = networks.public.start(["turnutils_peer", "-L", OTHER_SERVICE, "-p", str(ECHO_PORT)])
    yield
    program.stop()


def relay_client(home: HomeNetwork, *options: str, kind: NatKind = "open") -> Program:
    """Starts a client that sends messages to the echo service through the relay."""
    transport = ["-t"] if kind == "udp blocked" else []
    messages = ["-n", str(MESSAGES), "-e", OTHER_SERVICE, "-r", str(ECHO_PORT), "-c"]
    return home.host.start(["turnutils_uclient", *transport, *messages, *options, SERVICE])


@pytest.mark.usefixtures("_echo")
def test_the_relay_serves_hosts_behind_every_kind_of_router(networks: Networks) -> None:
    with TurnServer(networks.public, users={"ann": "word"}):
        clients = [
            relay_client(home, "-u", "ann", "-w", "word", kind=kind)
            for home, kind in zip(networks.homes, NAT_KINDS, strict=True)
        ]
        for client in clients:
            client.wait_for_line(rf"tot_send_msgs={MESSAGES}, tot_recv_msgs={MESSAGES}")
            assert client.wait() == 0


@pytest.mark.usefixtures("_echo")
def test_the_relay_accepts_only_credentials_made_with_its_secret_until_they_expire(networks: Networks) -> None:
    home = networks.homes[0]
    with TurnServer(networks.public, secret="known") as relay:
        good, expired = relay.credentials(), relay.credentials(seconds=-1)
        own = relay_client(home, "-W", "known", "-u", "ann")
        ours = relay_client(home, "-u", good[0], "-w", good[1])
        refused = [
            relay_client(home, "-u", expired[0], "-w", expired[1]),
            relay_client(home, "-u", good[0], "-w", expired[1]),
            relay_client(home, "-W", "guessed", "-u", "ann"),
        ]
        for client in (own, ours):
            client.wait_for_line(f"tot_recv_msgs={MESSAGES}")
        for client in refused:
            client.wait_for_line(r"error 401|Cannot complete Allocation")


def test_coturn_recognizes_every_kind_of_router(networks: Networks) -> None:
    with TurnServer(networks.public):
        clients = {
            kind: networks.homes[NAT_KINDS.index(kind)].host.start(["turnutils_natdiscovery", "-m", "-f", SERVICE])
            for kind in NAT_KINDS
        }
        for kind, client in clients.items():
            assert client.wait() == 0
            said = tuple(line.removeprefix("NAT with ").rstrip("!") for line in client.lines if "NAT with" in line)
            assert said == VERDICTS.get(kind, ()), kind
