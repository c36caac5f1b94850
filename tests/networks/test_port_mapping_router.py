"""MiniUPnPd on a router opens ports by UPnP, NAT-PMP and PCP, for its own client and for plain bytes."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from networks.homes import SERVICE, Home, HomeNetwork, Networks
from networks.port_mapping_router import NAT_PMP_PORT, PortMappingRouter
from networks.probes import UdpProbe, outside_address, tcp_listener

MakeNetworks = Callable[..., Networks]
OUTSIDE = 6000
NAT_PMP_TCP = 2


@pytest.fixture
def networks(make_networks: MakeNetworks) -> Iterator[Networks]:
    networks = make_networks("port restricted")
    with PortMappingRouter(networks.homes[0]):
        yield networks


def is_reached(networks: Networks, listener: socket.socket) -> bool:
    """Whether a connection to the mapped port from outside arrives."""
    home = networks.homes[0]
    with networks.public.entered():
        caller = socket.socket()
    with caller:
        caller.setblocking(False)
        caller.connect_ex((home.address, OUTSIDE))
        # The answer of a later exchange comes after a connection that gets through.
        with UdpProbe(networks.public, SERVICE) as server, UdpProbe(home.host) as inside:
            outside_address(inside, server)
        listener.setblocking(False)
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


def upnp(home: HomeNetwork, *arguments: str) -> str:
    return home.host.run(["upnpc", *arguments], check=False).stdout


def ask(home: HomeNetwork, request: bytes) -> bytes:
    """The router's answer to a packet for NAT-PMP or PCP."""
    with home.host.entered():
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with probe:
        probe.settimeout(5)
        probe.connect((home.host.gateway, NAT_PMP_PORT))
        probe.send(request)
        return probe.recv(1100)


def test_upnp_opens_a_port_until_it_is_removed(networks: Networks) -> None:
    home = networks.homes[0]
    with tcp_listener(home.host, home.host.address) as listener:
        port = str(listener.getsockname()[1])
        assert not is_reached(networks, listener)
        assert f"external {home.address}:{OUTSIDE} TCP is redirected to internal {home.host.address}:{port}" in upnp(
            home, "-a", home.host.address, port, str(OUTSIDE), "TCP", "600"
        )
        assert is_reached(networks, listener)
        assert "returned : 0" in upnp(home, "-d", str(OUTSIDE), "TCP")
        assert not is_reached(networks, listener)


def test_nat_pmp_opens_a_port_until_it_is_removed(networks: Networks) -> None:
    home = networks.homes[0]
    assert ask(home, bytes(2))[8:] == socket.inet_aton(home.address)
    with tcp_listener(home.host, home.host.address) as listener:
        port = listener.getsockname()[1]
        answer = ask(home, struct.pack(">BBHHHI", 0, NAT_PMP_TCP, 0, port, OUTSIDE, 600))
        assert struct.unpack(">BBHIHHI", answer)[4:] == (port, OUTSIDE, 600)
        assert is_reached(networks, listener)
        answer = ask(home, struct.pack(">BBHHHI", 0, NAT_PMP_TCP, 0, port, 0, 0))
        assert struct.unpack(">BBHIHHI", answer)[2] == 0
        assert not is_reached(networks, listener)


def test_pcp_opens_a_port(networks: Networks) -> None:
    home = networks.homes[0]
    own = b"\0" * 10 + b"\xff\xff" + socket.inet_aton(home.host.address)
    with tcp_listener(home.host, home.host.address) as listener:
        port = listener.getsockname()[1]
        request = struct.pack(">BBHI", 2, 1, 0, 600) + own + os.urandom(12)
        request += struct.pack(">BxxxHH", socket.IPPROTO_TCP, port, OUTSIDE) + b"\0" * 10 + b"\xff\xff" + bytes(4)
        answer = ask(home, request)
        assert answer[:2] == bytes([2, 0x81])
        assert answer[3] == 0
        assert struct.unpack(">H", answer[42:44]) == (OUTSIDE,)
        assert answer[-4:] == socket.inet_aton(home.address)
        assert is_reached(networks, listener)


def test_a_router_with_a_private_address_refuses(make_networks: MakeNetworks) -> None:
    home = make_networks(Home("port restricted", carrier="port restricted")).homes[0]
    with PortMappingRouter(home):
        said = upnp(home, "-a", home.host.address, "5000", str(OUTSIDE), "TCP", "600")
        assert "not connected" in said
        assert "is redirected" not in said
        assert struct.unpack(">H", ask(home, struct.pack(">BBHHHI", 0, NAT_PMP_TCP, 0, 5000, OUTSIDE, 600))[2:4]) != (
            0,
        )


def test_a_port_that_is_opened_behind_a_carrier_is_not_reached(make_networks: MakeNetworks) -> None:
    networks = make_networks(Home("port restricted", carrier="port restricted"))
    home = networks.homes[0]
    with (
        PortMappingRouter(home, options=(f"ext_ip={home.address}",)),
        tcp_listener(home.host, home.host.address) as listener,
    ):
        request = struct.pack(">BBHHHI", 0, NAT_PMP_TCP, 0, listener.getsockname()[1], OUTSIDE, 600)
        assert struct.unpack(">BBHIHHI", ask(home, request))[2] == 0
        assert ask(home, bytes(2))[8:] == socket.inet_aton(home.address)
        assert not is_reached(networks, listener)
