"""Commands that cannot write their frames: full disks, readers that leave, closed outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from films import make_film

TELEGLYPH = [sys.executable, "-m", "teleglyph"]
SIZE = ["-x", "30", "-y", "8"]


@pytest.fixture(params=["pattern", "pattern once", "film", "film once", "call once"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Commands that write frame after frame, or one; a film of three pictures is over as soon as it begins."""
    if request.param == "call once":
        return [*TELEGLYPH, "demo", "--snapshot", "-D", "0", *SIZE]
    film = make_film(tmp_path / "film.mp4", [(250, 20, 20)] * 3)
    source = ["--test-pattern"] if "pattern" in request.param else [str(film)]
    once = ["--snapshot", "-D", "0"] if "once" in request.param else []
    return [*TELEGLYPH, "mirror", *source, *once, *SIZE]


def run(command: list[str], output: int) -> tuple[int, bytes]:
    done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60)
    return done.returncode, done.stderr


def test_a_full_disk_is_one_line_and_code_105(command: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        code, errors = run(command, full.fileno())
    assert (code, errors) == (105, b"teleglyph: Cannot write to standard output: no space left on device.\n")


def test_a_reader_that_leaves_ends_the_command_quietly(command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run(command, writer) == (0, b"")
    finally:
        os.close(writer)


def test_a_closed_output_is_one_line_and_code_105(command: list[str]) -> None:
    code, errors = run(["sh", "-c", '"$@" >&-', "sh", *command], subprocess.DEVNULL)
    assert (code, errors) == (105, b"teleglyph: Cannot write to standard output: bad file descriptor.\n")
