"""The client's error messages and exit codes, and its output without a terminal."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from acip_peer import AcipPeer
from conftest import ServerProcess, run_program

CLIENT = [sys.executable, "-m", "teleglyph", "client"]
StartServer = Callable[..., ServerProcess]


def run(*arguments: str, seconds: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_program("client", *arguments, seconds=seconds, environment={**os.environ, **environment})


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def foreign_service() -> Iterator[Callable[[bytes], int]]:
    """Services that are not call servers: each sends the same greeting to every client, and then nothing more."""
    listeners: list[socket.socket] = []
    accepted: list[socket.socket] = []

    def serve(listener: socket.socket, greeting: bytes) -> None:
        try:
            while True:
                accepted.append(listener.accept()[0])
                accepted[-1].sendall(greeting)
        except OSError:
            return

    def start(greeting: bytes) -> int:
        listeners.append(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=serve, args=(listeners[-1], greeting), daemon=True).start()
        return int(listeners[-1].getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for connection in accepted:
        connection.close()


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The only line of an error message; fails if there are more lines, or a traceback."""
    lines = [line for line in done.stderr.splitlines() if "Others cannot see you" not in line]
    assert len(lines) == 1, done.stderr
    assert done.stdout == ""
    return lines[0]


def test_a_missing_server_is_one_line_and_code_42() -> None:
    done = run(f"127.0.0.1:{unused_port()}")
    assert "Nobody listens on 127.0.0.1:" in complaint(done)
    assert done.returncode == 42


def test_an_unknown_host_is_one_line_and_code_42() -> None:
    done = run("no-such-host.invalid")
    assert "'no-such-host.invalid' is not known" in complaint(done)
    assert done.returncode == 42


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 100])
def test_another_service_on_the_port_is_one_line_and_code_44(
    foreign_service: Callable[[bytes], int], greeting: bytes
) -> None:
    done = run(f"127.0.0.1:{foreign_service(greeting)}")
    assert "is not a call server" in complaint(done)
    assert done.returncode == 44


def test_a_silent_service_is_one_line_and_code_43(foreign_service: Callable[[bytes], int]) -> None:
    done = run(f"127.0.0.1:{foreign_service(b'')}")
    assert "did not respond within" in complaint(done)
    assert done.returncode == 43


def test_a_full_server_is_one_line_and_code_48(
    start_server: StartServer, connect: Callable[[ServerProcess], AcipPeer]
) -> None:
    server = start_server("--max-clients", "1")
    first = connect(server)
    first.join()
    done = run(f"127.0.0.1:{server.port}")
    assert "full" in complaint(done)
    assert done.returncode == 48


def test_a_wrong_password_is_one_line_and_code_62(start_server: StartServer) -> None:
    server = start_server(environment={"TELEGLYPH_PASSWORD": "correct horse"})
    done = run(f"127.0.0.1:{server.port}", TELEGLYPH_PASSWORD="wrong horse")
    assert "password" in complaint(done)
    assert done.returncode == 62
    server.wait_for_log("was refused")
    assert "horse" not in "".join(server.log)


def test_a_missing_password_without_a_terminal_is_one_line_and_code_62(start_server: StartServer) -> None:
    server = start_server(environment={"TELEGLYPH_PASSWORD": "correct horse"})
    done = run(f"127.0.0.1:{server.port}")
    assert "password" in complaint(done)
    assert done.returncode == 62


