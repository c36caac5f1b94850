"""A host and a guest in homes behind routers meet by three words, with the real programs and a relay."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from networks.homes import SERVICE, Home, Networks
from networks.namespace import Program
from networks.people import Person
from networks.port_mapping_router import PortMappingRouter
from networks.routers import NatKind
from networks.turn import PORT as TURN_PORT
from networks.turn import TurnServer

MakeNetworks = Callable[..., Networks]
SECRET, PASSWORD = "the relay's secret", "correct horse"
KINDS: tuple[NatKind, ...] = ("full cone", "restricted", "port restricted", "symmetric")
NEED_RELAY = {("port restricted", "symmetric"), ("symmetric", "port restricted"), ("symmetric", "symmetric")}
IN_THE_GATE = {("full cone", "symmetric"), ("port restricted", "port restricted"), ("symmetric", "symmetric")}
DIRECT, RELAYED = "a data channel, direct", "a data channel, relayed"


class Meeting:
    """A discovery service and a relay in the public net, a host and guests.

    Args:
        networks: with one home for the host, and perhaps others.
        directory: for the files of all of them.
        turn: whether there is a relay.
    """

    def __init__(self, networks: Networks, directory: Path, *, turn: bool = True) -> None:
        self.networks = networks
        self.relay = TurnServer(networks.public, secret=SECRET)
        options = ["--stun-servers", f"stun:{SERVICE}:{TURN_PORT}"]
        if turn:
            options += ["--turn-servers", f"turn:{SERVICE}:{TURN_PORT}", "--turn-secret", SECRET]
        self.service = Person(networks.public, directory / "service").start("discovery-service", SERVICE, *options)
        self.service.wait_for_line("listening on")
        self._directory = directory
        self.ann = Person(networks.homes[0].host, directory / "ann")
        self.name = ""

    def host(self, *options: str) -> Program:
        """Start the host's server; returns it when it is registered."""
        words = ["server", "--discovery", SERVICE, "--password", PASSWORD, "--no-events", *options]
        server = self.ann.start(*words)
        self.name = server.wait_for_line(r"Friends anywhere join with: teleglyph client (\S+)")[1]
        return server

    def guest(self, place: int = 1, *, password: str = PASSWORD, name: str = "") -> tuple[str, str]:
        """Somebody in another home takes a picture of the call; returns the way, and what the client said."""
        home = self.networks.homes[place]
        guest = Person(home.hosts[-1], self._directory / f"guest-{place}")
        words = ["--log-level", "info", "client", name or self.name, "--accept-new-server", "--test-pattern"]
        words += ["--no-audio", "--snapshot", "--snapshot-delay", "0.2", "--color-mode", "none"]
        done = guest.run(*words, *(["--password", password] if password else []), seconds=120)
        found = re.search("Connected: way=(.*)", done.stderr)
        if found is not None:
            assert done.returncode == 0, done.stderr
            assert len(done.stdout.splitlines()) > 10, "there is no picture"
        return "" if found is None else found[1].strip(), done.stderr

    def close(self) -> None:
        self.relay.close()


@pytest.fixture
def meet(make_networks: MakeNetworks, tmp_path: Path) -> Iterator[Callable[..., Meeting]]:
    """Makes a meeting with these homes."""
    meetings: list[Meeting] = []

    def make(*homes: Home | str, turn: bool = True) -> Meeting:
        meetings.append(Meeting(make_networks(*homes), tmp_path, turn=turn))
        return meetings[-1]

    yield make
    for meeting in meetings:
        meeting.close()


@pytest.mark.parametrize(
    ("host", "guest"),
    [
        pytest.param(host, guest, marks=[] if (host, guest) in IN_THE_GATE else [pytest.mark.thorough])
        for host in KINDS
        for guest in KINDS
    ],
)
def test_every_pair_of_routers_holds_a_call(meet: Callable[..., Meeting], host: str, guest: str) -> None:
    meeting = meet(host, guest)
    meeting.host("--no-port-mapping")
    way, said = meeting.guest()
    assert way == (RELAYED if (host, guest) in NEED_RELAY else DIRECT), said


def test_a_router_that_forwards_a_port_makes_the_call_direct(meet: Callable[..., Meeting]) -> None:
    meeting = meet("port restricted", "symmetric")
    with PortMappingRouter(meeting.networks.homes[0]):
        server = meeting.host()
        server.wait_for_line("Port mapping: ")
        way, said = meeting.guest()
        assert way == "direct TCP to its router", said
        assert server.stop() == 0, server.text
        listed = meeting.networks.homes[0].host.run(["upnpc", "-l"]).stdout
        assert "27224" not in listed, "the forwarding outlives the server"


def test_people_in_one_home_meet_without_a_service(meet: Callable[..., Meeting]) -> None:
    meeting = meet(Home("symmetric", hosts=2))
    meeting.host("--no-port-mapping")
    words = meeting.name.partition("@")[0]
    way, said = meeting.guest(0, name=words)
    assert way == "the local network", said


def test_a_wrong_password_learns_no_address(meet: Callable[..., Meeting]) -> None:
    meeting = meet("port restricted", "port restricted")
    meeting.host("--no-port-mapping")
    for password in ("", "wrong horse"):
        way, said = meeting.guest(password=password)
        assert way == ""
        assert "password" in said
        assert meeting.networks.homes[0].address not in said
        assert meeting.networks.homes[0].host.address not in said


def test_without_a_relay_the_client_explains_why_it_fails(meet: Callable[..., Meeting]) -> None:
    meeting = meet("symmetric", "symmetric", turn=False)
    meeting.host("--no-port-mapping")
    way, said = meeting.guest()
    assert way == ""
    assert "No way to the host works" in said


def test_the_name_survives_both_restarts(meet: Callable[..., Meeting]) -> None:
    meeting = meet("port restricted", "port restricted")
    server = meeting.host("--no-port-mapping")
    before = meeting.name
    assert server.stop() == 0, server.text
    meeting.host("--no-port-mapping")
    assert meeting.name == before
    way, said = meeting.guest()
    assert way == DIRECT, said
