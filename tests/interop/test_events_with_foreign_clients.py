"""The relay with clients of other projects: rust-nostr and four npm libraries."""

from __future__ import annotations

import asyncio
import datetime
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import nostr_sdk
import pytest

from conftest import ServerProcess
from teleglyph.keys.nostr import npub_of

StartServer = Callable[..., ServerProcess]
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
ADMIN = bytes([7]) * 32
NPM_PACKAGES = (
    "@nostr-dev-kit/ndk@3.0.3",
    "@rx-nostr/crypto@3.1.6",
    "applesauce-relay@6.2.1",
    "nostr-tools@2.25.2",
    "rx-nostr@3.7.5",
    "ws@8.23.0",
)
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def relay(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    server = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path / "data"))
    server.wait_for_log("HTTP on port")
    return server


def npm_packages() -> Path:
    """A directory with the clients and ws, created once."""
    directory = ROOT / "build" / "npm-clients"
    environment = dict(os.environ)
    if SYSTEM_CERTIFICATES.is_file():
        # Node has its own list; the system's may have another authority.  Empty means no extra authorities.
        environment["NODE_EXTRA_CA_CERTS"] = environment.get("NODE_EXTRA_CA_CERTS") or str(SYSTEM_CERTIFICATES)
    directory.mkdir(parents=True, exist_ok=True)
    installed = directory / "installed"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.is_file() or installed.read_text().split() != list(NPM_PACKAGES):
            subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--prefix", directory, *NPM_PACKAGES],
                check=True,
                timeout=150,
                capture_output=True,
                env=environment,
            )
            installed.write_text("\n".join(NPM_PACKAGES))
    return directory


def test_nostr_tools(relay: ServerProcess) -> None:
    script = Path(__file__).with_name("nostr_tools.mjs")
    result = subprocess.run(
        ["node", script, npm_packages(), f"ws://127.0.0.1:{relay.http_port}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert said["refused"].startswith("invalid: ")
    assert said["counted"] == 2
    assert said["again"].startswith("blocked: ")
    assert said["stored"] == ["second"]
    assert said["before"].startswith("auth-required: ")
    assert said["after"] == "accepted"
    assert said["live"] == ["first ü 😀 \u0001", "second", "typing", "protected"]


def test_nostr_tools_manages_the_relay(start_server: StartServer, tmp_path: Path) -> None:
    relay = start_server(
        *("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path / "data")),
        *("--relay-admin", npub_of(ADMIN)),
    )
    relay.wait_for_log("HTTP on port")
    script = Path(__file__).with_name("nostr_management.mjs")
    result = subprocess.run(
        ["node", script, npm_packages(), f"http://127.0.0.1:{relay.http_port}/", ADMIN.hex()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    *said, refused = json.loads(result.stdout)
    banned = [{"pubkey": "ab" * 32, "reason": "spam ü"}]
    assert said == [[200, {"result": answer}] for answer in (True, banned, banned, True, [])]
    assert refused[0] == 400
    assert list(refused[1]) == ["error"]


@pytest.mark.parametrize("library", ["nostr-tools", "ndk", "applesauce", "rx-nostr"])
def test_a_group_is_run_with_each_library(relay: ServerProcess, library: str) -> None:
    script = Path(__file__).with_name("foreign_groups.mjs")
    result = subprocess.run(
        ["node", script, npm_packages(), f"ws://127.0.0.1:{relay.http_port}", library],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    loaded = {
        "nostr-tools": {"name": "Kitchen", "members": ["ann", "bob"], "admins": ["ann"]},
        "ndk": {"name": "Kitchen", "members": ["ann", "bob"]},
    }
    assert said.pop("loaded", None) == loaded.get(library), "two have a loader of groups"
    refusals = {
        "joined_again": "refused duplicate: ",
        "forbidden": "refused restricted: ",
        "outsider_writes": "refused restricted: ",
        "outsider_joins": "refused restricted: ",
    }
    for step, beginning in refusals.items():
        assert said.pop(step).startswith(beginning), step
    assert said == {
        **dict.fromkeys(["created", "renamed", "joined", "written", "closed"], ""),
        **dict.fromkeys(["invited", "came_with_code", "left", "removed"], ""),
        "members": ["ann", "bob"],
        "member_reads": ["hello"],
        "outsider_reads": [],
        "members_later": ["ann", "carol"],
        "members_at_last": ["ann"],
        "live": ["hello"],
    }


def test_rust_nostr(relay: ServerProcess) -> None:
    keys = nostr_sdk.Keys.generate()
    now = int(time.time())

    def make(kind: int, content: str, *tags: list[str], at: int = now) -> nostr_sdk.Event:
        builder = nostr_sdk.EventBuilder(nostr_sdk.Kind(kind), content)
        builder = builder.tags([nostr_sdk.Tag.parse(tag) for tag in tags])
        return builder.custom_created_at(nostr_sdk.Timestamp.from_secs(at)).finalize(keys)

    def wanted(**members: object) -> nostr_sdk.ReqTarget:
        return nostr_sdk.ReqTarget.auto([nostr_sdk.Filter.from_json(json.dumps(members))])

    async def run() -> None:
        # Its callbacks run in threads of their own, which do not know the loop.
        nostr_sdk.uniffi_set_event_loop(asyncio.get_running_loop())
        builder = nostr_sdk.ClientBuilder().authenticator(nostr_sdk.SignerAuthenticator(keys))
        client = builder.build()
        await client.add_relay(nostr_sdk.RelayUrl.parse(f"ws://127.0.0.1:{relay.http_port}"))
        await client.connect()
        patience = datetime.timedelta(seconds=10)

        async def stored(**members: object) -> list[str]:
            events = await client.fetch_events(wanted(**members), patience)
            return [json.loads(event.as_json())["content"] for event in events]

        texts = ['control \x01 and quotes " \\ ', "ü 😀 \u2028", "third"]
        events = [make(1, text, ["t", "x"], at=now + number) for number, text in enumerate(texts)]
        for event in events:
            output = await client.send_event(event)
            assert len(output.success) == 1, output.failed
        assert await stored(kinds=[1]) == texts[::-1]
        assert await stored(kinds=[1], limit=1) == texts[2:]
        assert sorted(await stored(**{"#t": ["x"]})) == sorted(texts)
        assert await stored(search="third") == ["third"]
        await client.send_event(make(5, "", ["e", events[0].id().to_hex()]))
        assert await stored(kinds=[1]) == [texts[2], texts[1]]
        again = await client.send_event(events[0])
        assert len(again.success) == 0
        protected = await client.send_event(make(1, "protected", ["-"], at=now + 9))
        assert len(protected.success) == 1, protected.failed
        await client.shutdown()

    asyncio.run(run())