def test_in_a_terminal_the_password_prompt_does_not_echo(start_server: StartServer) -> None:
    server = start_server(environment={"TELEGLYPH_PASSWORD": "correct horse"})
    arguments = [*CLIENT[1:], f"127.0.0.1:{server.port}", "--test-pattern", "--snapshot", "-D", "0", "-x", "40"]
    child = pexpect.spawn(CLIENT[0], arguments, timeout=60, encoding="utf-8")
    child.expect("Password for 127.0.0.1")
    child.sendline("short")
    child.expect("8 to 256")
    child.expect("Password for 127.0.0.1")
    child.sendline("correct horse")
    child.expect(pexpect.EOF)
    assert "correct" not in child.before
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--snapshot-delay", "1"], "--snapshot-delay needs --snapshot"),
        (["--loop"], "--loop needs --file"),
        (["--file", "a", "--test-pattern"], "cannot be combined"),
        (["--no-video", "--test-pattern"], "--no-video cannot be combined"),
        (["--palette", "custom"], "needs --palette-chars"),
        (["--palette-chars", "x" * 64], "the maximum is 63"),
        (["--palette-chars", "日本"], "columns wide"),
        (["--color-mode", "17"], "'17' is not one of auto, none, 16, 256, truecolor"),
        (["--fps", "145"], "1<=x<=144"),
        (["host", "--port", "0"], "1<=x<=65535"),
        (["host:1", "--port", "2"], "different ports"),
        (["--password", "short"], "8 to 256"),
        (["--password", "long enough", "--no-encrypt"], "needs encryption"),
        (["--name", ""], "1 to 31 bytes"),
        (["--name", "x" * 32], "the maximum is 31"),
        (["--snapshto"], "--snapshot"),
    ],
)
def test_invalid_options_are_refused_with_code_2(arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(("file", "code"), [("missing.mp4", 106), (".", 106), ("text.mp4", 27)])
def test_an_unusable_file_is_one_line_and_its_code(tmp_path: Path, file: str, code: int) -> None:
    (tmp_path / "text.mp4").write_text("this is no film\n" * 50)
    done = run("--file", str(tmp_path / file))
    assert str(tmp_path) in complaint(done)
    assert done.returncode == code


def test_a_snapshot_prints_one_picture_without_cursor_moves(server: ServerProcess) -> None:
    done = run(f"127.0.0.1:{server.port}", "--pattern", "face", "--snapshot", "-D", "0.2", "-x", "50", "-y", "20")
    assert done.returncode == 0, done.stderr
    rows = done.stdout.rstrip("\n").split("\n")
    assert 15 <= len(rows) <= 20
    assert max(map(len, rows)) == 50
    assert "\x1b" not in done.stdout
    assert len(set(done.stdout)) > 5


def test_colours_can_be_written_to_a_pipe(server: ServerProcess) -> None:
    options = ["--test-pattern", "--snapshot", "-D", "0", "--color-mode", "truecolor", "--utf8", "true"]
    done = run(f"127.0.0.1:{server.port}", *options)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\x1b\[(?:[\d;]+;)?48;2;\d+;\d+;\d+", done.stdout)
    assert not re.search(r"\x1b\[[\d;?]*[A-Za-ln-z]", done.stdout), "nothing but colours"


def test_without_a_terminal_frames_are_written_until_the_reader_leaves(server: ServerProcess) -> None:
    with subprocess.Popen(
        [*CLIENT, f"127.0.0.1:{server.port}", "--pattern", "clock", "-x", "40", "-y", "10"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    ) as client:
        assert client.stdout is not None
        assert client.stderr is not None
        for _ in range(100):
            assert len(client.stdout.readline().decode().rstrip("\n")) <= 40
        client.stdout.close()
        assert client.wait(20) == 0
        assert b"Traceback" not in client.stderr.read()


@pytest.mark.parametrize("options", [[], ["--snapshot", "-D", "0"]], ids=["frame after frame", "snapshot"])
def test_an_unwritable_output_is_one_line_and_code_105(server: ServerProcess, options: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*CLIENT, f"127.0.0.1:{server.port}", "--pattern", "clock", "-x", "40", "-y", "10", *options],
            stdout=full,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
    errors = [line for line in done.stderr.decode().splitlines() if line.startswith("teleglyph: ")]
    assert errors == ["teleglyph: Cannot write to standard output: no space left on device."]
    assert done.returncode == 105
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_client_cleanly(server: ServerProcess, number: int) -> None:
    with subprocess.Popen(
        [*CLIENT, f"127.0.0.1:{server.port}", "--test-pattern", "--name", "visitor"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as client:
        server.wait_for_log("is called visitor")
        client.send_signal(number)
        assert client.wait(10) == 0
    server.wait_for_log(r"visitor is gone \(left\)")


def test_the_server_gets_the_name_and_hevc_pictures(server: ServerProcess) -> None:
    options = ["--pattern", "face", "--name", "Zoë", "--snapshot", "-D", "2"]
    assert run(f"127.0.0.1:{server.port}", *options).returncode == 0
    line = server.wait_for_log("Zoë is gone")
    received = re.search(r"pictures_in=(\d+) .* bytes_in=(\d+)", line)
    assert received
    pictures, size = map(int, received.groups())
    assert pictures > 5
    assert size / pictures < 4000, "raw pictures would have 46 kilobytes each"
