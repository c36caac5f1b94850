"""The messages that a host reads at the start."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from teleglyph.server.welcome import Welcome


def lines(**changes: Any) -> list[str]:
    known: dict[str, Any] = {
        "bound": [("0.0.0.0", 27224), ("::", 27224)],
        "machine": ["192.168.1.5", "fd00::5"],
        "http_port": 27226,
        "has_password": False,
        "has_keys": False,
        "has_identity": False,
        **changes,
    }
    return [f"{logging.getLevelName(level)} {text}" for level, text in Welcome(**known).lines()]


def test_an_open_server_warns_and_explains_how_others_join() -> None:
    said = lines()
    assert said[0].startswith("WARNING Anybody who can reach this machine can join")
    assert said[1:] == [
        "INFO Others join with: teleglyph client 192.168.1.5",
        "INFO Others join with: teleglyph client fd00::5",
        "INFO To join they need nothing",
        "INFO In a firewall, open TCP port 27224 (27226 is a second one for pages, if you want it)",
        "INFO For people on the internet, have your router forward TCP port 27224 to this machine",
    ]


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({"has_password": True}, "the password"),
        ({"has_keys": True}, "a key that you listed"),
        ({"has_password": True, "has_keys": True}, "the password and a key that you listed"),
        ({"has_password": True, "has_identity": True}, "the password and a look at the server's fingerprint"),
    ],
)
def test_a_guarded_server_explains_what_people_need(changes: dict[str, bool], needed: str) -> None:
    said = lines(**changes)
    assert not any(line.startswith("WARNING") for line in said)
    assert any(line.startswith(f"INFO To join they need {needed}") for line in said)


def test_a_public_address_needs_no_router() -> None:
    said = lines(bound=[("::", 4000)], machine=["192.168.1.5", "2a00:1450::1"], http_port=None)
    assert "INFO Others join with: teleglyph client [2a00:1450::1]:4000" in said
    assert not any("192.168.1.5" in line or "router" in line for line in said)
    assert "INFO In a firewall, open TCP port 4000" in said


def test_a_machine_without_a_network_names_no_address() -> None:
    assert "INFO Others join with this machine's name and port 27224; no address for them was found" in lines(
        machine=[]
    )


def test_a_local_server_explains_how_to_admit_others() -> None:
    said = lines(bound=[("127.0.0.1", 27224), ("::1", 27224)])
    assert said == ["INFO Only this machine can join. To let others in, start it with: teleglyph server 0.0.0.0 ::"]
