"""The messages that a host reads at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from teleglyph.server.welcome import Welcome

COLUMNS = 80 - len("18:00:00 warning: ")


def welcome(**changes: Any) -> Welcome:
    known: dict[str, Any] = {
        "bound": [("0.0.0.0", 27224), ("::", 27224)],
        "machine": ["192.168.1.5", "fd00::5"],
        "http_port": 27226,
        "has_password": False,
        "has_keys": False,
        "fingerprints": [],
        "has_chat": False,
        "has_rooms": False,
        "data_dir": Path("/home/ann/.local/share/teleglyph"),
        "has_database": False,
        **changes,
    }
    return Welcome(**known)


LOCAL = {"bound": [("127.0.0.1", 27224), ("::1", 27224)]}


def test_an_open_server_warns_and_explains_how_others_join() -> None:
    opened = welcome(fingerprints=["SHA256:abc"], has_chat=True)
    assert list(opened.lines()) == [
        "Friends join with: teleglyph client 192.168.1.5",
        "Friends join with: teleglyph client fd00::5",
        "Or in a browser: http://192.168.1.5:27224/",
        "Friends chat with: teleglyph chat --server 192.168.1.5",
        "They need no password, and confirm the fingerprint the first time",
        "In a firewall, open TCP port 27224; 27226 is optional",
        "For friends on the internet, forward TCP port 27224 in your router",
        "Data: /home/ann/.local/share/teleglyph",
        "Fingerprint: SHA256:abc",
    ]
    assert list(opened.warnings()) == ["Anybody can join. Set TELEGLYPH_PASSWORD or use --client-keys."]


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, "no password"),
        ({"has_password": True}, "the password"),
        ({"has_keys": True}, "a key that you listed"),
        ({"has_password": True, "has_keys": True}, "the password and a key that you listed"),
        (
            {"has_password": True, "fingerprints": ["SHA256:abc"]},
            "the password, and confirm the fingerprint the first time",
        ),
    ],
)
def test_a_server_explains_what_people_need(changes: dict[str, Any], needed: str) -> None:
    assert f"They need {needed}" in list(welcome(**changes).lines())


@pytest.mark.parametrize("guard", ["has_password", "has_keys"])
@pytest.mark.parametrize("place", [{}, LOCAL], ids=["open", "local"])
def test_a_guarded_server_warns_of_what_is_not_guarded(guard: str, place: dict[str, Any]) -> None:
    assert list(welcome(**{guard: True}, **place).warnings()) == []
    assert list(welcome(has_chat=True, has_rooms=True, **{guard: True}, **place).warnings()) == [
        "Chat needs no password or key; --no-events turns it off.",
        "Rooms need no password or key; remove --game to close them.",
    ]


def test_a_public_address_needs_no_router() -> None:
    said = list(welcome(bound=[("::", 4000)], machine=["192.168.1.5", "2a00:1450::1"], http_port=None).lines())
    assert "Friends join with: teleglyph client [2a00:1450::1]:4000" in said
    assert not any("192.168.1.5" in line or "router" in line for line in said)
    assert "In a firewall, open TCP port 4000" in said


def test_a_server_that_is_found_by_name_needs_no_router() -> None:
    assert not any("router" in line for line in welcome(is_found_by_name=True).lines())
    local = welcome(is_found_by_name=True, **LOCAL)
    said = "Others can only join by name. To let them connect directly: teleglyph server 0.0.0.0 ::"
    assert said in list(local.lines())
    assert list(local.warnings()) == ["Anybody can join. Set TELEGLYPH_PASSWORD or use --client-keys."]


def test_a_machine_without_a_network_names_no_address() -> None:
    said = list(welcome(machine=[], has_chat=True).lines())
    assert "Friends join with this machine's name and port 27224; no address for them was found" in said
    assert not any("chat" in line for line in said)


def test_a_local_server_explains_how_to_join_and_how_to_admit_others() -> None:
    local = welcome(**LOCAL, has_chat=True, fingerprints=["SHA256:abc"])
    assert list(local.lines()) == [
        "Join on this machine: teleglyph client",
        "Or in a browser: http://localhost:27224/",
        "Chat on this machine: teleglyph chat",
        "Nobody else can join. To let friends in: teleglyph server 0.0.0.0 ::",
        "Data: /home/ann/.local/share/teleglyph",
        "Fingerprint: SHA256:abc",
    ]
    assert list(local.warnings()) == []


def test_a_local_server_on_another_port_is_named_with_it() -> None:
    said = list(welcome(bound=[("::1", 4000)], has_chat=True, has_password=True).lines())
    assert said[:4] == [
        "Join on this machine: teleglyph client [::1]:4000",
        "Or in a browser: http://localhost:4000/",
        "Chat on this machine: teleglyph chat --server [::1]:4000",
        "Joining needs the password",
    ]


def test_the_place_of_the_data_is_named() -> None:
    assert "Data: nothing is stored (--ephemeral)" in list(welcome(data_dir=None).lines())
    assert "Data: /srv/x and PostgreSQL" in list(welcome(data_dir=Path("/srv/x"), has_database=True).lines())


def test_lines_fit_into_80_columns() -> None:
    """Including time and level, with a fingerprint of the usual length and an IPv6 address of the longest."""
    address = "2a00:1450:4001:0830:0000:0000:0000:2004"
    said = welcome(
        bound=[("::", 40000)],
        machine=[address],
        has_password=True,
        has_chat=True,
        has_rooms=True,
        fingerprints=["SHA256:" + 43 * "x"],
    )
    narrow = COLUMNS + len("warning: ")
    assert [line for line in said.lines() if len(line) > narrow and address not in line] == []
    assert [line for line in (*said.warnings(), *welcome().warnings()) if len(line) > COLUMNS] == []


@pytest.mark.parametrize(
    ("changes", "hosts", "link"),
    [
        ({}, ("192.168.1.5", "fd00::5"), "http://192.168.1.5:27224/"),
        (
            {"names": ["example.org"], "has_certificate": True, "bound": [("::", 443)]},
            ("example.org", "fd00::5"),
            "https://example.org/",
        ),
        ({"bound": [("192.0.2.9", 4000)]}, ("192.0.2.9",), "http://192.0.2.9:4000/"),
        ({"machine": []}, ("localhost",), "http://localhost:27224/"),
        ({"names": ["example.org"], **LOCAL}, ("localhost",), "http://localhost:27224/"),
        ({"bound": [("127.0.0.5", 27224)]}, ("127.0.0.5",), "http://127.0.0.5:27224/"),
        ({"has_page": False}, ("192.168.1.5", "fd00::5"), ""),
    ],
)
def test_links_name_the_server_as_others_know_it(changes: dict[str, Any], hosts: tuple[str, ...], link: str) -> None:
    opened = welcome(**changes)
    assert (opened.hosts, opened.link) == (hosts, link)
    assert any("in a browser" in line for line in opened.lines()) == bool(link and changes.get("machine") != [])


def test_a_guarded_server_names_the_command_for_invitations() -> None:
    line = "To let someone in without that: teleglyph invite"
    assert line in list(welcome(has_password=True, fingerprints=["SHA256:abc"]).lines())
    for changes in ({}, {"has_password": True}):
        assert line not in list(welcome(**changes).lines())
    assert line not in list(welcome(has_keys=True, fingerprints=["SHA256:abc"], data_dir=None).lines())
