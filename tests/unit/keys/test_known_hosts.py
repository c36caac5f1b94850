"""What is remembered of servers."""

from pathlib import Path

import pytest

from teleglyph.errors import KeyFileError
from teleglyph.keys import KnownHosts
from teleglyph.keys.known_hosts import Verdict

KEY, OTHER = bytes(range(32)), bytes(range(100, 132))
HERE, THERE = "192.0.2.7:27224", "[2001:db8::1]:27224"


@pytest.fixture
def hosts(tmp_path: Path) -> KnownHosts:
    return KnownHosts(tmp_path / "ours" / "known_hosts", [tmp_path / "theirs"])


def test_a_server_is_new_then_known_then_changed(hosts: KnownHosts) -> None:
    assert hosts.judge(HERE, KEY)[0] is Verdict.NEW
    hosts.add(HERE, KEY)
    assert hosts.judge(HERE, KEY)[0] is Verdict.KNOWN
    verdict, entries = hosts.judge(HERE, OTHER)
    assert verdict is Verdict.CHANGED
    assert entries[0].identity == KEY
    assert entries[0].place.endswith("known_hosts, line 1")
    assert hosts.judge(THERE, KEY)[0] is Verdict.NEW


def test_who_showed_an_identity_must_show_it_again(hosts: KnownHosts) -> None:
    hosts.add(HERE, KEY)
    assert hosts.judge(HERE, None)[0] is Verdict.CHANGED
    hosts.add(HERE, None)
    assert hosts.judge(HERE, None)[0] is Verdict.CHANGED
    hosts.add(THERE, None)
    assert hosts.judge(THERE, None)[0] is Verdict.KNOWN
    assert hosts.judge(THERE, KEY)[0] is Verdict.CHANGED


def test_several_keys_may_be_known_of_one_server(hosts: KnownHosts) -> None:
    hosts.add(HERE, KEY)
    hosts.add(HERE, OTHER)
    assert hosts.judge(HERE, KEY)[0] is hosts.judge(HERE, OTHER)[0] is Verdict.KNOWN


def test_the_file_is_that_of_the_specification_and_private(hosts: KnownHosts) -> None:
    hosts.add(HERE, KEY)
    hosts.add(THERE, None)
    assert hosts.own.read_text() == (
        f"{HERE} x25519 {KEY.hex()} teleglyph\n{THERE} no-identity {'00' * 32} teleglyph\n"
    )
    assert oct(hosts.own.stat().st_mode)[-3:] == "600"
    assert oct(hosts.own.parent.stat().st_mode)[-3:] == "700"


def test_the_file_of_ascii_chat_is_read_and_never_written(hosts: KnownHosts, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text(f"# a comment\n\n{HERE} x25519 {KEY.hex()} ascii-chat\nbroken line\n{HERE} x25519 zz x\n")
    assert hosts.judge(HERE, KEY)[0] is Verdict.KNOWN
    assert hosts.judge(HERE, OTHER)[0] is Verdict.CHANGED
    before = theirs.read_bytes()
    hosts.add(THERE, KEY)
    assert hosts.forget(HERE) == 0
    assert theirs.read_bytes() == before


def test_a_server_can_be_forgotten_and_the_others_stay(hosts: KnownHosts) -> None:
    hosts.own.parent.mkdir()
    hosts.own.write_text(f"# mine\n{HERE} x25519 {KEY.hex()} a\n{THERE} x25519 {KEY.hex()} b")
    hosts.add(HERE, OTHER)
    assert hosts.forget(HERE) == 2
    assert hosts.own.read_text() == f"# mine\n{THERE} x25519 {KEY.hex()} b\n"
    assert hosts.forget(HERE) == 0
    assert hosts.judge(HERE, OTHER)[0] is Verdict.NEW


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="cannot be written"):
        KnownHosts(tmp_path / "file" / "known_hosts", []).add(HERE, KEY)
    assert KnownHosts(tmp_path / "none", []).forget(HERE) == 0
