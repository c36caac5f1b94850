"""``teleglyph server`` without options, as a new host runs it: identity, storage, calls, chat, and what it prints."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import run_program
from teleglyph.cli.qr_code import QrCode
from teleglyph.keys import fingerprint, parse_public_keys
from terminal import Terminal, terminal, wait_for

TELEGLYPH = [sys.executable, "-m", "teleglyph"]
FREE_PORTS = ("--port", "0", "--http-port", "0")


@dataclass
class Home:
    """A user's directories."""

    path: Path

    @property
    def environment(self) -> dict[str, str]:
        names = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
        return {**{name: str(self.path / name) for name in names}, "HOME": str(self.path), "XDG_CONFIG_DIRS": ""}

    @property
    def data(self) -> Path:
        return self.path / "XDG_DATA_HOME" / "teleglyph"

    @property
    def known_hosts(self) -> Path:
        return self.path / "XDG_CONFIG_HOME" / "teleglyph" / "known_hosts"

    @property
    def fingerprint(self) -> str:
        (key,) = parse_public_keys(str(self.data / "identity.pub"))
        return fingerprint(key)

    def run(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Our program with nobody at the keyboard."""
        return run_program(*words, given=text, environment={**os.environ, **self.environment})

    def snapshot(self, port: int) -> subprocess.CompletedProcess[str]:
        return self.run("client", f"127.0.0.1:{port}", "--snapshot", "--snapshot-delay", "0", "--test-pattern")


@dataclass
class Started:
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text()

    def find(self, pattern: str) -> str:
        """The first group of a line that the server logs, now or later."""
        wait_for(
            lambda: bool(re.search(pattern, self.text)) or self.process.poll() is not None, pattern, lambda: self.text
        )
        found = re.search(pattern, self.text)
        assert found, self.text
        return found[1]

    @property
    def port(self) -> int:
        return int(self.find(r"listening on \S+?:(\d+)\b"))

    @property
    def http_port(self) -> int:
        return int(self.find(r"HTTP on port (\d+)"))

    @property
    def fingerprint(self) -> str:
        return self.find(r"Fingerprint: (\S+)\n")

    def wait_until_ready(self) -> None:
        self.find(r"(Data: .*)\n")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.text
        assert "Traceback" not in self.text


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@contextmanager
def serving(home: Home, *options: str) -> Iterator[Started]:
    log = home.path / f"log{len(list(home.path.glob('log*')))}"
    with ExitStack() as stack:
        file = stack.enter_context(log.open("wb"))
        command = [*TELEGLYPH, "server", *FREE_PORTS, *options]
        process = subprocess.Popen(command, stderr=file, env={**os.environ, **home.environment})
        stack.callback(process.wait, 20)
        stack.callback(process.kill)
        server = Started(process, log)
        server.wait_until_ready()
        yield server


def information(server: Started) -> dict[str, object] | None:
    """The relay's description of itself; None without a relay."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http_port}/", headers={"Accept": "application/nostr+json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - a literal http URL
            return dict(json.load(answer)) if "json" in answer.headers["Content-Type"] else None
    except urllib.error.HTTPError:
        return None


# --- what is stored -----------------------------------------------------------------------------------------------


def test_the_first_start_makes_an_identity_and_the_second_start_shows_it_again(home: Home) -> None:
    with serving(home) as first:
        shown = first.fingerprint
        assert shown == home.fingerprint
        first.stop()
    assert home.data.stat().st_mode & 0o777 == 0o700
    assert {"identity", "identity.pub", "relay.key", "teleglyph.sqlite3"} <= {item.name for item in home.data.iterdir()}
    assert (home.data / "identity").stat().st_mode & 0o777 == 0o600
    listed = subprocess.run(["ssh-keygen", "-l", "-f", home.data / "identity"], capture_output=True, text=True)
    assert shown in listed.stdout
    with serving(home) as second:
        assert second.fingerprint == shown
        second.stop()


@pytest.mark.thorough
def test_a_second_server_on_the_same_directory_is_refused(home: Home) -> None:
    """Before it opens anything: the first server has no database, and the second does not create one."""
    with serving(home, "--no-events") as first:
        files = sorted(item.name for item in home.data.iterdir())
        refused = home.run("server", *FREE_PORTS)
        assert refused.returncode == 105
        assert refused.stderr == (
            f"teleglyph: The data directory '{home.data}' is in use by another server. Stop it, choose another "
            "directory with --data-dir, or use --ephemeral.\n"
        )
        assert sorted(item.name for item in home.data.iterdir()) == files
        for beside in (("--ephemeral",), ("--data-dir", str(home.path / "other"))):
            with serving(home, *beside) as second:
                second.stop()
        first.stop()


@pytest.mark.thorough
def test_a_killed_server_leaves_its_directory_free_although_it_had_a_decoder(home: Home) -> None:
    with serving(home) as first, terminal(80, 24) as window:
        where = f"127.0.0.1:{first.port}"
        window.begin(command(home, "client", where, "--test-pattern --no-audio --video-codec hevc"))
        wait_for(lambda: has_child(first.process.pid), "the server starts a decoder", lambda: window.screen)
        first.process.kill()
        first.process.wait(10)
        with serving(home) as second:
            assert second.fingerprint == home.fingerprint
            second.stop()


def has_child(pid: int) -> bool:
    return any(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))


