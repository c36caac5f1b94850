"""Every way to join with what a server asks for: right, wrong or missing, over each protocol, as both ends see it."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ServerProcess, run_program
from teleglyph.keys import write_identity

PASSWORD, OTHER_PASSWORD = "correct horse", "wrong horses"
PROTOCOLS = {
    "link 2": ("127.0.0.1:{port}", "--protocol", "2"),
    "ACIP": ("127.0.0.1:{port}", "--protocol", "acip"),
    "WebSocket": ("ws://127.0.0.1:{port}",),
}
ASKS_PASSWORD = "requires a password, and there is no terminal to ask for it"
ASKS_KEY = "only admits keys that its host knows"
WRONG_PASSWORD = "The password from TELEGLYPH_PASSWORD is wrong"
WRONG_KEY = "does not know your client key SHA256:"
NOT_ASKED = "does not ask for the password"


@dataclass(frozen=True)
class Case:
    """A client with some credentials at a server that asks for some.

    Attributes:
        server: what the server asks for.
        password: the client's; None for none.
        key: the name of the client's key; None for none.
        code: the client's exit code.
        client: part of what the client prints; empty if it joins.
        log: what the server logs, as a pattern.
    """

    server: str
    password: str | None
    key: str | None
    code: int
    client: str
    log: str


NOT_ADMITTED = r"was refused: The client's key SHA256:\S+ is not admitted"
JOINED = r"ann joined \(1 in the call\)"
LEFT = "closed the (connection|WebSocket)"
CASES = [
    Case("none", None, None, 0, "", JOINED),
    Case("none", None, "friend", 0, "", JOINED),
    Case("none", PASSWORD, None, 62, NOT_ASKED, LEFT),
    Case("password", PASSWORD, None, 0, "", JOINED),
    Case("password", OTHER_PASSWORD, None, 62, WRONG_PASSWORD, "was refused: The client does not know the password"),
    Case("password", None, None, 62, ASKS_PASSWORD, LEFT),
    Case("password", None, "friend", 62, ASKS_PASSWORD, LEFT),
    Case("key", None, "friend", 0, "", JOINED),
    Case("key", None, "stranger", 62, WRONG_KEY, NOT_ADMITTED),
    Case("key", None, None, 62, ASKS_KEY, LEFT),
    Case("key", PASSWORD, "friend", 62, NOT_ASKED, LEFT),
    Case("both", PASSWORD, "friend", 0, "", JOINED),
    Case("both", OTHER_PASSWORD, "friend", 62, WRONG_PASSWORD, "was refused: The client does not know the password"),
    Case("both", PASSWORD, "stranger", 62, WRONG_KEY, NOT_ADMITTED),
    Case(
        "both", OTHER_PASSWORD, "stranger", 62, WRONG_KEY, r"was refused: The client's key SHA256:\S+ is not admitted"
    ),
    Case("both", None, "friend", 62, ASKS_PASSWORD, LEFT),
    Case("both", PASSWORD, None, 62, ASKS_KEY, LEFT),
    Case("both", None, None, 62, ASKS_KEY, LEFT),
]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    for name in ("server", "friend", "stranger"):
        write_identity(directory / name, None, name)
    return directory


@pytest.fixture(scope="module")
def servers(keys: Path) -> Iterator[Callable[[str], ServerProcess]]:
    """One server for each thing to ask for.  Wrong proofs are not limited, because there are many here."""
    options: dict[str, tuple[str, ...]] = {
        "none": (),
        "password": ("--password", PASSWORD),
        "key": ("--client-keys", str(keys / "friend.pub")),
        "both": ("--password", PASSWORD, "--client-keys", str(keys / "friend.pub")),
    }
    started: dict[str, ServerProcess] = {}

    def server(asks: str) -> ServerProcess:
        if asks not in started:
            started[asks] = ServerProcess("--http", "--key", str(keys / "server"), *options[asks])
        return started[asks]

    yield server
    for each in started.values():
        assert each.stop() == 0
        assert "Traceback" not in "".join(each.log)


def join(server: ServerProcess, protocol: str, case: Case, keys: Path, home: Path) -> subprocess.CompletedProcess[str]:
    address, *options = PROTOCOLS[protocol]
    key = ("--key", str(keys / case.key)) if case.key else ()
    environment = {**os.environ, "XDG_CONFIG_HOME": str(home), "HOME": str(home)}
    environment.pop("TELEGLYPH_PASSWORD", None)
    if case.password is not None:
        environment["TELEGLYPH_PASSWORD"] = case.password
    words = ["client", address.format(port=server.port), *options, *key, "--name", "ann", "--accept-new-server"]
    return run_program(*words, "--snapshot", "--snapshot-delay", "0.2", "--test-pattern", environment=environment)


def wait_for_log(server: ServerProcess, seen: int, pattern: str) -> None:
    """Wait for a line after the first ``seen`` ones."""
    deadline = time.monotonic() + 10
    while not re.search(pattern, "".join(server.log[seen:])):
        assert time.monotonic() < deadline, "".join(server.log[seen:])
        time.sleep(0.05)


def _combinations() -> list[object]:
    """Each case with each protocol; each case with one protocol is enough where time is short."""
    return [
        pytest.param(
            case,
            protocol,
            id=f"{case.server}-{case.password}-{case.key}-{protocol}".replace(" ", "_"),
            marks=() if turn == number % len(PROTOCOLS) else pytest.mark.thorough,
        )
        for number, case in enumerate(CASES)
        for turn, protocol in enumerate(PROTOCOLS)
    ]


@pytest.mark.parametrize(("case", "protocol"), _combinations())
def test_both_ends_report_what_happened(
    servers: Callable[[str], ServerProcess], keys: Path, tmp_path: Path, case: Case, protocol: str
) -> None:
    server = servers(case.server)
    seen = len(server.log)
    done = join(server, protocol, case, keys, tmp_path)
    assert done.returncode == case.code, done.stderr
    assert "Traceback" not in done.stderr
    if case.client:
        assert case.client in done.stderr
        assert not done.stdout
    else:
        assert done.stdout.strip(), "a picture"
    wait_for_log(server, seen, case.log)
    assert PASSWORD not in "".join(server.log[seen:])
