"""Records in a real file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from teleglyph.errors import ConfigurationError
from teleglyph.store import Record, RecordStore


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_round_is_opened_finished_and_followed_by_the_next(tmp_path: Path, clock: Clock) -> None:
    store = RecordStore(tmp_path / "r.sqlite3", clock)
    store.opened("id", "chess", "lobby")
    clock.now = 1010
    first = store.result("id", '{"moves": 40}', {0: "win", 1: "loss", 2: None}).result()
    clock.now = 1020
    second = store.result("id", "null", {0: None}).result()
    clock.now = 1030
    store.closed("id", "the host ended it")
    assert first is not None
    assert second is not None
    assert store.record(first).result() == Record(
        first, "chess", "lobby", 1000, 1010, "the host gave a result", '{"moves": 40}', {0: "win", 1: "loss", 2: None}
    )
    assert store.record(second).result() == Record(
        second, "chess", "lobby", 1010, 1020, "the host gave a result", "null", {0: None}
    )
    assert store.record(second + 1).result() == Record(
        second + 1, "chess", "lobby", 1020, 1030, "the host ended it", None
    )
    assert store.record(99).result() is None
    assert store.result("id", "1", {}).result() is None, "a room that is over has no results"
    store.close()


def test_rooms_of_equal_names_do_not_mix(tmp_path: Path, clock: Clock) -> None:
    store = RecordStore(tmp_path / "r.sqlite3", clock)
    store.opened("one", "chess", "lobby")
    store.closed("one", "over")
    store.opened("two", "chess", "lobby")
    store.closed("one", "late")
    two = store.record(2).result()
    assert two is not None
    assert two.ended_at is None
    one = store.record(1).result()
    assert one is not None
    assert one.end_reason == "over"
    store.close()


def test_what_a_killed_process_left_open_is_closed_at_the_next_start(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "r.sqlite3"
    program = (
        "import sys, time; from pathlib import Path; from teleglyph.store import RecordStore\n"
        f"store = RecordStore(Path({str(path)!r}))\n"
        "for number in range(100): store.opened(str(number), 'g', 'r')\n"
        "for number in range(40): store.closed(str(number), 'over')\n"
        "print(store.result('99', '1', {0: 'win'}).result(), flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "100\n"
        os.kill(process.pid, signal.SIGKILL)
    clock.now = 9e9
    store = RecordStore(path, clock)
    for number in (1, 41, 100, 101):
        record = store.record(number).result()
        assert record is not None
        expected = {1: "over", 41: "the server stopped", 100: "the host gave a result", 101: "the server stopped"}
        assert record.end_reason == expected[number]
        assert record.ended_at is not None
    store.close()
    base = sqlite3.connect(path)
    assert base.execute("SELECT count(*) FROM records WHERE ended_at IS NULL").fetchone() == (0,)
    base.close()


def test_a_file_that_is_none_or_of_the_future_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"this is no database" * 100)
    with pytest.raises(ConfigurationError, match="not a database"):
        RecordStore(tmp_path / "junk")
    RecordStore(tmp_path / "new").close()
    base = sqlite3.connect(tmp_path / "new")
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(ConfigurationError, match="newer version"):
        RecordStore(tmp_path / "new")
    with pytest.raises(ConfigurationError, match="unable to open"):
        RecordStore(tmp_path / "nowhere" / "file")