def test_an_ephemeral_server_leaves_no_file_and_has_no_identity_and_no_relay(home: Home) -> None:
    with serving(home, "--ephemeral") as server:
        assert information(server) is None
        assert home.snapshot(server.port).returncode == 0
        server.stop()
        assert "Data: nothing is stored (--ephemeral)" in server.text
        assert "Fingerprint" not in server.text
    assert [item for item in home.path.iterdir() if not item.name.startswith("log")] == []


def test_a_server_without_the_relay_stores_only_its_identity(home: Home) -> None:
    with serving(home, "--no-events") as server:
        assert information(server) is None
        server.stop()
    assert sorted(item.name for item in home.data.iterdir()) == ["identity", "identity.pub", "lock", "server.json"]


def test_a_chosen_key_is_used_instead_of_a_new_one(home: Home) -> None:
    assert home.run("keygen", str(home.path / "mine"), "--no-passphrase").returncode == 0
    with serving(home, "--key", str(home.path / "mine")) as server:
        (key,) = parse_public_keys(str(home.path / "mine.pub"))
        assert server.fingerprint == fingerprint(key)
        server.stop()
    assert not (home.data / "identity").exists()


def test_a_server_without_encryption_makes_no_identity(home: Home) -> None:
    with serving(home, "--no-encrypt") as server:
        server.stop()
        assert "Fingerprint" not in server.text
    assert not (home.data / "identity").exists()


def test_a_damaged_identity_is_an_error_and_stays(home: Home) -> None:
    home.data.mkdir(parents=True)
    (home.data / "identity").write_text("")
    (home.data / "identity").chmod(0o600)
    done = home.run("server", *FREE_PORTS)
    assert done.returncode == 61
    assert f"The key '{home.data / 'identity'}' is damaged. Restore it from a backup." in done.stderr
    assert (home.data / "identity").read_text() == ""


@pytest.mark.parametrize("place", ["/proc/nothing", "file/below"])
def test_a_directory_that_cannot_be_written_is_one_sentence_and_code_4(home: Home, place: str) -> None:
    (home.path / "file").touch()
    where = home.path / place
    for words in (["server", *FREE_PORTS, "--data-dir", str(where)], ["--config", str(config(home, where)), "server"]):
        done = home.run(*words)
        assert done.returncode == 4
        assert done.stderr.startswith(f"teleglyph: Cannot write to the data directory '{where}': ")
        assert "--data-dir" in done.stderr
        assert "--ephemeral" in done.stderr
        assert done.stderr.count("\n") == 1


def config(home: Home, data_dir: Path) -> Path:
    path = home.path / "config.toml"
    path.write_text(f'[network]\ndata_dir = "{data_dir}"\n')
    return path


# --- what works ---------------------------------------------------------------------------------------------------


def test_a_client_on_this_machine_joins_without_options_and_notices_a_change(home: Home) -> None:
    with serving(home) as server:
        port = server.port
        first = home.snapshot(port)
        assert (first.returncode, f"shows the identity {home.fingerprint}" in first.stderr) == (0, True), first.stderr
        again = home.snapshot(port)
        assert (again.returncode, again.stderr) == (0, "")
        assert len(home.known_hosts.read_text().splitlines()) == 1
        server.stop()
    (home.data / "identity").unlink()
    with serving(home, "--port", str(port)) as changed:
        refused = home.snapshot(port)
        assert refused.returncode == 64
        assert "has changed" in refused.stderr
        changed.stop()


