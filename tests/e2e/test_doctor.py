"""The whole command ``teleglyph doctor``: in terminals, in pipes, against real servers, and with broken set-ups."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import ServerProcess, run_program
from pseudo_terminal import PseudoTerminal

COMMAND = [sys.executable, "-m", "teleglyph"]
PROBLEMS = 66
LOCAL = ["--no-network"]
NAMES = [
    "terminal-type",
    "terminal-size",
    "terminal-colors",
    "terminal-characters",
    "locale",
    "camera",
    "microphone",
    "speakers",
    "disk",
    "data-directory",
    "client-key",
    "known-hosts",
    "ipv4",
    "ipv6",
    "clock",
    "server",
    "certificate",
    "nat",
    "port-mapping",
    "discovery-service",
    "port-from-outside",
]


def environment(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "TMUX", "STY"))}
    home.chmod(0o700)
    return kept | {"XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home), "LC_ALL": "C.UTF-8"} | variables


def examine(home: Path, *options: str, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code and the checks of ``doctor --json``, by their names."""
    done = run_program("doctor", "--json", *options, seconds=90, environment=environment(home, **variables))
    assert not done.stderr
    checks = json.loads(done.stdout)["checks"]
    assert [check["name"] for check in checks] == NAMES
    return done.returncode, {check["name"]: check for check in checks}


def in_terminal(home: Path, *options: str, column: int = 2, **variables: str) -> tuple[int, PseudoTerminal]:
    """Run the doctor in a terminal whose cursor is in this column after a block."""
    answered = 0

    def answer(written: bytes) -> bytes:
        nonlocal answered
        asked = written.count(b"\x1b[c")
        if asked == answered:
            return b""
        answered = asked
        return (f"\x1b[5;{column}R".encode() if b"\x1b[6n" in written else b"") + b"\x1b[?62;22c"

    terminal = PseudoTerminal(100, 70, answer)
    process = subprocess.Popen(
        [*COMMAND, "doctor", *LOCAL, *options],
        stdin=terminal.fd,
        stdout=terminal.fd,
        stderr=terminal.fd,
        env=environment(home, **({"TERM": "xterm-256color", "COLORTERM": "truecolor"} | variables)),
        start_new_session=True,
    )
    code = process.wait(90)
    terminal.wait_for(lambda: any(re.search(r"problems?, ", row) for row in terminal.rows))
    return code, terminal


def row_of(terminal: PseudoTerminal, title: str) -> str:
    return next(row for row in terminal.rows if f"  {title}  " in row)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


# --- in a terminal ------------------------------------------------------------------------------------------------


def test_in_a_good_terminal(tmp_path: Path) -> None:
    code, terminal = in_terminal(tmp_path)
    try:
        assert row_of(terminal, "characters").endswith("UTF-8, blocks are one column wide.")
        assert row_of(terminal, "terminal size") == "ok       terminal size      100 columns, 70 rows."
        assert row_of(terminal, "colours").endswith("truecolor (COLORTERM=truecolor).")
        assert b"\x1b[32mok\x1b[m" in terminal.written
        # The block that was measured is gone.
        assert "▀" not in "".join(terminal.rows)
        assert "→".encode() in terminal.written
        assert code == 0
    finally:
        terminal.close()


def test_wide_blocks_are_explained(tmp_path: Path) -> None:
    code, terminal = in_terminal(tmp_path, column=3)
    try:
        assert row_of(terminal, "characters").startswith("problem  characters")
        assert "two columns wide" in "".join(terminal.rows)
        assert "ambiguous characters to narrow" in " ".join("\n".join(terminal.rows).split())
        assert code == PROBLEMS
    finally:
        terminal.close()


def test_a_terminal_that_cannot_move_its_cursor_is_explained_without_colours(tmp_path: Path) -> None:
    code, terminal = in_terminal(tmp_path, TERM="dumb")
    try:
        assert row_of(terminal, "terminal type").startswith("problem  terminal type      This terminal (TERM=dumb)")
        assert b"\x1b" not in terminal.written
        assert code == PROBLEMS
    finally:
        terminal.close()


def test_a_terminal_without_utf8_gets_ascii(tmp_path: Path) -> None:
    code, terminal = in_terminal(tmp_path, LC_ALL="C", NO_COLOR="1")
    try:
        # The block that measures the terminal is the only exception.
        assert terminal.written.replace("▀".encode(), b"").isascii()
        assert "locale does not use it (LC_ALL=C)" in " ".join("\n".join(terminal.rows).split())
        assert "-> " in "".join(terminal.rows)
        assert code == 0
    finally:
        terminal.close()


# --- in a pipe ----------------------------------------------------------------------------------------------------


