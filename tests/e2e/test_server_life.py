"""How a server starts, reports and ends."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from acip_peer import AcipPeer
from conftest import ServerProcess, run_program
from terminal import wait_for

TELEGLYPH = [sys.executable, "-m", "teleglyph"]
StartServer = Callable[..., ServerProcess]
Connect = Callable[[ServerProcess], AcipPeer]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_cleanly_during_a_call(
    start_server: StartServer, connect: Connect, number: int
) -> None:
    server = start_server()
    peer = connect(server)
    peer.join()
    peer.send_color(200, 10, 10)
    peer.frame()
    assert server.stop(number) == 0
    assert "final statistics" in "".join(server.log)
    assert "Traceback" not in "".join(server.log)
    peer.wait_closed()


def test_call_rooms_are_reloaded_and_an_invalid_file_changes_nothing(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[call_room.team]\npassword = "correct horse"\n')
    file.chmod(0o600)
    server = start_server("--rooms", "closed", environment={"TELEGLYPH_CONFIG": str(file)})
    server.wait_for_log("Configured call rooms: team")
    file.write_text('[call_room.team]\npassword = "battery staple"\n[call_room.other]\n')
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("Reloaded the call rooms: count=2")
    file.write_text('[call_room.team]\npasword = "battery staple"\n')
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("The call rooms were not reloaded: .*Did you mean 'password'")
    log = "".join(server.log)
    assert "battery staple" not in log
    assert "correct horse" not in log


def test_a_second_signal_ends_it_at_once_with_code_1(start_server: StartServer, connect: Connect) -> None:
    server = start_server()
    connect(server).join()
    # A stopped process cannot act on the first signal before the second one arrives.
    server.process.send_signal(signal.SIGSTOP)
    server.process.send_signal(signal.SIGINT)
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGCONT)
    assert server.process.wait(10) == 1


def test_sigusr1_writes_every_stack_to_the_log_and_nothing_ends(start_server: StartServer, connect: Connect) -> None:
    server = start_server()
    connect(server).join()
    server.process.send_signal(signal.SIGUSR1)
    server.wait_for_log("Stack of task pacer")
    server.wait_for_log("Stack of task session")
    server.wait_for_log("Stack of thread")
    second = connect(server)
    second.join()


def test_statistics_are_logged_at_their_interval_and_at_the_end(start_server: StartServer, connect: Connect) -> None:
    server = start_server("--statistics-interval", "0.2")
    peer = connect(server)
    peer.join()
    peer.send_color(200, 10, 10)
    peer.frame()
    line = server.wait_for_log(r"statistics: .*pictures_in=1")
    for name in ("frames_sent", "frames_dropped", "bytes_in", "bytes_out", "queue_peak_bytes"):
        assert re.search(rf"{name}=\d+", line), line
    server.stop()
    assert any("final statistics" in line for line in server.log)


def test_the_log_can_be_json_lines_in_a_file(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with subprocess.Popen(
        [
            *(*TELEGLYPH, "--json", "--quiet", "--log-level", "debug", "--log-file", str(log)),
            *("server", "127.0.0.1", "--port", "0", "--no-http", "--ephemeral"),
        ],
        stderr=subprocess.PIPE,
    ) as server:
        assert server.stderr is not None
        wait_for(lambda: log.exists() and "listening" in log.read_text(), "the server listens")
        server.terminate()
        assert server.wait(10) == 0
        assert server.stderr.read() == b""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= lines[0].keys()
    assert any("final statistics" in line["message"] for line in lines)


def test_health_and_statistics_are_served_over_http(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with subprocess.Popen(
        [*TELEGLYPH, "server", "127.0.0.1", "--port", "0", "--http-port", str(port), "--data-dir", str(tmp_path / "d")],
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        while "HTTP on port" not in (line := server.stderr.readline()):
            assert line, "the server ended"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/statistics", timeout=10) as answer:
            assert isinstance(json.load(answer), dict)
        assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700
        server.terminate()
        assert server.wait(10) == 0
        server.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["server", "example.org"], 2, "is not an IPv4 or IPv6 address"),
        (["server", "--max-clients", "0"], 2, "1<=x"),
        (["server", "--password", "short"], 2, "8 to 256"),
        (["server", "--passwort", "x"], 2, "--password"),
        (["server", "192.0.2.1"], 41, "not an address of this machine"),
        (["sevrer"], 2, "Did you mean 'server'"),
        (["--log-file", "/nonexistent/x.log", "server"], 4, "Cannot write the log file"),
    ],
)
def test_errors_are_one_sentence_and_their_code(arguments: list[str], code: int, words: str) -> None:
    done = run_program(*arguments)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == code


def test_a_port_in_use_is_one_sentence_and_code_41(server: ServerProcess) -> None:
    done = subprocess.run(
        [*TELEGLYPH, "-q", "server", "127.0.0.1", "--port", str(server.port), "--no-http"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr.count("\n") == 1
    assert "in use" in done.stderr
    assert done.returncode == 41


@pytest.mark.parametrize("command", [[], ["server"], ["client"], ["mirror"], ["demo"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    done = run_program(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: teleglyph")
    assert done.stderr == ""


def test_capabilities_and_cameras_are_listed(tmp_path: Path) -> None:
    shown = subprocess.run([*TELEGLYPH, "--show-capabilities"], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0
    assert "not a terminal" in shown.stdout
    listed = subprocess.run([*TELEGLYPH, "--list-webcams"], capture_output=True, text=True, timeout=60)
    assert listed.returncode == 0
    assert listed.stdout
