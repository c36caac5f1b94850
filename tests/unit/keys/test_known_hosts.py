"""Known hosts."""

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


def test_a_server_with_an_identity_must_prove_it_again(hosts: KnownHosts) -> None:
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


def test_the_file_has_the_specified_form_and_is_private(hosts: KnownHosts) -> None:
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
    assert hosts.forget(HERE) == []
    assert theirs.read_bytes() == before


def test_forgetting_a_server_keeps_the_others(hosts: KnownHosts) -> None:
    hosts.own.parent.mkdir()
    hosts.own.write_text(f"# mine\n{HERE} x25519 {KEY.hex()} a\n{THERE} x25519 {KEY.hex()} b")
    hosts.add(HERE, OTHER)
    assert [(entry.line, entry.identity) for entry in hosts.forget(HERE)] == [(2, KEY), (4, OTHER)]
    assert hosts.own.read_text() == f"# mine\n{THERE} x25519 {KEY.hex()} b\n"
    assert hosts.forget(HERE) == []
    assert hosts.judge(HERE, OTHER)[0] is Verdict.NEW


def test_an_unwritable_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match=r"Cannot write .*file exists\.$"):
        KnownHosts(tmp_path / "file" / "known_hosts", []).add(HERE, KEY)
    assert KnownHosts(tmp_path / "none", []).forget(HERE) == []


def test_the_typed_name_is_stored_where_other_programs_ignore_it(hosts: KnownHosts) -> None:
    hosts.add(HERE, KEY, "example.org:27224")
    assert hosts.own.read_text() == f"{HERE} x25519 {KEY.hex()} teleglyph name=example.org:27224\n"
    assert [entry.name for entry in hosts.entries()] == ["example.org:27224"]
    # What ascii-chat's programs read from a line: three words.
    assert hosts.own.read_text().split()[:3] == [HERE, "x25519", KEY.hex()]
    hosts.add(THERE, KEY, THERE)
    assert hosts.own.read_text().splitlines()[1].endswith(" teleglyph"), "an address is not repeated as a name"


@pytest.mark.parametrize(
    "name",
    ["a b:1", "x\ny:1", "\x1b[31mred:1", "a" * 300 + ":1", "", "name=x:1", "\u202ebad:1", "# evil:1", "\udcff:1"],
)
def test_a_harmful_name_is_not_written(hosts: KnownHosts, name: str) -> None:
    hosts.add(HERE, KEY, name)
    assert hosts.own.read_text() == f"{HERE} x25519 {KEY.hex()} teleglyph\n"


@pytest.mark.parametrize(
    "comment",
    ["", "ann", "name=", "name=\x1b[2J", "name=" + "a" * 400, "teleglyph name=a name=b", "x name=münchen.example:1 y"],
)
def test_any_comment_is_accepted(hosts: KnownHosts, comment: str) -> None:
    hosts.own.parent.mkdir()
    hosts.own.write_text(f"{HERE} x25519 {KEY.hex()} {comment}\n")
    (entry,) = hosts.entries()
    assert (entry.address, entry.identity) == (HERE, KEY)
    assert entry.name in ("", "a", "münchen.example:1")


def test_more_names_of_a_server_are_added_up_to_a_limit(hosts: KnownHosts, tmp_path: Path) -> None:
    hosts.add(HERE, KEY, "one.example:27224")
    for number in range(20):
        for _ in range(2):
            hosts.add_name(hosts.judge(HERE, KEY)[1], f"other{number}.example:27224")
    names = [entry.name for entry in hosts.entries()]
    assert names == ["one.example:27224", *(f"other{number}.example:27224" for number in range(7))]
    assert hosts.judge(HERE, KEY)[0] is Verdict.KNOWN
    hosts.add_name(hosts.judge(HERE, KEY)[1], HERE)
    assert len(list(hosts.entries())) == 8


def test_trust_in_ascii_chats_file_is_not_copied_into_ours(hosts: KnownHosts, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text(f"{HERE} x25519 {KEY.hex()} ascii-chat\n")
    hosts.add_name(hosts.judge(HERE, KEY)[1], "example.org:27224")
    assert not hosts.own.exists()


def test_bytes_that_are_not_text_survive_forgetting(hosts: KnownHosts) -> None:
    hosts.own.parent.mkdir()
    other = f"{THERE} x25519 {KEY.hex()} caf".encode() + b"\xe9\n"
    hosts.own.write_bytes(f"{HERE} x25519 {KEY.hex()} a\n".encode() + other)
    assert len(hosts.forget(HERE)) == 1
    assert hosts.own.read_bytes() == other


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "crlf"])
def test_known_servers_stay_known_after_editing_the_file(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "known_hosts"
    hosts = KnownHosts(path, [])
    hosts.add("10.0.0.1:27224", KEY, "one.example:27224")
    text = "# m\u00fcller\n" + path.read_text()
    if encoding == "crlf":
        path.write_bytes(text.replace("\n", "\r\n").encode().removesuffix(b"\r\n"))
    else:
        path.write_bytes(text.encode(encoding))
    assert hosts.judge("10.0.0.1:27224", KEY)[0] is Verdict.KNOWN
    hosts.add("10.0.0.2:27224", None)
    assert [entry.address for entry in hosts.entries()] == ["10.0.0.1:27224", "10.0.0.2:27224"]
    assert [entry.name for entry in hosts.forget("10.0.0.1:27224")] == ["one.example:27224"]
    assert [entry.address for entry in hosts.entries()] == ["10.0.0.2:27224"]
    assert path.stat().st_mode & 0o077 == 0


def test_bytes_that_are_not_text_do_not_make_a_server_new(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    hosts = KnownHosts(path, [])
    hosts.add("10.0.0.1:27224", KEY)
    path.write_bytes(b"# caf\xe9 \x00\n" + path.read_bytes())
    assert hosts.judge("10.0.0.1:27224", KEY)[0] is Verdict.KNOWN
