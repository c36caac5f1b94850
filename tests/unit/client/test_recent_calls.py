"""The list of recent calls on disk."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from teleglyph.client.recent_calls import MAX_CALLS, RecentCall, RecentCalls, recent_calls_file
from teleglyph.errors import UserError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "teleglyph" / "recent_calls.json"


def addresses(path: Path) -> list[str]:
    return [call.address for call in RecentCalls(path).entries()]


def test_the_newest_call_comes_first_and_each_only_once(path: Path) -> None:
    calls = RecentCalls(path)
    assert calls.entries() == []
    for when, address in enumerate(["example.org", "192.168.1.5:4000/team", "example.org"]):
        calls.add(address, "", when)
    assert RecentCalls(path).entries() == [
        RecentCall("example.org", "", 2),
        RecentCall("192.168.1.5:4000/team", "", 1),
    ]


def test_a_name_stays_until_there_is_another(path: Path) -> None:
    calls = RecentCalls(path)
    for name in ("Ann's laptop", ""):
        calls.add("192.168.1.5", name, 1.5)
    assert calls.entries() == [RecentCall("192.168.1.5", "Ann's laptop", 1)]
    calls.add("192.168.1.5", "Bob's laptop", 2)
    assert calls.entries() == [RecentCall("192.168.1.5", "Bob's laptop", 2)]


def test_old_calls_are_forgotten(path: Path) -> None:
    calls = RecentCalls(path)
    for number in range(MAX_CALLS + 5):
        calls.add(f"host{number}", "x" * 500, number)
    assert addresses(path) == [f"host{number}" for number in range(MAX_CALLS + 4, 4, -1)]


@pytest.mark.parametrize(
    "address",
    [
        "localhost",
        "LocalHost:4000",
        "127.0.0.1",
        "[::1]:4000",
        "fe80::1%2",
        "ws://localhost",
        "wss://example.org/call?token=secret",
        "https://example.org/team#i=AQBsecret",
        "user:secret@example.org",
        "x" * 400,
        "not an address",
    ],
)
def test_calls_on_this_machine_and_secrets_are_not_stored(path: Path, address: str) -> None:
    RecentCalls(path).add(address, "name", 1)
    assert not path.exists()


def test_only_the_owner_can_read_the_file(path: Path) -> None:
    RecentCalls(path).add("example.org", "", 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


GOOD = {"address": "example.org", "name": "", "when": 1}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"x" * (1 << 20),
        b"[]",
        b'{"version": 2, "calls": []}',
        b'{"version": 1, "calls": 5}',
        *(
            json.dumps({"version": 1, "calls": [{**GOOD, **change}]}).encode()
            for change in (
                {"address": 5},
                {"address": "localhost"},
                {"address": "\x1b[2J"},
                {"name": None},
                {"when": "1"},
                {"when": True},
                {"when": -1},
                {"when": 1 << 60},
            )
        ),
    ],
    ids=range(16),
)
def test_a_damaged_file_is_reported_and_replaced(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o600)
    calls = RecentCalls(path)
    assert calls.entries() == []
    assert calls.notice.startswith("The list of recent calls starts again: ")
    calls.add("example.org", "", 1)
    assert calls.entries() == [RecentCall("example.org", "", 1)]
    assert calls.notice == ""


def test_names_in_the_file_cannot_control_the_terminal(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 1, "calls": [{**GOOD, "name": "\x1b[2J" + "x" * 100}]}))
    path.chmod(0o600)
    [call] = RecentCalls(path).entries()
    assert "\x1b" not in call.name
    assert len(call.name) == 40


def test_a_file_that_others_can_read_is_not_believed(path: Path) -> None:
    RecentCalls(path).add("example.org", "", 1)
    path.chmod(0o644)
    calls = RecentCalls(path)
    assert calls.entries() == []
    assert "others can read it" in calls.notice


def test_a_link_in_place_of_the_file_is_not_followed(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    path.parent.mkdir()
    path.symlink_to(target)
    calls = RecentCalls(path)
    assert calls.entries() == []
    calls.add("example.org", "", 1)
    assert target.read_text() == "mine"
    assert calls.entries() == [RecentCall("example.org", "", 1)]


def test_clients_at_the_same_time_lose_no_calls_of_each_other(path: Path) -> None:
    program = (
        "import sys, pathlib; from teleglyph.client.recent_calls import RecentCalls\n"
        "calls = RecentCalls(pathlib.Path(sys.argv[1])); sys.stdin.readline()\n"
        "for number in range(10): calls.add(f'host{sys.argv[2]}-{number}', '', number)"
    )
    clients = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(number)], stdin=subprocess.PIPE)
        for number in range(4)
    ]
    for client in clients:
        client.communicate(b"\n")
    assert sorted(addresses(path)) == sorted(f"host{client}-{number}" for client in range(4) for number in range(10))


def test_a_directory_that_cannot_be_used_only_loses_the_list(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.write_text("not a directory")
    calls = RecentCalls(path)
    calls.add("example.org", "", 1)
    assert calls.entries() == []
    assert "Could not remember the call" in caplog.text


def test_forgetting_removes_the_file(path: Path) -> None:
    calls = RecentCalls(path)
    assert calls.forget() == 0
    for number in range(3):
        calls.add(f"host{number}", "", number)
    assert calls.forget() == 3
    assert not path.exists()


def test_a_list_that_cannot_be_forgotten_is_an_error(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(UserError, match=r"Cannot forget recent calls: .+\.$"):
        RecentCalls(path).forget()


def test_the_file_is_in_the_state_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert recent_calls_file() == tmp_path / "teleglyph" / "recent_calls.json"


def test_without_a_home_directory_nothing_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert recent_calls_file() is None
    calls = RecentCalls(None)
    calls.add("example.org", "", 1)
    assert calls.entries() == []
    assert os.environ.get("XDG_STATE_HOME") is None
