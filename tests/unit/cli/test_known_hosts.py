"""``teleglyph known-hosts``: what is listed, and which entries a typed name matches."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from teleglyph.cli.main import cli
from teleglyph.keys import KnownHosts, fingerprint

KEY, OTHER = bytes(range(32)), bytes(range(100, 132))


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnownHosts:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", "")
    hosts = KnownHosts()
    hosts.add("192.0.2.7:27224", KEY, "calls.invalid:27224")
    hosts.add("[2001:db8::7]:27224", KEY, "calls.invalid:27224")
    hosts.add("192.0.2.7:4000", OTHER, "calls.invalid:4000")
    hosts.add("192.0.2.8:27224", OTHER, "")
    hosts.add("127.0.0.1:27224", None, "")
    hosts.add("[fe80::1%eth0]:27224", KEY, "")
    hosts.add("192.0.2.9:27224", KEY, "Büro.invalid:27224")
    return hosts


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["known-hosts", *words], standalone_mode=False)


FIRST = {"192.0.2.7:27224", "[2001:db8::7]:27224"}


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (("calls.invalid",), FIRST),
        (("CALLS.invalid:27224",), FIRST),
        (("tcp://calls.invalid",), FIRST),
        (("wss://calls.invalid:4000/call",), {"192.0.2.7:4000"}),
        (("calls.invalid", "--port", "27224"), FIRST),
        (("calls.invalid:4000",), {"192.0.2.7:4000"}),
        (("calls.invalid", "-p", "4000"), {"192.0.2.7:4000"}),
        (("192.0.2.7",), {"192.0.2.7:27224"}),
        (("192.0.2.7:4000",), {"192.0.2.7:4000"}),
        (("[2001:db8::7]",), {"[2001:db8::7]:27224"}),
        (("[2001:DB8:0::7]:27224",), {"[2001:db8::7]:27224"}),
        (("2001:db8:0:0::7",), {"[2001:db8::7]:27224"}),
        (("fe80::1%eth0",), {"[fe80::1%eth0]:27224"}),
        (("büro.invalid",), {"192.0.2.9:27224"}),
        (("localhost",), {"127.0.0.1:27224"}),
    ],
    ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value),
)
def test_a_typed_name_matches_all_entries_of_the_server(
    hosts: KnownHosts, words: tuple[str, ...], gone: set[str]
) -> None:
    before = [entry.address for entry in hosts.entries()]
    done = run("forget", *words)
    assert done.return_value == 0, done.output
    assert [entry.address for entry in hosts.entries()] == [place for place in before if place not in gone]
    lines = done.stdout.splitlines()
    assert len(lines) == len(gone)
    for place in gone:
        assert any(place in line for line in lines), "each is named"


def test_a_server_with_two_names_is_forgotten_by_either(hosts: KnownHosts) -> None:
    hosts.add("192.0.2.8:27224", OTHER, "other.invalid:27224")
    assert run("forget", "other.invalid").return_value == 0
    assert "192.0.2.8:27224" not in [entry.address for entry in hosts.entries()]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("clals.invalid", "Did you mean 'calls.invalid:27224'"),
        ("calls.invalid:27225", "'calls.invalid:27224'"),
        ("calls.invalid:27225", "'calls.invalid:4000'"),
        ("192.0.2.8:5000", "'192.0.2.8:27224'"),
        ("nothing.test", "Run 'teleglyph known-hosts list' to see the known ones."),
    ],
)
def test_an_unknown_name_gets_suggestions(hosts: KnownHosts, word: str, hint: str) -> None:
    done = run("forget", word)
    assert done.return_value == 1
    assert "is not a known server." in done.stderr
    assert hint in done.stderr
    assert done.stdout == ""


def test_an_entry_in_ascii_chats_file_is_reported(hosts: KnownHosts, tmp_path: Path) -> None:
    (tmp_path / "ascii-chat").mkdir()
    (tmp_path / "ascii-chat" / "known_hosts").write_text(f"\n192.0.2.7:27224 x25519 {KEY.hex()} ascii-chat\n")
    done = run("forget", "192.0.2.7")
    assert done.return_value == 1, "it is still known"
    assert done.stdout.startswith("Forgot calls.invalid:27224 (192.0.2.7:27224): SHA256:")
    assert f"still known from {tmp_path}/ascii-chat/known_hosts, line 2" in done.stderr


def test_the_list_has_names_addresses_and_fingerprints(hosts: KnownHosts) -> None:
    rows = [line.split() for line in run("list").stdout.splitlines()]
    assert rows[0] == ["calls.invalid:27224", "192.0.2.7:27224", fingerprint(KEY)]
    assert rows[3] == ["-", "192.0.2.8:27224", fingerprint(OTHER)]
    assert rows[4] == ["-", "127.0.0.1:27224", "no", "identity"]
    assert len(rows) == 7


def test_without_servers_the_list_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", "")
    done = run("list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "No servers are known yet." in done.stderr
    assert "No servers are known yet." in run("forget", "example.invalid").stderr
