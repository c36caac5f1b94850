"""Joining by invitation as people meet it: real servers, ``teleglyph invite`` and our client."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ServerProcess, run_program
from teleglyph.errors import InvitationError
from teleglyph.keys import fingerprint, load_identity, write_identity
from teleglyph.wire.invitation import Invitation
from terminal import terminal

StartServer = Callable[..., ServerProcess]
TELEGLYPH = [sys.executable, "-m", "teleglyph"]
PASSWORD = {"TELEGLYPH_PASSWORD": "only the host knows it"}
VIEW_ONLY = "Your invitation lets you watch and listen, not send."
SMALL = ("--width", "40", "--height", "12")


@dataclass
class Home:
    """The files of one person, who hosts a call with a password and invites to it."""

    path: Path
    start: StartServer

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def environment(self) -> dict[str, str]:
        return {"XDG_CONFIG_HOME": str(self.path / "config"), "XDG_CONFIG_DIRS": ""}

    def serve(self, *options: str) -> ServerProcess:
        server = self.start("--data-dir", str(self.data), "--no-events", *options, environment=PASSWORD)
        server.wait_for_log("Fingerprint", 30)
        return server

    def invite(self, *options: str) -> str:
        done = run_program("invite", "--data-dir", str(self.data), *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def join(
        self, link: str, *options: str, given: str = "", source: str = "--test-pattern"
    ) -> subprocess.CompletedProcess[str]:
        """Our client, which takes one picture of the call and leaves."""
        words = ["client", link, "--snapshot", "--snapshot-delay", "0", source, *options]
        done = run_program(*words, given=given, environment={**os.environ, **self.environment})
        assert "Traceback" not in done.stderr
        assert not given or given.strip() not in done.stderr
        assert link.partition("#i=")[2] in ("", link) or link.partition("#i=")[2] not in done.stderr
        return done


@pytest.fixture
def home(tmp_path: Path, start_server: StartServer) -> Home:
    return Home(tmp_path, start_server)


def token(link: str) -> str:
    return link.partition("#i=")[2]


@contextmanager
def guest(home: Home, words: str) -> Iterator[subprocess.Popen[str]]:
    """A client without a terminal, which stays in the call."""
    process = subprocess.Popen(
        [*TELEGLYPH, "client", *words.split(), *SMALL, "--no-audio"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **home.environment},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_link_is_enough_to_join_a_room_with_a_password(home: Home) -> None:
    server = home.serve()
    link = home.invite("--room", "den")
    assert link.startswith(f"http://localhost:{server.port}/den#i=")
    assert home.join(f"127.0.0.1:{server.port}/den").returncode == 62, "without it, the password is needed"
    settings = " ".join(f"{name}='{value}'" for name, value in home.environment.items())
    with terminal(100, 30) as window:
        window.begin(f"env {settings} {' '.join(TELEGLYPH)} client '{link}' --test-pattern --no-audio --name Ann")
        window.expect("in den")
        server.wait_for_log(r"Ann joined room den", 30)
        window.press("q")
        window.wait(lambda screen: screen.rstrip().endswith("ready$"), "the client did not leave")
    assert token(link) not in "".join(server.log)


@pytest.mark.thorough
def test_the_link_may_come_from_standard_input_or_the_environment(home: Home) -> None:
    home.serve()
    link = home.invite()
    assert home.join("-", given=f"{link}\n").returncode == 0
    done = subprocess.run(
        [*TELEGLYPH, "client", "--snapshot", "--snapshot-delay", "0", "--test-pattern"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **home.environment, "TELEGLYPH_INVITATION": link},
    )
    assert done.returncode == 0, done.stderr
    empty = home.join("-")
    assert (empty.returncode, "no link on standard input" in empty.stderr) == (2, True)


def test_links_stop_working_while_the_server_runs(home: Home) -> None:
    server = home.serve()
    first, second = home.invite(), home.invite()
    assert home.join(first).returncode == 0
    home.invite("--revoke", first)
    refused = home.join(first)
    assert (refused.returncode, "The invitation was revoked." in refused.stderr) == (65, True), refused.stderr
    assert home.join(second).returncode == 0
    home.invite("--revoke-all")
    assert home.join(second).returncode == 65
    assert home.join(home.invite()).returncode == 0
    server.wait_for_log("was refused: The invitation was revoked")
    assert not any(token(link) in line for line in server.log for link in (first, second))


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda link: link[:-3], 65, "The invitation is damaged."),
        (lambda link: link[:-9] + "A" + link[-8:], 65, "The invitation is damaged."),
        (lambda link: link.replace("/#", "/other#"), 65, "for another room: the lobby."),
        (lambda link: f"{link} --room other", 65, "for another room: the lobby."),
        (lambda link: f"{link} --protocol acip", 2, "only the secure link proves the server"),
        (lambda link: f"{link} --no-encrypt", 2, "Remove --no-encrypt."),
        (lambda link: link.replace("http:", "ws:"), 2, "over a WebSocket"),
    ],
)
def test_mistakes_get_one_sentence(home: Home, change: Callable[[str], str], code: int, words: str) -> None:
    write_identity(home.path / "key", None, "")
    issued = int(time.time())
    link = "http://localhost:1/#i="
    link += Invitation.issue(load_identity(str(home.path / "key")), "", issued, 0, os.urandom).text
    done = home.join(*change(link).split())
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr


@pytest.mark.thorough
def test_an_expired_link_says_when_it_expired(home: Home) -> None:
    server = home.serve()
    now = int(time.time())
    late = Invitation.issue(load_identity(str(home.data / "identity")), "", now - 90, now - 30, os.urandom)
    done = home.join(f"http://127.0.0.1:{server.port}/#i={late.text}")
    assert done.returncode == 65
    assert re.search(r"^teleglyph: The invitation expired on \d{4}-\d\d-\d\d at \d\d:\d\d UTC\. Ask", done.stderr, re.M)


def test_what_a_guest_with_a_view_only_link_sends_is_not_seen(home: Home) -> None:
    server = home.serve()
    link = home.invite("--view-only")
    with guest(home, f"{link} --test-pattern --name Eve") as eve:
        assert eve.stderr is not None
        lines: list[str] = []
        while not lines or VIEW_ONLY not in lines[-1]:
            lines.append(eve.stderr.readline())
            assert lines[-1], "".join(lines)
        alone = home.join(home.invite(), *SMALL, source="--no-video")
        assert (alone.returncode, "sent no picture" in alone.stderr) == (43, True), alone.stderr
        with guest(home, f"{home.invite()} --test-pattern --name Ann"):
            server.wait_for_log("Ann joined", 60)
            assert home.join(link, *SMALL, source="--no-video").returncode == 0, "they see the others"
    left = server.wait_for_log(r"is gone .*Eve@.* view_only=1 packets_not_allowed=[1-9]", 30)
    assert "pictures_in=0" in left


@pytest.mark.thorough
def test_a_terminal_shows_what_a_view_only_link_allows(home: Home) -> None:
    home.serve()
    link = home.invite("--view-only")
    settings = " ".join(f"{name}='{value}'" for name, value in home.environment.items())
    with terminal(100, 30) as window:
        window.begin(f"env {settings} {' '.join(TELEGLYPH)} client '{link}' --test-pattern --no-audio")
        window.expect(VIEW_ONLY)
        window.press("?")
        window.expect("this help")
        window.press("q")


# --- attacks ------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_another_server_at_the_address_does_not_get_the_invitation(home: Home, tmp_path: Path) -> None:
    home.serve()
    impostor = Home(tmp_path / "impostor", home.start).serve()
    link = re.sub(r"localhost:\d+", f"127.0.0.1:{impostor.port}", home.invite())
    done = home.join(link, "--accept-new-server")
    assert done.returncode == 64
    shown = fingerprint(load_identity(str(home.data / "identity")).public_key)
    assert f"your invitation is from {shown}" in done.stderr
    assert "was refused" not in "".join(impostor.log)
    with pytest.raises(AssertionError):
        impostor.wait_for_log("joined", 0.2)


def test_a_known_server_with_another_key_is_refused_before_it_gets_the_invitation(
    home: Home, tmp_path: Path, lan_address: str
) -> None:
    """The invitation does not vouch for a server that showed another identity at this address before."""
    server = home.serve(lan_address)
    other = write_identity(tmp_path / "other", None, "")
    hosts = home.path / "config" / "teleglyph" / "known_hosts"
    link = re.sub(r"//[^/]*/", f"//{lan_address}:{server.port}/", home.invite())
    assert home.join(link).returncode == 0, "no question, although it is not this machine's loopback address"
    known = hosts.read_text()
    assert str(server.port) in known
    hosts.write_text(re.sub(r"[0-9a-f]{64}", other.public_key.hex(), known))
    done = home.join(link)
    assert (done.returncode, "has changed" in done.stderr) == (64, True), done.stderr


def test_a_server_without_the_secure_link_does_not_get_the_invitation(home: Home) -> None:
    """Falling back to ACIP would give it to anyone."""
    identity = write_identity(home.path / "key", None, "")
    shown = Invitation.issue(identity, "", int(time.time()), 0, os.urandom)
    received: list[bytes] = []

    def answer() -> None:
        client, _ = listener.accept()
        with client:
            received.append(client.recv(1 << 16))
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        done = home.join(f"http://127.0.0.1:{listener.getsockname()[1]}/#i={shown.text}")
        thread.join(10)
    assert done.returncode == InvitationError.exit_code
    assert "cannot take your invitation" in done.stderr
    assert len(received) == 1
    assert received[0].startswith(b"\x16\x03")
    assert shown.signature not in received[0]
