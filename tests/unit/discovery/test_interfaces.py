"""Which addresses a server announces, and which ones a client takes for neighbours."""

from __future__ import annotations

import ipaddress

import pytest

from teleglyph.discovery.interfaces import InterfaceAddress, interface_addresses, is_neighbour, local_addresses


def own(*texts: str) -> list[InterfaceAddress]:
    found = [ipaddress.ip_interface(text) for text in texts]
    return [InterfaceAddress(each.ip, each.network, number) for number, each in enumerate(found, 2)]


MACHINE = own("192.168.1.5/24", "203.0.113.9/24", "fd00::5/64", "fe80::5/64", "2001:db8::5/64")


@pytest.mark.parametrize(
    ("bound", "announced"),
    [
        (["0.0.0.0"], ["192.168.1.5"]),
        (["::"], ["fd00::5", "fe80::5"]),
        (["0.0.0.0", "::"], ["192.168.1.5", "fd00::5", "fe80::5"]),
        (["192.168.1.5"], ["192.168.1.5"]),
        (["fe80::5%eth0"], ["fe80::5"]),
        (["203.0.113.9"], []),
        (["2001:db8::5"], []),
        (["127.0.0.1", "::1"], []),
        (["192.168.1.6"], []),
    ],
)
def test_private_addresses_that_a_server_listens_on_are_announced(bound: list[str], announced: list[str]) -> None:
    assert [str(each.address) for each in local_addresses(bound, MACHINE)] == announced


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.168.1.7", True),
        ("10.0.0.1", True),
        ("172.31.255.1", True),
        ("172.32.0.1", False),
        ("169.254.3.4", True),
        ("fe80::1", True),
        ("fd12::1", True),
        ("203.0.113.77", True),
        ("203.0.113.255", False),
        ("192.168.1.255", False),
        ("2001:db8::77", True),
        ("2001:db8:1::77", False),
        ("8.8.8.8", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("224.0.0.251", False),
        ("ff02::fb", False),
        ("::ffff:8.8.8.8", False),
        ("::ffff:127.0.0.1", False),
        ("240.0.0.1", False),
        ("100.64.0.1", False),
    ],
)
def test_neighbours_are_single_machines_of_a_local_network(address: str, expected: bool) -> None:
    assert is_neighbour(ipaddress.ip_address(address), MACHINE) is expected


def test_a_network_of_half_the_internet_has_no_neighbours() -> None:
    assert not is_neighbour(ipaddress.ip_address("8.8.8.8"), own("5.6.7.8/0"))


def test_addresses_of_this_machine_have_no_loopback_among_them() -> None:
    assert not [each for each in interface_addresses() if each.address.is_loopback]