def test_in_a_pipe_without_a_locale(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "doctor", *LOCAL],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=environment(tmp_path, LC_ALL="C"),
        timeout=90,
    )
    assert done.stdout.isascii()
    assert b"\x1b" not in done.stdout
    assert done.stdout.startswith(b"skipped  terminal type      Standard output is not a terminal.\n")
    assert done.stdout.splitlines()[-1].startswith(b"No problems, ")
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_healthy_machine_has_no_problems(tmp_path: Path) -> None:
    code, checks = examine(tmp_path, *LOCAL)
    assert code == 0
    assert checks["locale"]["verdict"] == "ok"
    assert checks["client-key"]["verdict"] == "ok"
    assert checks["nat"] == {**checks["nat"], "verdict": "skipped", "text": "--no-network leaves this out."}


def test_options_that_contradict_each_other() -> None:
    done = subprocess.run([*COMMAND, "doctor", *LOCAL, "--stun", "x"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--no-network cannot be combined with --stun." in done.stderr


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (("--server", "ws://x"), "is a WebSocket URL"),
        (("--discovery", "a b"), "is not an address"),
        (("--stun", "http://x"), "is not a STUN server"),
    ],
)
def test_addresses_that_are_none(option: tuple[str, str], text: str) -> None:
    done = subprocess.run([*COMMAND, "doctor", *option], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert text in done.stderr
    assert not done.stdout
    assert done.returncode in (2, 4)


# --- broken set-ups -----------------------------------------------------------------------------------------------


def test_a_key_that_others_can_read_is_explained(tmp_path: Path) -> None:
    subprocess.run([*COMMAND, "keygen", "--no-passphrase"], env=environment(tmp_path), check=True, capture_output=True)
    key = tmp_path / "teleglyph" / "id_ed25519"
    key.chmod(0o644)
    code, checks = examine(tmp_path, *LOCAL)
    assert code == PROBLEMS
    assert checks["client-key"]["verdict"] == "problem"
    assert checks["client-key"]["step"] == f"Run: chmod 600 '{key}'"


def test_a_server_that_does_not_run_is_explained(tmp_path: Path) -> None:
    port = free_port()
    code, checks = examine(tmp_path, "--server", f"127.0.0.1:{port}")
    assert code == PROBLEMS
    assert checks["server"]["text"] == f"Nobody listens on 127.0.0.1:{port}."
    assert checks["server"]["step"].startswith("Is the server running?")
    assert checks["certificate"]["verdict"] == checks["clock"]["verdict"] == "skipped"


def test_the_port_of_another_service_is_explained(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as web:
        try:
            assert web.stdout is not None
            found = re.search(r"port (\d+)", web.stdout.readline())
            assert found is not None
            code, checks = examine(tmp_path, "--server", f"127.0.0.1:{found[1]}")
        finally:
            web.terminate()
    assert code == PROBLEMS
    assert "web server without TLS" in checks["server"]["text"]
    assert checks["clock"]["verdict"] == "ok"


# --- real servers -------------------------------------------------------------------------------------------------


def test_a_real_call_server(tmp_path: Path, server: ServerProcess) -> None:
    code, checks = examine(tmp_path, "--server", f"127.0.0.1:{server.port}")
    assert code == 0
    assert checks["server"]["verdict"] in ("ok", "note")  # slow, on a busy machine
    assert "over IPv4 in" in checks["server"]["text"]
    assert "made its certificate itself" in checks["certificate"]["text"]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[int]:
    """The port of a discovery service."""
    command = [*COMMAND, "discovery-service", "127.0.0.1", "--port", "0", "--data-dir", str(tmp_path / "service")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = next(match for line in process.stderr if (match := re.search(r"127\.0\.0\.1:(\d+)", line)))
            yield int(found[1])
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def test_a_real_discovery_service(tmp_path: Path, service: int) -> None:
    port = free_port()
    code, checks = examine(tmp_path, "--discovery", f"127.0.0.1:{service}", "--port", str(port))
    assert code == 0
    assert checks["discovery-service"]["verdict"] == "ok"
    assert checks["clock"]["verdict"] == "ok"
    # The service does not try addresses of its own machine.
    assert checks["port-from-outside"]["text"] == (
        f"The service sees this machine at 127.0.0.1, which is not public, and did not reach port {port} there."
    )
    assert checks["nat"]["verdict"] in ("skipped", "ok")


def test_a_call_server_is_no_discovery_service(tmp_path: Path, server: ServerProcess) -> None:
    code, checks = examine(tmp_path, "--discovery", f"127.0.0.1:{server.port}")
    assert code == PROBLEMS
    assert checks["discovery-service"]["verdict"] == "problem"
    assert checks["port-from-outside"]["verdict"] in ("problem", "skipped")
