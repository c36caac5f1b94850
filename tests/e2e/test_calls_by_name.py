"""People find a server by three words, with the real programs, and with services that are hostile."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import ServerProcess, run_program
from discovery_process import DiscoveryProcess
from hostile_service import Attack, Impostor, ManInTheMiddle, Reply, hostile_service
from teleglyph.keys import fingerprint
from teleglyph.wire.discovery import Rendezvous

PASSWORD = "correct horse"
Client = Callable[..., "subprocess.CompletedProcess[str]"]
Host = Callable[..., tuple[ServerProcess, str]]


@pytest.fixture(scope="module")
def service() -> Iterator[DiscoveryProcess]:
    process = DiscoveryProcess("--connection-rate", "0")
    yield process
    assert process.stop() == 0
    assert "Traceback" not in "".join(process.log), "".join(process.log)


@pytest.fixture
def host(start_server: Callable[..., ServerProcess], tmp_path: Path) -> Host:
    """Starts a server that is found by its name, and returns it with the name and the service."""

    def start(port: int, *options: str) -> tuple[ServerProcess, str]:
        where = ["--discovery", f"127.0.0.1:{port}", "--no-port-mapping", "--data-dir", str(tmp_path / "host")]
        server = start_server(*where, *(options or ("--password", PASSWORD)))
        line = server.wait_for_log("Friends anywhere join with", 30)
        return server, line.split()[-1]

    return start


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Takes a picture of a call, as somebody with a home directory of their own."""

    def run(
        address: str, *options: str, password: str = PASSWORD, new: bool = True
    ) -> subprocess.CompletedProcess[str]:
        words = ["--log-level", "info", "client", address, "--snapshot", "--snapshot-delay", "0.1", "--no-audio"]
        words += ["--test-pattern", "--color-mode", "none", *(["--accept-new-server"] if new else []), *options]
        variables = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        variables |= {"XDG_STATE_HOME": str(tmp_path / "state")}
        variables |= {"TELEGLYPH_PASSWORD": password} if password else {}
        return run_program(*words, seconds=120, environment=variables)

    return run


