"""The calls that a user can choose from."""

from __future__ import annotations

import ipaddress

import pytest

from teleglyph.client.call_choice import THIS_MACHINE, CallChoice, call_choices, describe_age
from teleglyph.client.recent_calls import RecentCall
from teleglyph.discovery.interfaces import InterfaceAddress
from teleglyph.discovery.lan import LanCall

KEY = bytes(range(32))
OWN = [InterfaceAddress(ipaddress.ip_address("192.168.1.5"), ipaddress.ip_network("192.168.1.0/24"), 2)]
NEARBY = LanCall("brave-green-fox", KEY, "192.168.1.7", 27224, "Ann")
NOW = 1_000_000


def test_this_machine_comes_first_then_the_network_then_the_past() -> None:
    recent = [RecentCall("example.org/team", "", NOW - 7200), RecentCall("10.0.0.1", "Bob", NOW)]
    assert call_choices([NEARBY], recent, OWN, 27224, NOW) == [
        THIS_MACHINE,
        CallChoice("192.168.1.7", "Ann (brave-green-fox)", "nearby, 192.168.1.7", "Ann", KEY),
        CallChoice("example.org/team", "example.org/team", "2 hours ago"),
        CallChoice("10.0.0.1", "Bob", "10.0.0.1, just now", "Bob"),
    ]


def test_without_a_server_on_this_machine_it_is_not_offered() -> None:
    assert call_choices([], [], OWN, None, NOW) == []


def test_the_announcement_of_this_machine_is_not_a_second_choice() -> None:
    mine = LanCall("", KEY, "10.9.9.9", 27224, "me", ("192.168.1.5",))
    assert call_choices([mine], [], OWN, 27224, NOW) == [THIS_MACHINE]


@pytest.mark.parametrize("local_port", [None, 4000])
def test_another_server_on_this_machine_is_offered_by_its_announcement(local_port: int | None) -> None:
    mine = LanCall("", KEY, "192.168.1.5", 27224, "me")
    assert "192.168.1.5" in [choice.address for choice in call_choices([mine], [], OWN, local_port, NOW)]


def test_a_recent_call_that_is_nearby_is_shown_once_and_must_prove_what_it_announces() -> None:
    recent = [RecentCall("192.168.1.7", "old title", NOW), RecentCall("192.168.1.7/team", "", NOW)]
    first, second = call_choices([NEARBY], recent, OWN, None, NOW)
    assert (first.address, first.identity) == ("192.168.1.7", KEY)
    assert (second.address, second.identity) == ("192.168.1.7/team", None)


@pytest.mark.parametrize(
    ("host", "port", "typed"),
    [
        ("192.168.1.7", 4000, "192.168.1.7:4000"),
        ("fd00::7", 27224, "fd00::7"),
        ("fe80::7%2", 4000, "[fe80::7%2]:4000"),
    ],
)
def test_addresses_are_as_a_user_would_type_them(host: str, port: int, typed: str) -> None:
    [choice] = call_choices([LanCall("", None, host, port, "x")], [], OWN, None, NOW)
    assert choice.address == typed


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (7200, "2 hours ago"),
        (86400 * 40, "40 days ago"),
    ],
)
def test_ages_are_in_words(seconds: float, text: str) -> None:
    assert describe_age(seconds) == text
