"""Prompts on joining: real servers, our client with a real terminal and without one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ServerProcess, run_program
from teleglyph.errors import PeerError
from teleglyph.keys import (
    FileIdentity,
    KnownHosts,
    ascii_chat_fingerprint,
    fingerprint,
    format_public_key,
    randomart,
    write_identity,
)
from teleglyph.wire.acip import LogDirection, LogLevel, RemoteLog, ServerSession, derive_password_key, encode
from terminal import Terminal, terminal, wait_for

PASSWORD, WRONG = "correct horse", "battery staple"
PASSPHRASE = "open sesame"
StartServer = Callable[..., ServerProcess]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in ("TELEGLYPH_PASSWORD", "TELEGLYPH_KEY", "TELEGLYPH_KEY_PASSWORD", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_CONFIG_DIRS": "", "HOME": str(tmp_path)}


def default_key(environment: dict[str, str], passphrase: str | None = None) -> FileIdentity:
    return write_identity(Path(environment["XDG_CONFIG_HOME"]) / "teleglyph" / "id_ed25519", passphrase, "ann")


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Our program with nobody at the keyboard."""
    return run_program(*words, environment={**os.environ, **environment})


def snapshot(
    environment: dict[str, str], port: int, *options: str, host: str = "127.0.0.1"
) -> subprocess.CompletedProcess[str]:
    where = ["client", f"{host}:{port}", "--snapshot", "--snapshot-delay", "0", "--test-pattern"]
    return run(environment, *where, *options)


def start(window: Terminal, environment: dict[str, str], *words: str) -> None:
    """Start our program in a terminal; the shell prints its exit code."""
    settings = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    window.begin(" ".join(["env", *settings, sys.executable, "-m teleglyph", *words, "; echo code=$?"]))


def join(window: Terminal, environment: dict[str, str], port: int, *options: str, host: str = "127.0.0.1") -> None:
    start(window, environment, "client", f"{host}:{port}", "--test-pattern --no-audio", *options)


def answer(window: Terminal, question: str, text: str, count: int = 1) -> None:
    """Type an answer when a question is on the screen for the ``count``-th time."""
    window.wait(lambda screen: screen.count(question) >= count, f"{question!r} was not asked {count} times")
    window.type(text)


# --- passwords --------------------------------------------------------------------------------------------------------


def test_the_password_prompt_appears_three_times(start_server: StartServer, environment: dict[str, str]) -> None:
    server = start_server("--password", PASSWORD)
    with terminal() as window:
        join(window, environment, server.port)
        for count, typed in enumerate((WRONG, "short", WRONG), 1):
            answer(window, "Password for 127.0.0.1:", typed, count)
        window.expect("code=62")
        assert window.screen.count("Wrong password.") == 1
        assert window.screen.count("A password has 8 to 256 bytes") == 1
        assert "Wrong password for 127.0.0.1" in window.screen
        assert WRONG not in window.screen


def test_the_right_password_after_a_wrong_one_joins(start_server: StartServer, environment: dict[str, str]) -> None:
    server = start_server("--password", PASSWORD)
    with terminal() as window:
        join(window, {**environment, "TELEGLYPH_PASSWORD": WRONG}, server.port)
        answer(window, "Password for 127.0.0.1:", WRONG)
        assert "The password from TELEGLYPH_PASSWORD is wrong." in window.screen
        answer(window, "Password for 127.0.0.1:", PASSWORD, 2)
        window.expect("1 in the call")
        window.press("q")
        window.expect("code=0")


def test_the_client_disconnects_while_a_person_types(environment: dict[str, str]) -> None:
    """So that no deadline of the server can end the prompt."""
    with foreign_server(None) as server, terminal() as window:
        join(window, environment, server.port)
        window.expect("Password for 127.0.0.1:")
        assert server.left.wait(10)
        assert not re.search(r"code=\d", window.screen), "it still asks"
        window.type(WRONG)
        window.expect("Wrong password.")