def way(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 10, "there is no picture"
    found = re.search("Connected: way=(.*)", done.stderr)
    assert found is not None, done.stderr
    return found[1].strip()


def test_a_guest_reaches_a_server_for_this_machine_through_a_data_channel(
    service: DiscoveryProcess, host: Host, client: Client
) -> None:
    server, name = host(service.port, "--password", PASSWORD, "--http")
    assert way(client(name)) == "a data channel, direct"
    assert server.wait_for_log("left after")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/statistics", timeout=5) as answer:
        counted = json.load(answer)["discovery"]
    assert (counted["registered"], counted["guests_answered"], counted["data_channels_opened"]) == (1, 1, 1)


@pytest.mark.parametrize("password", ["", "wrong horse"])
def test_a_guest_without_the_password_learns_no_address(
    service: DiscoveryProcess, host: Host, client: Client, password: str
) -> None:
    server, name = host(service.port)
    done = client(name, password=password)
    assert done.returncode == 62, done.stderr
    assert "password" in done.stderr
    if password:
        server.wait_for_log("A guest by name was refused")
    assert not [line for line in server.log if "Candidate gathered" in line], "it prepared to answer"


def test_an_invitation_works_by_name(service: DiscoveryProcess, host: Host, client: Client, tmp_path: Path) -> None:
    _, name = host(service.port)
    command = [sys.executable, "-m", "teleglyph", "invite", "--data-dir", str(tmp_path / "host")]
    invited = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    link = invited.stdout.strip()
    assert link.startswith(f"{name}#i="), invited.stdout
    assert "from anywhere" in invited.stderr
    assert way(client(link, password="", new=False)) == "a data channel, direct"


def test_an_unknown_name_is_explained(service: DiscoveryProcess, client: Client) -> None:
    done = client(f"brave-otter-lamp@127.0.0.1:{service.port}")
    assert done.returncode == 47, done.stderr
    assert "knows no call brave-otter-lamp" in done.stderr


def test_a_misspelt_name_gets_a_proposal(service: DiscoveryProcess, client: Client) -> None:
    done = client(f"brave-oter-lamp@127.0.0.1:{service.port}")
    assert "Did you mean 'brave-otter-lamp'" in done.stderr, done.stderr


def test_a_host_that_is_away_is_explained(service: DiscoveryProcess, host: Host, client: Client) -> None:
    server, name = host(service.port)
    server.process.kill()
    server.process.wait()
    done = client(name)
    assert done.returncode == 42, done.stderr
    assert "away" in done.stderr or "just left" in done.stderr


@pytest.mark.parametrize("options", [("--discovery-name", "x"), ("--discovery", "talk.example/room")])
def test_a_mistyped_option_is_explained(options: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "teleglyph", "server", "--password", PASSWORD, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Error" in done.stderr


def test_a_server_that_anybody_may_join_does_not_start_by_mistake() -> None:
    command = [sys.executable, "-m", "teleglyph", "server", "--discovery", "127.0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--discovery-expose-ip" in done.stderr


def test_a_host_that_exposes_its_address_needs_no_password(
    service: DiscoveryProcess, host: Host, client: Client
) -> None:
    _, name = host(service.port, "--discovery-expose-ip")
    assert way(client(name, password="")) == "a data channel, direct"


# --- hostile services -----------------------------------------------------------------------------------------


@pytest.fixture
def attack() -> Iterator[Callable[[Attack], int]]:
    """Starts a hostile service and returns its port."""
    running = []

    def start(attack: Attack) -> int:
        running.append(hostile_service(attack))
        return running[-1].__enter__()

    yield start
    for one in running:
        one.__exit__(None, None, None)


def test_a_service_in_the_middle_is_seen_and_reads_no_password(
    attack: Callable[[Attack], int], host: Host, client: Client
) -> None:
    middle = ManInTheMiddle()
    _, name = host(attack(middle))
    done = client(name)  # somebody who does not compare keys
    assert done.returncode == 64, done.stderr
    assert "does not own it" in done.stderr
    assert PASSWORD.encode() not in middle.read


@pytest.mark.parametrize("asks_for", ["", "a guess of it"], ids=["no password", "a password"])
def test_a_service_that_poses_as_the_host_learns_nothing(
    attack: Callable[[Attack], int], host: Host, client: Client, asks_for: str
) -> None:
    impostor = Impostor(asks_for)
    server, name = host(attack(impostor))
    done = client(name, new=False)
    assert done.returncode == 60, done.stderr
    assert fingerprint(impostor.identity.public_key) in done.stderr, "the user compares this one with the host's"
    done = client(name)  # somebody who does not
    assert done.returncode in (62, 63), done.stderr
    assert not [line for line in server.log if "guest by name" in line]


def test_a_host_that_is_known_cannot_be_replaced(attack: Callable[[Attack], int], host: Host, client: Client) -> None:
    impostor = Impostor("")
    is_hostile = False

    def later(message: Rendezvous, is_from_host: bool, reply: Reply) -> Rendezvous | None:
        return impostor(message, is_from_host, reply) if is_hostile else message  # type: ignore[func-returns-value]

    _, name = host(attack(later))
    assert way(client(name)) == "a data channel, direct"
    is_hostile = True
    done = client(name)
    assert done.returncode == 64, done.stderr
    assert "has changed" in done.stderr


@pytest.mark.parametrize("is_from_host", [False, True], ids=["to the host", "to the guest"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda body: body[:-1] + bytes([body[-1] ^ 1]), id="one bit"),
        pytest.param(lambda body: body[: len(body) // 2], id="cut off", marks=pytest.mark.thorough),
        pytest.param(lambda body: body + b"\0", id="longer", marks=pytest.mark.thorough),
        pytest.param(lambda _: b"\x03" + bytes(60), id="zeros", marks=pytest.mark.thorough),
    ],
)
def test_changed_messages_end_the_attempt_with_a_sentence(
    attack: Callable[[Attack], int], host: Host, client: Client, is_from_host: bool, change: Callable[[bytes], bytes]
) -> None:
    def damage(message: Rendezvous, is_reply: bool, _reply: Reply) -> Rendezvous | None:
        body = change(message.body) if is_reply == is_from_host and message.body[:1] == b"\x03" else message.body
        return Rendezvous(message.session_id, message.sender_id, message.recipient_id, body)

    server, name = host(attack(damage))
    done = client(name)
    assert done.returncode in (42, 43, 44, 60, 62, 63, 64), done.stderr
    assert "Traceback" not in done.stderr
    assert server.process.poll() is None
