"""Calls by their three-word names, as users write them."""

from __future__ import annotations

import pytest

from teleglyph.client.address import Address
from teleglyph.client.link import parse_call, parse_service
from teleglyph.client.session_address import Service, SessionAddress
from teleglyph.errors import UserError

SERVICE = Service("talk.example")
LISTED = "brave-otter-lamp"


@pytest.mark.parametrize(
    ("text", "service", "room", "expected"),
    [
        (LISTED, None, None, SessionAddress(LISTED)),
        (LISTED.upper(), None, None, SessionAddress(LISTED)),
        (f" {LISTED} ", SERVICE, None, SessionAddress(LISTED, SERVICE)),
        (f"{LISTED}/tea", SERVICE, None, SessionAddress(LISTED, SERVICE, "tea")),
        (f"{LISTED}/", None, "Tea", SessionAddress(LISTED, None, "tea")),
        (f"{LISTED}/lobby", None, None, SessionAddress(LISTED)),
        (f"{LISTED}@other.example", SERVICE, None, SessionAddress(LISTED, Service("other.example"))),
        (f"{LISTED}@other.example:99/tea", None, None, SessionAddress(LISTED, Service("other.example", 99), "tea")),
        (f"{LISTED}@[2001:db8::1]:99", None, None, SessionAddress(LISTED, Service("2001:db8::1", 99))),
        ("zzz-yyy-xxx@talk.example", None, None, SessionAddress("zzz-yyy-xxx", SERVICE)),
        ("zzz-yyy-xxx", SERVICE, None, SessionAddress("zzz-yyy-xxx", SERVICE)),
        (f"https://talk.example:27225/{LISTED}", None, None, SessionAddress(LISTED, SERVICE)),
        (f"https://talk.example/{LISTED}/tea", None, None, SessionAddress(LISTED, Service("talk.example", 443), "tea")),
        ("zzz-yyy-xxx", None, None, Address("zzz-yyy-xxx", 27224)),
        (f"tcp://{LISTED}", None, None, Address(LISTED, 27224)),
        (f"{LISTED}:99", SERVICE, None, Address(LISTED, 99)),
        ("host", SERVICE, None, Address("host", 27224)),
    ],
)
def test_names_and_addresses_are_told_apart(
    text: str, service: Service | None, room: str | None, expected: object
) -> None:
    assert parse_call(text, None, room, service) == (expected, None)


@pytest.mark.parametrize(
    ("text", "room", "reason"),
    [
        ("two-words@talk.example", None, "three words"),
        ("@talk.example", None, "three words"),
        (f"{LISTED}@", None, "empty"),
        (f"{LISTED}@talk.example:0", None, "invalid port"),
        (f"{LISTED}/tea", "coffee", "different rooms"),
        (f"{LISTED}/no room", None, "is not a room"),
    ],
)
def test_mistakes_are_explained(text: str, room: str | None, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        parse_call(text, None, room)


@pytest.mark.parametrize(
    "address",
    [
        SessionAddress(LISTED),
        SessionAddress(LISTED, SERVICE),
        SessionAddress("zzz-yyy-xxx", Service("2001:db8::1", 99), "tea"),
    ],
)
def test_what_is_shown_can_be_typed(address: SessionAddress) -> None:
    assert parse_call(address.as_typed) == (address, None)


def test_the_same_name_at_another_service_is_another_call() -> None:
    known = {SessionAddress(LISTED, service).known_as for service in (None, SERVICE, Service("other.example"))}
    assert len(known) == 3


@pytest.mark.parametrize("text", ["talk.example/room", "ws://talk.example", "", "a b"])
def test_a_service_is_a_host(text: str) -> None:
    with pytest.raises(UserError):
        parse_service(text)
