"""The invitation in an empty call, with an address that others can use."""

from __future__ import annotations

import asyncio
import socket

import pytest

from teleglyph.client.address import Address
from teleglyph.client.call.invitation import invitation
from teleglyph.net import is_loopback, own_addresses


def invite(address: Address, numeric: str) -> str:
    return " ".join(asyncio.run(invitation(address, numeric)))


def test_a_name_that_works_from_afar_is_passed_on_as_typed() -> None:
    assert "teleglyph client calls.example" in invite(Address("calls.example", 27224), "192.0.2.7")
    assert "teleglyph client calls.example/team" in invite(Address("calls.example", 27224, "team"), "192.0.2.7")
    assert "teleglyph client calls.example:4000" in invite(Address("calls.example", 4000), "192.0.2.7")


@pytest.mark.parametrize("numeric", ["127.0.0.1", "::1"])
def test_a_server_for_this_machine_only_is_not_offered_to_others(numeric: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = invite(Address("localhost", server.getsockname()[1]), numeric)
    assert "Only this machine can join; to let others in: teleglyph server 0.0.0.0 ::" in said
    assert "127.0.0.1" not in said
    assert "localhost" not in said


def test_others_get_the_machines_own_address() -> None:
    own = own_addresses()
    if not own:
        pytest.skip("this machine has no network")
    family = socket.AF_INET6 if ":" in own[0] else socket.AF_INET
    with socket.create_server((own[0], 0), family=family) as server:
        said = invite(Address("127.0.0.1", server.getsockname()[1], "team"), "127.0.0.1")
    assert own[0] in said
    assert said.endswith("/team")
    assert not is_loopback(own[0])
