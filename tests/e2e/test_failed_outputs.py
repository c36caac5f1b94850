"""A command that cannot write its output ends with at most one sentence, never with a traceback."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ServerProcess
from teleglyph.wire.nostr.event import sign_event

_OUTPUT_FAILED = 105
_SNAPSHOT = ("--snapshot", "--snapshot-delay", "0", "--width", "40", "--height", "10")
_COMMANDS = {
    "help": ("--help",),
    "help of a command": ("client", "--help"),
    "version": ("--version",),
    "cameras": ("--list-webcams",),
    "microphones": ("--list-microphones",),
    "loudspeakers": ("--list-speakers",),
    "capabilities": ("--show-capabilities",),
    "files of the configuration": ("config", "path"),
    "check of the configuration": ("config", "check"),
    "the configuration": ("config", "show"),
    "a new configuration": ("config", "create", "-"),
    "a picture of the mirror": ("mirror", "--test-pattern", *_SNAPSHOT),
    "the mirror": ("mirror", "--test-pattern", "--width", "40", "--height", "10"),
    "a new key": ("keygen", "--no-passphrase", "KEY"),
    "known hosts": ("known-hosts", "list"),
}
_SILENT = {"known hosts"}
"""Commands that may have nothing to print."""


def _run(words: tuple[str, ...], ending: str, home: Path) -> subprocess.CompletedProcess[str]:
    words = tuple(str(home / "key") if word == "KEY" else word for word in words)
    return subprocess.run(
        ["bash", "-c", f'"$@" {ending}', "-", sys.executable, "-m", "teleglyph", *words],
        env={**os.environ, "XDG_CONFIG_HOME": str(home), "TERM": "xterm"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("name", _COMMANDS)
@pytest.mark.parametrize("ending", [">/dev/full", ">&-"])
def test_a_full_disk_or_a_closed_output_is_reported_in_one_line(name: str, ending: str, tmp_path: Path) -> None:
    done = _run(_COMMANDS[name], ending, tmp_path)
    lines = [line for line in done.stderr.splitlines() if "standard output" in line]
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if name not in _SILENT:
        assert done.returncode == _OUTPUT_FAILED, done.stderr
        assert len(lines) == 1, done.stderr


@pytest.mark.parametrize("name", _COMMANDS)
def test_a_reader_that_leaves_ends_a_command_quietly(name: str, tmp_path: Path) -> None:
    done = _run(_COMMANDS[name], "| true; exit ${PIPESTATUS[0]}", tmp_path)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "standard output" not in done.stderr
    assert done.returncode in (0, 1), done.stderr


@pytest.mark.parametrize("ending", [">/dev/full", ">&-"])
@pytest.mark.parametrize("options", [_SNAPSHOT, ("--width", "40", "--height", "10")])
def test_a_call_whose_frames_cannot_be_written_ends(
    start_server: Callable[..., ServerProcess], ending: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    server = start_server()
    words = ("client", f"127.0.0.1:{server.port}", "--accept-new-server", "--test-pattern", "--no-audio", *options)
    done = _run(words, ending, tmp_path)
    assert "Traceback" not in done.stderr
    assert done.returncode == _OUTPUT_FAILED, done.stderr


@pytest.mark.parametrize("target", ["> /dev/full", ">&-", "/dev/full"])
def test_a_failed_export_names_its_destination(target: str, tmp_path: Path) -> None:
    event = sign_event(secrets.token_bytes(32), int(time.time()), 1, [], "hello")
    command = [sys.executable, "-m", "teleglyph", "events"]
    subprocess.run([*command, "import", "--data-dir", tmp_path], input=event.text, check=True, timeout=60)
    done = _run(("events", "export", "--data-dir", str(tmp_path)), target, tmp_path)
    where = "'/dev/full'" if target == "/dev/full" else "standard output"
    assert done.returncode == _OUTPUT_FAILED
    assert f"Cannot write to {where}: " in done.stderr
    assert "Traceback" not in done.stderr
