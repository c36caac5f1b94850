"""What a client believes of an announcement."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.discovery.interfaces import InterfaceAddress
from teleglyph.discovery.lan_records import MAX_TITLE, LanCall, announced_text, merged, read_call, usable_hosts
from teleglyph.printable import printable, width

KEY = bytes(range(32))
OWN = [InterfaceAddress(ipaddress.ip_address("192.168.1.5"), ipaddress.ip_network("192.168.1.0/24"), 2)]


def text(name: str = "brave-green-fox", key: bytes | None = KEY, title: str = "Ann") -> dict[bytes, bytes | None]:
    return {key.encode(): value.encode() for key, value in announced_text(name, key, title).items()}


def read(
    records: dict[bytes, bytes | None], hosts: Sequence[str] = ("192.168.1.7",), port: int | None = 27224
) -> LanCall | None:
    return read_call("the instance", records, hosts, port, OWN)


def test_a_server_is_read_as_it_announced_itself() -> None:
    assert read(text()) == LanCall("brave-green-fox", KEY, "192.168.1.7", 27224, "Ann")


def test_the_keys_of_the_record_are_those_of_ascii_chat() -> None:
    assert announced_text("brave-green-fox", None, "Ann") == {
        "session_string": "brave-green-fox",
        "host_pubkey": "0" * 64,
        "v": "1",
        "name": "Ann",
    }


def test_zeros_are_no_identity() -> None:
    call = read(text(key=None))
    assert call is not None
    assert call.identity is None


def test_a_server_without_our_keys_still_has_a_title() -> None:
    assert read({}) == LanCall("", None, "192.168.1.7", 27224, "the instance")


@pytest.mark.parametrize(
    ("changes", "port"),
    [
        ({b"host_pubkey": b"12"}, 1),
        ({b"host_pubkey": b"g" * 64}, 1),
        ({b"host_pubkey": b"0" * 65}, 1),
        ({b"host_pubkey": b"0" * 63 + b"\n"}, 1),
        ({b"v": b"2"}, 1),
        ({b"v": b""}, 1),
        ({b"v": None}, 1),
        ({}, 0),
        ({}, None),
        ({}, 65536),
    ],
)
def test_invalid_records_are_ignored(changes: dict[bytes, bytes | None], port: int | None) -> None:
    assert read({**text(), **changes}, port=port) is None


@pytest.mark.parametrize(
    "name", ["two-words", "Brave-Green-Fox", "a-b-c", "brave-green-fox-cat", "brave-green-fox\n", "x" * 250, "\x1b[2J"]
)
def test_only_three_words_are_a_name(name: str) -> None:
    call = read(text(name))
    assert call is not None
    assert call.name == ""


@pytest.mark.parametrize("title", ["\x1b]0;owned\x07", "a\nb", "\u202eevil", "x" * 150, "界" * 50])
def test_titles_cannot_control_the_terminal(title: str) -> None:
    call = read(text(title=title))
    assert call is not None
    assert call.title == printable(call.title)
    assert "\x1b" not in call.title
    assert 0 < width(call.title) <= MAX_TITLE


def test_a_call_without_any_title_is_called_by_its_address() -> None:
    call = read_call("", {}, ["192.168.1.7"], 4000, OWN)
    assert call is not None
    assert call.title == "192.168.1.7:4000"


@pytest.mark.parametrize("hosts", [[], ["8.8.8.8"], ["127.0.0.1"], ["224.0.0.1"], ["2001:db8::1"], ["no address"]])
def test_a_server_outside_the_network_is_ignored(hosts: list[str]) -> None:
    assert read(text(), hosts) is None


def test_addresses_in_our_own_network_come_first() -> None:
    hosts = ["fe80::1%2", "8.8.8.8", "172.17.0.1", "fd00::1", "192.168.1.7"]
    assert usable_hosts(hosts, OWN) == ["192.168.1.7", "172.17.0.1", "fd00::1", "fe80::1%2"]


def test_a_link_local_address_without_its_zone_cannot_be_used() -> None:
    assert usable_hosts(["fe80::1"], OWN) == []


def test_a_call_has_few_addresses() -> None:
    assert len(usable_hosts([f"10.0.0.{number}" for number in range(1, 200)], OWN)) == 8


def call(number: int, host: str = "192.168.1.7", key: bytes | None = None) -> LanCall:
    return LanCall("", key, host, 1000 + number, f"call {number}")


def test_announcements_of_one_server_become_one_call() -> None:
    first, second = call(1, "192.168.1.7", KEY), call(1, "192.168.1.8", KEY)
    assert merged([first, second, first], 20) == [LanCall("", KEY, "192.168.1.7", 1001, "call 1", ("192.168.1.8",))]


def test_servers_without_identity_are_told_apart_by_their_address() -> None:
    calls = [call(1), call(2), call(1, "192.168.1.8")]
    assert merged([*calls, *calls], 20) == calls


def test_the_number_of_calls_is_limited() -> None:
    assert merged([call(number) for number in range(1000)], 20) == [call(number) for number in range(20)]


@given(
    st.text(max_size=300),
    st.dictionaries(
        st.sampled_from([b"session_string", b"host_pubkey", b"v", b"name", b"x"]), st.none() | st.binary(max_size=255)
    ),
    st.lists(st.text(max_size=50) | st.ip_addresses().map(str), max_size=30),
    st.none() | st.integers(-1, 70000),
)
def test_anything_is_read_or_ignored(
    instance: str, records: dict[bytes, bytes | None], hosts: list[str], port: int | None
) -> None:
    found = read_call(instance, records, hosts, port, OWN)
    if found is not None:
        assert found.title == printable(found.title)
        assert 1 <= found.port <= 65535
        assert found.identity is None or len(found.identity) == 32