@pytest.mark.parametrize("key", ["C-c", "C-d"])
@pytest.mark.parametrize("question", ["password", "server", "pass phrase", "new pass phrase"])
def test_a_prompt_can_be_cancelled(
    start_server: StartServer,
    environment: dict[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    key: str,
    question: str,
) -> None:
    write_identity(tmp_path / "server", None, "")
    with terminal() as window:
        match question:
            case "password":
                join(window, environment, start_server("--password", PASSWORD).port)
                window.expect("Password for")
            case "server":
                host = request.getfixturevalue("lan_address")
                join(window, environment, start_server(host, "--key", str(tmp_path / "server")).port, host=host)
                window.expect("remember it? [y/N]:")
            case "pass phrase":
                default_key(environment, PASSPHRASE)
                join(window, environment, start_server("--client-keys", str(tmp_path / "server.pub")).port)
                window.expect("Pass phrase of")
            case _:
                start(window, environment, "keygen")
                window.expect("Pass phrase")
        window.press(key)
        window.expect("code=1")
        assert "Traceback" not in window.screen
        assert re.search(r"^code=1$", window.screen, re.MULTILINE), "it begins a line"
        window.type("stty -a | grep -o '.echo '")
        window.wait(lambda screen: "\n echo\n" in screen, "the terminal shows again what is typed")


def test_without_a_terminal_a_wrong_password_is_one_sentence(
    start_server: StartServer, environment: dict[str, str]
) -> None:
    server = start_server("--password", PASSWORD)
    where = f"127.0.0.1:{server.port}"
    for done, words in (
        (snapshot({**environment, "TELEGLYPH_PASSWORD": WRONG}, server.port), "The password from TELEGLYPH_PASSWORD"),
        (snapshot(environment, server.port, "--password", WRONG), "The password from --password"),
    ):
        assert done.returncode == 62
        assert done.stderr == f"teleglyph: {words} is wrong for {where}. Ask its host for the right one.\n"


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    """A server that admits only one key, which nobody else has."""
    host = write_identity(tmp_path / "host", None, "host")
    (tmp_path / "friends").write_text(format_public_key(host.public_key))
    return start_server("--client-keys", str(tmp_path / "friends"), "--key", str(tmp_path / "host"))


def test_the_default_key_is_used_if_a_server_requires_a_key(
    start_server: StartServer, environment: dict[str, str], tmp_path: Path
) -> None:
    ours = default_key(environment)
    (tmp_path / "friends").write_text(format_public_key(ours.public_key))
    server = start_server("--client-keys", str(tmp_path / "friends"))
    done = snapshot(environment, server.port)
    assert done.returncode == 0, done.stderr
    assert f"requires a key. Using yours: {fingerprint(ours.public_key)}" in done.stderr
    server.wait_for_log(f"proved the key {re.escape(fingerprint(ours.public_key))}")


def test_the_default_key_may_be_held_by_an_agent(
    start_server: StartServer, environment: dict[str, str], tmp_path: Path
) -> None:
    ours = default_key(environment)
    path = Path(environment["XDG_CONFIG_HOME"]) / "teleglyph" / "id_ed25519"
    server = start_server("--client-keys", f"{path}.pub")
    directory = Path(tempfile.mkdtemp(prefix="tg"))  # a socket's path must be short
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(directory / "s")], stdout=subprocess.DEVNULL) as agent:
        wait_for((directory / "s").exists, "the agent never began")
        environment = {**environment, "SSH_AUTH_SOCK": str(directory / "s")}
        subprocess.run(["ssh-add", "-q", str(path)], check=True, capture_output=True, env={**os.environ, **environment})
        path.unlink()
        done = snapshot(environment, server.port)
        agent.terminate()
    shutil.rmtree(directory)
    assert done.returncode == 0, done.stderr
    server.wait_for_log(f"proved the key {re.escape(fingerprint(ours.public_key))}")


