"""Invitations on the server: which are revoked, also while the list changes."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from teleglyph.errors import InvitationError, StoreError
from teleglyph.keys import FileIdentity
from teleglyph.server.invitations import MAX_REVOKED, REVOKED_FILE, Admitted, Invitations, RevocationList, Revoked
from teleglyph.wire.invitation import Invitation

SERVER, SECOND = FileIdentity(b"s" * 32), FileIdentity(b"t" * 32)
NOW = int(time.time())


def issue(room: str = "", *, issued: int = NOW, expires: int = NOW + 3600, number: int = 1) -> Invitation:
    return Invitation.issue(SERVER, room, issued, expires, lambda size: number.to_bytes(size, "big"))


def revoke(directory: Path, *invitations: Invitation) -> None:
    found = {one.id.hex(): one.expires for one in invitations}
    RevocationList(directory).change(lambda before: replace(before, ids={**before.ids, **found}))


def is_admitted(server: Invitations, invitation: Invitation) -> bool:
    try:
        server.admit(invitation.text, invitation.room)
    except InvitationError as error:
        assert "revoked" in str(error)
        return False
    return True


def test_it_says_what_an_invitation_allows() -> None:
    shown = Invitation.issue(SECOND, "den", NOW, NOW + 60, lambda size: b"\xab" * size, view_only=True)
    server = Invitations([SERVER, SECOND], None, lambda: NOW)
    assert server.admit(shown.text, "Den") == Admitted("den", True, "ab" * 8, NOW + 60)
    with pytest.raises(InvitationError, match="another room"):
        server.admit(shown.text, "")
    with pytest.raises(InvitationError, match="expired"):
        Invitations([SERVER, SECOND], None, lambda: NOW + 60).admit(shown.text, "den")


def test_without_an_identity_there_are_none() -> None:
    server = Invitations([], None)
    assert not server.are_possible
    with pytest.raises(InvitationError, match="another server"):
        server.admit(issue().text, "")


def test_a_revoked_one_is_refused_from_then_on(tmp_path: Path) -> None:
    server = Invitations([SERVER], tmp_path)
    first, second = issue(number=1), issue(number=2)
    assert is_admitted(server, first)
    revoke(tmp_path, first)
    assert (is_admitted(server, first), is_admitted(server, second)) == (False, True)
    revoke(tmp_path, second)
    assert (is_admitted(server, first), is_admitted(server, second)) == (False, False)
    (tmp_path / REVOKED_FILE).unlink()
    assert is_admitted(server, first)


def test_all_up_to_a_time_can_be_revoked(tmp_path: Path) -> None:
    server = Invitations([SERVER], tmp_path)
    RevocationList(tmp_path).change(lambda _: Revoked(NOW))
    assert not is_admitted(server, issue(issued=NOW - 1))
    assert not is_admitted(server, issue(issued=NOW))
    assert is_admitted(server, issue(issued=NOW + 1))


def test_entries_are_dropped_when_their_invitation_has_expired(tmp_path: Path) -> None:
    revoke(tmp_path, issue(number=1, expires=NOW - 1), issue(number=2, expires=0), issue(number=3))
    assert RevocationList(tmp_path).read().ids == {issue(number=2).id.hex(): 0, issue(number=3).id.hex(): NOW + 3600}


def test_the_file_is_private_and_replaced_whole(tmp_path: Path) -> None:
    revoke(tmp_path, issue(number=1))
    path = tmp_path / REVOKED_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open("rb") as before:
        old = before.read()
        revoke(tmp_path, issue(number=2))
        before.seek(0)
        assert before.read() == old
    assert json.loads(path.read_bytes())["ids"].keys() == {issue(number=one).id.hex() for one in (1, 2)}
    assert sorted(os.listdir(tmp_path)) == [REVOKED_FILE, "revoked.lock"]


def test_commands_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Each is a process of its own, as commands are."""
    program = (
        "import sys; from dataclasses import replace; from pathlib import Path\n"
        "from teleglyph.server.invitations import RevocationList\n"
        "for number in range(8):\n"
        "    one = f'{int(sys.argv[2]) * 8 + number:016x}'\n"
        "    RevocationList(Path(sys.argv[1])).change(lambda old: replace(old, ids={**old.ids, one: 0}))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(number)]) for number in range(3)]
    server, shown = Invitations([SERVER], tmp_path), issue(number=9999)
    while any(one.poll() is None for one in running):
        assert is_admitted(server, shown), "the list can be read at any time"
    assert [one.returncode for one in running] == [0, 0, 0]
    assert RevocationList(tmp_path).read().ids.keys() == {f"{number:016x}" for number in range(24)}


def test_threads_that_check_while_the_list_changes_see_each_state(tmp_path: Path) -> None:
    server, shown, done = Invitations([SERVER], tmp_path), issue(number=5), threading.Event()
    seen: list[bool] = []

    def check() -> None:
        while not done.is_set():
            seen.append(is_admitted(server, shown))

    checker = threading.Thread(target=check)
    checker.start()
    revoke(tmp_path, issue(number=1))
    revoke(tmp_path, shown)
    assert not is_admitted(server, shown)
    done.set()
    checker.join()
    assert seen == sorted(seen, reverse=True), "once revoked, it stays so"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"until": 0}',
        '{"until": "x", "ids": {}}',
        '{"until": -1, "ids": {}}',
        '{"until": true, "ids": {}}',
        '{"until": 0, "ids": ["00"]}',
        '{"until": 0, "ids": {"00": 0}}',
        '{"until": 0, "ids": {"000000000000000G": 0}}',
        '{"until": 0, "ids": {"0000000000000001": "never"}}',
        '{"until": 0, "ids": {}}' + " " * (1 << 20),
    ],
)
def test_a_damaged_list_admits_nobody(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    server = Invitations([SERVER], tmp_path)
    (tmp_path / REVOKED_FILE).write_text(content)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            with pytest.raises(InvitationError, match="cannot check invitations at the moment"):
                server.admit(issue().text, "")
    assert len(caplog.records) == 1, "it is logged once"
    with pytest.raises(StoreError, match="damaged"):
        revoke(tmp_path, issue())
    RevocationList(tmp_path).change(lambda _: Revoked(NOW), replaces_damaged=True)
    assert is_admitted(server, issue(issued=NOW + 1))
    assert not is_admitted(server, issue())


def test_the_list_does_not_grow_without_end(tmp_path: Path) -> None:
    full = Revoked(0, {f"{number:016x}": 0 for number in range(MAX_REVOKED)})
    RevocationList(tmp_path).change(lambda _: full)
    with pytest.raises(StoreError, match="--revoke-all"):
        revoke(tmp_path, issue(number=MAX_REVOKED))
    assert RevocationList(tmp_path).read() == full


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Cannot write"):
        revoke(tmp_path / "missing", issue())
