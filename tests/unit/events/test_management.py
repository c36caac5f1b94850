"""A decision that cannot be stored has no effect."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teleglyph.events import management as module
from teleglyph.events.http_auth import HttpRequest
from teleglyph.events.management import Management, ManagementRefusedError
from teleglyph.events.policy import Policy
from teleglyph.store import Database, open_database
from teleglyph.store.moderation import ModerationStore, Rule, RuleChange
from teleglyph.wire.nostr.event import sign_event

ADMIN = bytes([7]) * 32
KEY = "ab" * 32


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "base.sqlite3", 1)
    yield opened
    opened.close()


def request(method: str, *params: object) -> HttpRequest:
    body = json.dumps({"method": method, "params": params}).encode()
    tags = [["u", "http://x/"], ["method", "POST"], ["payload", hashlib.sha256(body).hexdigest()]]
    event = sign_event(ADMIN, int(time.time()), 27235, tags)
    header = "Nostr " + base64.b64encode(event.text).decode()
    return HttpRequest("POST", "/", header, body, lambda url: url == "http://x/")


def made(database: Database, policy: Policy, changes: list[RuleChange]) -> Management:
    admin = sign_event(ADMIN, 1, 1).pubkey
    return Management(ModerationStore(database), policy, frozenset([admin]), frozenset(["cd" * 32]), changes.append)


async def ask(management: Management, method: str, *params: object, uptime: float = 0.0) -> Any:
    return await management.answer(request(method, *params), time.time(), uptime)


def test_a_decision_that_cannot_be_stored_is_undone(database: Database) -> None:
    full = "CREATE TRIGGER full BEFORE INSERT ON relay_rules BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    policy, changes = Policy(), []  # type: Policy, list[RuleChange]

    async def main() -> None:
        management = made(database, policy, changes)
        assert await ask(management, "banpubkey", KEY, "before") is True
        database.write(lambda base: base.run(full)).result()
        for method, value in (("banpubkey", "ef" * 32), ("allowpubkey", KEY), ("changerelayname", "x")):
            with pytest.raises(ManagementRefusedError) as caught:
                await ask(management, method, value)
            assert caught.value.status == 503
        assert await ask(management, "listbannedpubkeys") == [{"pubkey": KEY, "reason": "before"}]
        assert await ask(management, "listallowedpubkeys") == []

    asyncio.run(main())
    assert len(changes) == 1
    assert policy.rules[Rule.SETTING] == {}


def test_lists_and_rates_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)

    async def main() -> None:
        management = made(database, Policy(), [])
        for number in range(3):
            assert await ask(management, "banevent", f"{number:064x}") is True
        with pytest.raises(ManagementRefusedError, match="list is full"):
            await ask(management, "banevent", f"{9:064x}")
        assert await ask(management, "banevent", f"{1:064x}", "another reason") is True
        assert await ask(management, "allowevent", f"{1:064x}") is True
        assert await ask(management, "banevent", f"{9:064x}") is True
        with pytest.raises(ManagementRefusedError) as caught:
            for _ in range(60):
                await ask(management, "listbannedevents")
        assert caught.value.status == 429
        assert len(await ask(management, "listbannedevents", uptime=1.0)) == 3

    asyncio.run(main())


def test_neither_the_administrator_nor_the_relay_can_be_banned(database: Database) -> None:
    async def main() -> None:
        management = made(database, Policy(), [])
        for key in (sign_event(ADMIN, 1, 1).pubkey, "cd" * 32):
            with pytest.raises(ManagementRefusedError, match="cannot be banned"):
                await ask(management, "banpubkey", key)

    asyncio.run(main())