def test_a_key_is_not_opened_for_a_server_that_requires_none(
    start_server: StartServer, environment: dict[str, str]
) -> None:
    path = Path(environment["XDG_CONFIG_HOME"]) / "teleglyph" / "id_ed25519"
    path.parent.mkdir(parents=True)
    path.write_text("not a key at all")
    done = snapshot(environment, start_server().port)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_prompt_for_the_default_keys_pass_phrase_appears_three_times(
    guarded: ServerProcess, environment: dict[str, str], tmp_path: Path
) -> None:
    ours = default_key(environment, PASSPHRASE)
    with terminal() as window:
        join(window, environment, guarded.port, "--accept-new-server")
        for count in (1, 2, 3):
            answer(window, "Pass phrase of", "wrong", count)
        window.expect("code=61")
        assert window.screen.count("Wrong pass phrase.") == 2
        (tmp_path / "friends").write_text(format_public_key(ours.public_key))
        guarded.process.send_signal(signal.SIGHUP)
        guarded.wait_for_log("Reloaded")
        join(window, environment, guarded.port)
        answer(window, "Pass phrase of", PASSPHRASE)
        window.expect("1 in the call")
        window.press("q")
        window.expect("code=0")


def test_a_person_without_a_key_learns_how_to_get_in(guarded: ServerProcess, environment: dict[str, str]) -> None:
    done = snapshot(environment, guarded.port, "--accept-new-server")
    assert done.returncode == 62
    assert "only admits keys that its host knows" in done.stderr
    assert "Create one with 'teleglyph keygen'" in done.stderr
    assert f"{environment['XDG_CONFIG_HOME']}/teleglyph/id_ed25519.pub" in done.stderr
    assert ".ssh" not in done.stderr
    (Path(environment["HOME"]) / ".ssh").mkdir()
    (Path(environment["HOME"]) / ".ssh" / "id_ed25519").write_text("")
    assert "--key ~/.ssh/id_ed25519" in snapshot(environment, guarded.port).stderr


def test_an_unlisted_key_is_named(guarded: ServerProcess, environment: dict[str, str], tmp_path: Path) -> None:
    by_default, chosen = default_key(environment), write_identity(tmp_path / "other", None, "")
    for options, key in (((), by_default), (("--key", str(tmp_path / "other")), chosen)):
        done = snapshot(environment, guarded.port, "--accept-new-server", *options)
        assert done.returncode == 62
        assert f"does not know your client key {fingerprint(key.public_key)}." in done.stderr
        assert format_public_key(key.public_key) in done.stderr
        guarded.wait_for_log(f"key {re.escape(fingerprint(key.public_key))} is not admitted")


# --- servers of other kinds -------------------------------------------------------------------------------------------


@dataclass
class Foreign:
    port: int
    left: threading.Event
    """A client closed a connection by itself."""