def test_chat_works_and_survives_a_restart(home: Home) -> None:
    with serving(home) as server:
        found = information(server)
        assert found is not None
        chat = ("chat", "--server", f"127.0.0.1:{server.port}")
        assert home.run(*chat, "--name", "Ann", text="hello\n").returncode == 0
        server.stop()
    with serving(home) as server:
        said = home.run("chat", "--server", f"127.0.0.1:{server.port}", "--name", "Bob", text="hi\n")
        assert "Ann: hello" in said.stdout
        again = information(server)
        assert again is not None
        assert again["self"] == found["self"], "groups are signed by the same key"
        server.stop()


# --- what is printed ----------------------------------------------------------------------------------------------


def command(home: Home, *words: str) -> str:
    settings = [f"{name}='{value}'" for name, value in home.environment.items()]
    return " ".join(["env", *settings, *TELEGLYPH, *words])


def block(window: Terminal) -> list[str]:
    """The screen's lines from the first with a time on, without the times."""
    lines = window.screen.rstrip().splitlines()
    first = next(number for number, line in enumerate(lines) if re.match(r"\d\d:\d\d:\d\d ", line))
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines[first:]]


def test_a_server_for_this_machine_says_how_to_join_it_and_how_to_admit_others(home: Home) -> None:
    with terminal(80, 24) as window:
        window.begin(command(home, "server", *FREE_PORTS))
        window.expect("Fingerprint: ")
        shown = block(window)
        port = re.fullmatch(r"Server is listening on 127\.0\.0\.1:(\d+).*", shown[1])
        assert port is not None
        # The directory's name may be longer than the line.
        where = next(number for number, line in enumerate(shown) if line.startswith("Data: "))
        assert shown[2:where] == [
            f"Join on this machine: teleglyph client 127.0.0.1:{port[1]}",
            f"Or in a browser: http://localhost:{port[1]}/",
            f"Chat on this machine: teleglyph chat --server 127.0.0.1:{port[1]}",
            "Nobody else can join. To let friends in: teleglyph server 0.0.0.0 ::",
        ]
        assert f"Data: {home.data}" in "".join(shown)
        assert shown[-1] == f"Fingerprint: {home.fingerprint}"
        window.press("C-c")


def test_a_server_for_everybody_says_what_friends_need_and_warns(home: Home, lan_address: str) -> None:
    with terminal(80, 30) as window:
        window.begin(command(home, "server", "0.0.0.0", *FREE_PORTS))
        window.expect("Anybody can join")
        shown = block(window)
        port = re.fullmatch(r"Server is listening on 0\.0\.0\.0:(\d+)", shown[1])
        assert port is not None
        assert f"Friends join with: teleglyph client {lan_address}:{port[1]}" in shown
        assert f"Friends chat with: teleglyph chat --server {lan_address}:{port[1]}" in shown
        assert "They need no password, and confirm the fingerprint the first time" in shown
        assert any(line.startswith(f"In a firewall, open TCP port {port[1]}") for line in shown)
        at = shown.index(f"Fingerprint: {home.fingerprint}")
        assert shown[at + 1].startswith("+--[ED25519"), "the picture that friends see"
        assert shown[-1] == "warning: Anybody can join. Set TELEGLYPH_PASSWORD or use --client-keys."
        window.press("C-c")


@pytest.mark.parametrize("options", [(), ("--no-qr",)], ids=["default", "off"])
def test_a_server_for_everybody_draws_its_link_if_there_is_room(
    home: Home, lan_address: str, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with terminal(100, 60) as window:
        window.begin(command(home, "server", "0.0.0.0", *FREE_PORTS, *options))
        window.expect("Anybody can join")
        found = re.search(r"Or in a browser: (\S+)", window.screen)
        assert found is not None
        assert found[1].startswith(f"http://{lan_address}:")
        code = "\n".join(line.rstrip() for line in QrCode(found[1]).text(colors=False).strip("\n").splitlines())
        assert (code.strip("\n") in window.screen) == (not options)
        window.press("C-c")
