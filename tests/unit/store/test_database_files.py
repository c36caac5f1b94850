"""The files of a SQLite database: permissions, and whether written data can be found again."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from teleglyph.errors import StoreError
from teleglyph.store import open_database

ADD = "INSERT INTO records (room_id, round, game, room, started_at, instance) VALUES (?, 1, 'g', 'r', 0, 1)"


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def test_only_the_owner_can_read_the_files_with_any_directory_and_umask(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    old = os.umask(0)
    try:
        database = open_database(tmp_path / "base", 1)
        database.write(lambda base: base.run(ADD, "x")).result(10)
        database.read(lambda base: base.run("SELECT 1 FROM records")).result(10)
        names = ("base", "base-wal", "base-shm", "base.lock")
        assert modes(tmp_path) == dict.fromkeys(names, 0o600)
        database.close()
    finally:
        os.umask(old)
    (tmp_path / "base").chmod(0o644)  # as created by earlier versions
    database = open_database(tmp_path / "base", 1)
    assert set(modes(tmp_path).values()) == {0o600}
    database.close()


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


@pytest.mark.parametrize("happens", [remove, replace, move])
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_writes_that_cannot_be_found_again_are_not_acknowledged(
    tmp_path: Path, happens: Callable[[Path], None], suffix: str
) -> None:
    database = open_database(tmp_path / "base", 1)
    database.write(lambda base: base.run(ADD, "before")).result(10)
    database.read(lambda base: base.run("SELECT 1")).result(10)
    assert database.health() is None
    happens(tmp_path / f"base{suffix}")
    assert "removed or replaced" in (database.health() or "")
    for _ in range(3):
        with pytest.raises(StoreError, match="removed or replaced"):
            database.write(lambda base: base.run(ADD, "after")).result(10)
    with pytest.raises(StoreError, match="removed or replaced"):
        database.probe().result(10)
    database.close()


def test_a_deleted_directory_is_detected(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    database = open_database(tmp_path / "data" / "base", 1)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="removed or replaced"):
        database.write(lambda base: base.run(ADD, "after")).result(10)
    database.close()
