"""Calls between people in different homes, with the real programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from networks.homes import SERVICE, Networks
from networks.people import COMMAND, Person
from networks.port_mapping_router import PortMappingRouter

MakeNetworks = Callable[..., Networks]
PORT = 27224


@pytest.mark.thorough
def test_people_in_two_homes_meet_at_a_public_server(make_networks: MakeNetworks, tmp_path: Path) -> None:
    networks = make_networks("symmetric", "port restricted")
    server = Person(networks.public, tmp_path / "server").start("server", SERVICE)
    server.wait_for_line(f"listening on {SERVICE}:{PORT}")
    ann, bob = (Person(home.host, tmp_path / name) for home, name in zip(networks.homes, ("ann", "bob"), strict=True))
    with ann.terminal() as window:
        window.type(f"{COMMAND} client service.test --accept-new-server --name ann --test-pattern --no-audio")
        window.expect("1 in the call")
        done = bob.snapshot("service.test", "--name", "bob", "--test-pattern")
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) > 10
        window.press("q")
        window.expect("$")
    for home, name in zip(networks.homes, ("ann", "bob"), strict=True):
        server.wait_for_line(f"{home.address} is called {name}")


@pytest.mark.thorough
def test_a_host_behind_a_router_is_reached_through_a_mapped_port(make_networks: MakeNetworks, tmp_path: Path) -> None:
    networks = make_networks("port restricted", "symmetric")
    home, other = networks.homes
    server = Person(home.host, tmp_path / "ann").start("server", "0.0.0.0")
    server.wait_for_line("listening on")
    bob = Person(other.host, tmp_path / "bob")
    refused = bob.snapshot(home.address)
    assert (refused.returncode, "did not answer" in refused.stderr) == (42, True), refused.stderr
    with PortMappingRouter(home):
        home.host.run(["upnpc", "-a", home.host.address, str(PORT), str(PORT), "TCP"])
        done = bob.snapshot(home.address, "--test-pattern")
        assert done.returncode == 0, done.stderr
    assert server.stop() == 0, server.text
