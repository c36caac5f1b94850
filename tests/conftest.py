"""Real parts for tests: server processes and independent peers."""

from __future__ import annotations

import functools
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from acip_peer import AcipPeer
from prepared_process import ForkServer, PreparedProcess
from teleglyph.net import own_addresses

settings.register_profile("gate", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None)
settings.register_profile("long", deadline=None, max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


_STORAGE = {"--data-dir", "--database", "--events", "--ephemeral"}


@pytest.fixture(scope="session", autouse=True)
def _no_data_of_the_developer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers must not write into the developer's data directory, nor clients into the lists of servers and calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("xdg-data")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("xdg-config")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("xdg-state")))
        yield


@functools.cache
def fork_server() -> ForkServer:
    """The process that starts programs for all tests of this process."""
    return ForkServer()


def run_program(
    *words: str, given: str = "", seconds: float = 60, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``teleglyph`` without a terminal to its end.

    Args:
        *words: the command and its options.
        given: standard input.
        seconds: after which it is killed and the test fails.
        environment: all variables; None for the test's own.
    """
    variables = os.environ if environment is None else environment
    if sys.platform != "linux":
        command = [sys.executable, "-m", "teleglyph", *words]
        return subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=seconds, env=variables, check=False
        )
    return fork_server().run(words, variables, given, seconds)


class ServerProcess:
    """A ``teleglyph server`` on its own port, with its log.

    Without an option for storage it stores nothing.  Its default data directory is its own.
    """

    def __init__(self, *options: str, environment: dict[str, str] | None = None) -> None:
        self._data = tempfile.TemporaryDirectory(prefix="teleglyph-data-")
        storage = () if _STORAGE & set(options) else ("--ephemeral",)
        arguments = ["--log-level", "debug", "server", "127.0.0.1", "--port", "0", "--no-http"]
        arguments += ["--connection-rate", "0", "--connections-per-address", "0", *storage, *options]
        variables = {**os.environ, "XDG_DATA_HOME": self._data.name, **(environment or {})}
        self.process: subprocess.Popen[str] | PreparedProcess
        if environment or sys.platform != "linux":
            self.process = subprocess.Popen(
                [sys.executable, "-m", "teleglyph", *arguments], stderr=subprocess.PIPE, text=True, env=variables
            )
        else:
            self.process = fork_server().start(arguments, variables)
        self.log: list[str] = []
        self.port = self.http_port = 0
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._listening.wait(30), self.log
        assert self.port, "".join(self.log)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"HTTP(?: with TLS)? on port (\d+)", line):
                self.http_port = int(found[1])
            if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                self.http_port = self.http_port or self.port
                self._listening.set()
        self._listening.set()

    def wait_for_log(self, pattern: str, seconds: float = 10.0) -> str:
        """The first log line that matches, now or within ``seconds``."""
        for _ in range(int(seconds * 20)):
            for line in list(self.log):
                if re.search(pattern, line):
                    return line
            self._listening.clear()
            threading.Event().wait(0.05)
        raise AssertionError(f"nothing in the log matches {pattern!r}:\n{''.join(self.log)}")

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(5)
        if self.process.stderr is not None:
            self.process.stderr.close()
        self._data.cleanup()
        return code


@pytest.fixture
def start_server() -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers; they are stopped at the end, and must stop cleanly."""
    servers: list[ServerProcess] = []

    def start(*options: str, **kwargs: dict[str, str]) -> ServerProcess:
        servers.append(ServerProcess(*options, **kwargs))
        return servers[-1]

    yield start
    _stop(servers)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., ServerProcess]]:
    """One server with HTTP and events for each set of options, shared by the tests of a module that leave no traces.

    Starting a server takes longer than most such tests.
    """
    servers: dict[tuple[str, ...], ServerProcess] = {}

    def share(*options: str) -> ServerProcess:
        if options not in servers:
            data = str(tmp_path_factory.mktemp("shared"))
            server = ServerProcess("--http", "--http-port", "0", "--events", "--data-dir", data, *options)
            server.wait_for_log("HTTP on port")
            servers[options] = server
        assert servers[options].process.poll() is None, "".join(servers[options].log)
        return servers[options]

    yield share
    _stop(servers.values())


def _stop(servers: Iterable[ServerProcess]) -> None:
    for server in servers:
        was_running = server.process.poll() is None
        code = server.stop()
        if was_running:
            assert code == 0, "".join(server.log)
        assert "Traceback" not in "".join(server.log), "".join(server.log)


@pytest.fixture
def server(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    """One server with default options."""
    return start_server()


@pytest.fixture
def connect() -> Iterator[Callable[[ServerProcess], AcipPeer]]:
    """Connects independent peers; they are closed at the end."""
    peers: list[AcipPeer] = []

    def open_peer(server: ServerProcess) -> AcipPeer:
        peers.append(AcipPeer(server.port))
        return peers[-1]

    yield open_peer
    for peer in peers:
        peer.close()


@pytest.fixture
def lan_address() -> str:
    """An address of this machine that others could reach; clients do not trust it as they trust a loopback address."""
    found = [address for address in own_addresses() if ":" not in address]
    if not found:
        pytest.skip("this machine has no network")
    return found[0]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL server, by its URL."""
    script = Path(__file__).parent.parent / "scripts" / "postgresql"
    # Not below pytest's directory, which only its user may enter: started by root, PostgreSQL runs as another user.
    directory = tempfile.mkdtemp(prefix="teleglyph-postgresql-")
    try:
        yield subprocess.run(
            [script, "start", directory], check=True, stdout=subprocess.PIPE, text=True, timeout=60
        ).stdout.strip()
    finally:
        subprocess.run([script, "stop", directory], check=False, timeout=60)
        shutil.rmtree(directory, ignore_errors=True)


_numbers = itertools.count()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The place of an empty database; every test that uses it runs with SQLite and with PostgreSQL."""
    if request.param == "sqlite":
        return str(tmp_path / "base.sqlite3")
    url: str = request.getfixturevalue("postgresql")
    name = f"test{next(_numbers)}"
    with psycopg.connect(url, autocommit=True) as base:
        base.execute(f"CREATE DATABASE {name}")
    return url.replace("/postgres?", f"/{name}?")
