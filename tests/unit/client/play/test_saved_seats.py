"""Seats on disk, in real directories, with real locks and processes."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from teleglyph.client.play.saved_seats import MAX_SEATS, SLACK, SavedSeat, SeatFile, seats_directory
from teleglyph.errors import SeatRefusedError

SEAT = SavedSeat(0x0123_4567_89AB_CDEF, is_confirmed=True, grace=30.0, state={"board": "00"})


def seat_file(directory: Path, room: str = "table", role: str = "guest") -> SeatFile:
    file = SeatFile(directory, "ws://here/rooms", "four", room, role)
    file.open()
    return file


def only_file(directory: Path) -> Path:
    (path,) = directory.glob("*.json")
    return path


def test_a_saved_seat_can_be_loaded_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "seats"
    first = seat_file(directory)
    assert first.load() is None
    assert first.save(SEAT)
    first.close()
    again = seat_file(directory)
    assert again.load() == SEAT
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    again.remove()
    again.close()
    assert list(directory.iterdir()) == []
    assert "0123" not in repr(SEAT)
    assert str(SEAT.token) not in repr(SEAT)


def test_seats_do_not_mix(tmp_path: Path) -> None:
    files = [seat_file(tmp_path, room, role) for room in ("a", "b") for role in ("host", "guest")]
    for number, file in enumerate(files):
        file.save(SavedSeat(number, is_confirmed=True, grace=1.0, state={}))
    for number, file in enumerate(files):
        loaded = file.load()
        assert loaded is not None
        assert loaded.token == number
        file.close()


def test_a_second_process_is_refused_the_seat_and_learns_who_has_it(tmp_path: Path) -> None:
    first = seat_file(tmp_path)
    first.save(SEAT)
    with pytest.raises(SeatRefusedError, match=rf"already playing at 'table' as guest .*process {os.getpid()}\)"):
        seat_file(tmp_path)
    first.close()
    seat_file(tmp_path).close()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, time; from teleglyph.client.play.saved_seats import SavedSeat, SeatFile\n"
        "f = SeatFile(pathlib.Path(sys.argv[1]), 'ws://here/rooms', 'four', 'table', 'guest'); f.open()\n"
        "f.save(SavedSeat(5, True, 30.0, {})); print('there', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    with pytest.raises(SeatRefusedError):
        seat_file(tmp_path)
    process.kill()
    process.wait()
    process.stdout.close()
    file = seat_file(tmp_path)
    loaded = file.load()
    assert loaded is not None
    assert loaded.token == 5
    file.close()


def _changed(**changes: object) -> bytes:
    content = {
        "version": 1,
        "server": "ws://here/rooms",
        "game": "four",
        "room": "table",
        "role": "guest",
        "token": "secret5ecret5ecr",
        "is_confirmed": True,
        "grace": 30.0,
        "state": {},
    }
    return json.dumps({**content, **changes}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 60_000,
        b" " * 70_000,
        _changed(),
        _changed(token="12"),
        _changed(token=5),
        _changed(token="0" * 16, version=2),
        _changed(token="0" * 16, room="other"),
        _changed(token="0" * 16, grace="x"),
        _changed(token="0" * 16, grace=-1),
        _changed(token="0" * 16, grace=1e300),
        _changed(token="0" * 16, state=[]),
        _changed(token="0" * 16, is_confirmed="yes"),
    ],
)
def test_damaged_files_are_ignored_with_a_reason_and_without_their_secrets(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = seat_file(tmp_path)
    file.save(SEAT)
    only_file(tmp_path).write_bytes(content)
    with caplog.at_level(logging.DEBUG):
        assert file.load() is None
    assert "Ignored the saved seat " in caplog.text
    assert "5ecret" not in caplog.text
    assert file.save(SEAT)
    assert file.load() == SEAT
    file.close()


def test_files_that_others_could_have_made_are_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = seat_file(tmp_path)
    file.save(SEAT)
    path = only_file(tmp_path)
    path.chmod(0o644)
    assert file.load() is None
    path.chmod(0o600)
    assert file.load() == SEAT
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert file.load() is None
    path.unlink()
    os.mkfifo(path, 0o600)
    assert file.load() is None, "and it does not wait for a writer"
    assert caplog.text.count("Ignored the saved seat ") == 3
    file.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_and_directories_of_other_users_are_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = seat_file(tmp_path / "seats")
    file.save(SEAT)
    os.chown(only_file(tmp_path / "seats"), 12345, 12345)
    assert file.load() is None
    file.close()
    os.chown(tmp_path / "seats", 12345, 12345)
    other = seat_file(tmp_path / "seats")
    assert not other.save(SEAT)
    assert other.load() is None
    other.close()
    assert caplog.text.count("belongs to") == 2


def test_without_a_directory_nothing_is_saved(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("not a directory")
    for directory in (tmp_path / "file", tmp_path / "file" / "seats"):
        file = seat_file(directory)
        assert file.load() is None
        assert not file.save(SEAT)
        file.touch()
        file.remove()
        file.close()
    assert caplog.text.count("Seats are not saved: ") == 2


def test_seats_are_in_the_state_directory_or_nowhere_without_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "here"))
    assert seats_directory() == tmp_path / "here" / "teleglyph" / "seats"
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_STATE_HOME", ignored)
        assert seats_directory() == tmp_path / ".local" / "state" / "teleglyph" / "seats"
    file = SeatFile(None, "ws://here/rooms", "four", "table", "guest")
    file.open()
    assert not file.save(SEAT)
    assert file.load() is None
    file.close()
    assert "no home directory" in caplog.text


def test_an_open_directory_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "seats").mkdir(mode=0o755)
    seat_file(tmp_path / "seats").close()
    assert stat.S_IMODE((tmp_path / "seats").stat().st_mode) == 0o700


def age(path: Path, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(path, (at, at))


def test_expired_seats_are_removed_and_those_in_use_stay(tmp_path: Path) -> None:
    old = seat_file(tmp_path, "old")
    old.save(SEAT)
    age(only_file(tmp_path), SEAT.grace + SLACK + 5)
    old.close()
    used = seat_file(tmp_path, "used")
    assert used.save(SEAT)
    (path,) = tmp_path.glob("*.json")
    age(path, 100_000)
    young = seat_file(tmp_path, "young")
    young.save(SEAT)
    young.close()
    seat_file(tmp_path, "new").close()
    rooms = {json.loads(path.read_text())["room"] for path in tmp_path.glob("*.json")}
    assert rooms == {"used", "young"}
    used.close()
    assert len(list(tmp_path.glob("*.lock"))) <= 2


def test_the_number_of_saved_seats_is_bounded(tmp_path: Path) -> None:
    for number in range(MAX_SEATS + 10):
        file = seat_file(tmp_path, f"room {number}")
        file.save(SEAT)
        for path in tmp_path.glob("*.json"):
            if json.loads(path.read_text())["room"] == f"room {number}":
                age(path, 40.0 - number / 2)
        file.close()
    assert len(list(tmp_path.glob("*.json"))) == MAX_SEATS
    rooms = {json.loads(path.read_text())["room"] for path in tmp_path.glob("*.json")}
    assert "room 0" not in rooms
    assert f"room {MAX_SEATS + 9}" in rooms


def test_a_half_written_file_of_a_killed_process_does_no_harm(tmp_path: Path) -> None:
    file = seat_file(tmp_path)
    file.save(SEAT)
    only_file(tmp_path).with_suffix(".new").write_text('{"version": 1, "tok')
    assert file.load() == SEAT
    changed = SavedSeat(1, is_confirmed=True, grace=1.0, state={})
    assert file.save(changed)
    assert file.load() == changed
    file.close()