@contextmanager
def foreign_server(
    identity: FileIdentity | None, behind_a_refusal: bytes = b"", host: str = "127.0.0.1"
) -> Iterator[Foreign]:
    """A server without our extensions, like ascii-chat's; nobody knows its password."""
    left = threading.Event()
    listener = socket.create_server((host, 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                session = ServerSession(
                    password_key=derive_password_key(PASSWORD), identities=[identity] if identity else []
                )
                refused = False
                while not refused and (data := connection.recv(4096)):
                    session.receive_data(data)
                    try:
                        session.next_event()
                    except PeerError:
                        refused = True
                    connection.sendall(session.data_to_send() + (behind_a_refusal if refused else b""))
                if not refused:
                    left.set()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Foreign(listener.getsockname()[1], left)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_ascii_chats_fingerprint_is_shown_beside_ours_for_its_servers(
    environment: dict[str, str], lan_address: str
) -> None:
    identity = FileIdentity(bytes(range(32)))
    key = identity.public_key
    with foreign_server(identity, host=lan_address) as server:
        done = snapshot(environment, server.port, host=lan_address)
        assert done.returncode == 60
        assert f"{fingerprint(key)} (ascii-chat prints it as {ascii_chat_fingerprint(key)})" in done.stderr
        with terminal(120, 40) as window:
            join(window, environment, server.port, host=lan_address)
            window.expect("remember it? [y/N]:")
            assert f"Its identity is {fingerprint(key)}\n" in window.screen
            assert f"ascii-chat prints it as {ascii_chat_fingerprint(key)}\n" in window.screen
            assert randomart(key) in window.screen


@pytest.mark.parametrize("is_same", [True, False])
def test_a_known_name_at_a_new_address_is_reported(
    environment: dict[str, str], lan_address: str, is_same: bool
) -> None:
    identity, other = FileIdentity(bytes(range(32))), FileIdentity(bytes(32))
    hosts = KnownHosts(Path(environment["XDG_CONFIG_HOME"]) / "teleglyph" / "known_hosts", [])
    with foreign_server(identity, host=lan_address) as server, terminal(120, 40) as window:
        known, name = identity if is_same else other, f"{lan_address}:{server.port}"
        hosts.add("198.51.100.7:27224", known.public_key, name)
        join(window, environment, server.port, host=lan_address)
        window.expect("remember it? [y/N]:")
        text = window.screen.replace("\n", "")
        if is_same:
            assert f"You have joined a server with this identity before: {name}." in text
            assert "Careful" not in text
        else:
            assert f"Careful: {name} was at 198.51.100.7:27224 before, with the identity" in text
            assert fingerprint(other.public_key) in text


def test_a_servers_explanation_of_a_refusal_is_made_safe(environment: dict[str, str]) -> None:
    text = "Wait 4 s.\x1b[2J\x1b]0;owned\x07\nteleglyph: all is well \u202e"
    log = encode(RemoteLog(LogLevel.WARN, LogDirection.SERVER_TO_CLIENT, text))
    with foreign_server(None, log) as server:
        done = snapshot(environment, server.port, "--password", WRONG)
        assert done.returncode == 62
        assert "The server says: Wait 4 s." in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not set(done.stderr) & set("\x1b\x07\u202e")
        with terminal(120, 30) as window:
            join(window, environment, server.port)
            answer(window, "Password for", WRONG)
            answer(window, "Password for", WRONG, 2)
            window.wait(lambda screen: screen.count("Wrong password. The server says: Wait 4 s.") == 2, "it is shown")


# --- known servers ----------------------------------------------------------------------------------------------------


def test_a_server_is_forgotten_by_its_typed_name(
    start_server: StartServer, environment: dict[str, str], tmp_path: Path
) -> None:
    write_identity(tmp_path / "host", None, "")
    server = start_server("--key", str(tmp_path / "host"))
    done = run(
        environment,
        *("client", f"LocalHost:{server.port}", "--accept-new-server", "--snapshot", "--snapshot-delay", "0"),
        "--test-pattern",
    )
    assert done.returncode == 0, done.stderr
    listed = run(environment, "known-hosts", "list")
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(tmp_path / "host.pub")], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert listed.stdout == f"LocalHost:{server.port}  127.0.0.1:{server.port}  {shown}\n"
    forgotten = run(environment, "known-hosts", "forget", "localhost", "--port", str(server.port))
    assert forgotten.stdout == f"Forgot LocalHost:{server.port} (127.0.0.1:{server.port}): {shown}\n"
    assert (forgotten.returncode, forgotten.stderr) == (0, "")
    assert run(environment, "known-hosts", "list").stdout == ""


def test_the_server_shows_its_host_the_fingerprint_that_others_compare(
    environment: dict[str, str], tmp_path: Path, lan_address: str
) -> None:
    identity = write_identity(tmp_path / "host", None, "")
    with terminal(100, 40) as window:
        start(window, environment, f"server {lan_address} --port 0 --no-http --ephemeral --key", str(tmp_path / "host"))
        window.expect("+----[SHA256]-----+")
        assert randomart(identity.public_key) in window.screen
        assert fingerprint(identity.public_key) in window.screen.replace("\n", "")
        window.press("C-c")
        window.expect("code=0")
