"""One server at a time uses a data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from teleglyph.errors import ConfigurationError, StoreError
from teleglyph.server.data_directory import default_data_directory, open_data_directory


def test_the_directory_is_created_for_its_user_only(tmp_path: Path) -> None:
    with open_data_directory(tmp_path / "a" / "b") as path:
        assert path == tmp_path / "a" / "b"
        assert path.stat().st_mode & 0o777 == 0o700
        assert [item.stat().st_mode & 0o777 for item in path.iterdir()] == [0o600]


def test_a_directory_in_use_is_refused_until_it_is_released(tmp_path: Path) -> None:
    with open_data_directory(tmp_path):
        with pytest.raises(StoreError) as refusal, open_data_directory(tmp_path):
            pytest.fail("it was opened twice")
        assert str(refusal.value) == (
            f"The data directory '{tmp_path}' is in use by another server. Stop it, choose another directory with "
            "--data-dir, or use --ephemeral."
        )
    with open_data_directory(tmp_path):
        pass


def test_a_failure_releases_the_directory(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_data_directory(tmp_path):
        raise ZeroDivisionError
    with open_data_directory(tmp_path):
        pass


def test_a_child_that_outlives_the_server_does_not_keep_the_lock(tmp_path: Path) -> None:
    with open_data_directory(tmp_path):
        command = [sys.executable, "-c", "print('ready', flush=True); input()"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
    try:
        assert child.stdout is not None
        child.stdout.readline()  # only now it has surely closed what it does not inherit
        with open_data_directory(tmp_path):
            pass
    finally:
        child.communicate(b"\n")


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nothing", "/proc/self"])
def test_a_directory_that_cannot_be_used_is_a_clear_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    before = os.listdir(tmp_path)
    with pytest.raises(ConfigurationError) as refusal, open_data_directory(tmp_path / place):
        pytest.fail("it was opened")
    assert f"Cannot write to the data directory '{tmp_path / place}': " in str(refusal.value)
    assert str(refusal.value).endswith(
        ". Choose another directory with --data-dir, or use --ephemeral to store nothing."
    )
    assert os.listdir(tmp_path) == before


@pytest.mark.parametrize("value", [None, "", "relative/path"])
def test_the_default_follows_the_specification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_data_directory() == tmp_path / "data" / "teleglyph"
    if value is None:
        monkeypatch.delenv("XDG_DATA_HOME")
    else:
        monkeypatch.setenv("XDG_DATA_HOME", value)
    assert default_data_directory() == tmp_path / ".local" / "share" / "teleglyph"


def test_a_user_without_a_home_directory_learns_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ConfigurationError, match=r"no home directory .* --data-dir, or use --ephemeral"):
        default_data_directory()
