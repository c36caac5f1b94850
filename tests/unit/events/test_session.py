"""A client's requests, when answering one of them fails."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from teleglyph.events.service import EventsService
from teleglyph.events.session import EventSession
from teleglyph.net import Connection, OwnNames
from teleglyph.store import open_database
from teleglyph.store.events import EventStore


class Outbox:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.is_congested = False

    def queue_raw(self, framed: bytes) -> None:
        self.sent.append(json.loads(framed[framed.index(b"[") :]))

    async def wait_until_below(self, _bytes: int, _messages: int) -> None: ...

    def purge(self, _owner: object) -> int:
        return 0


def test_an_error_in_one_request_does_not_affect_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> list[Any]:
        database = open_database(tmp_path / "base", 1)
        service = EventsService(EventStore(database))
        outbox = Outbox()
        limits = SimpleNamespace(outbox=SimpleNamespace(soft_bytes=1 << 20, soft_messages=1000))
        connection = cast(
            Connection,
            SimpleNamespace(outbox=outbox, limits=limits, peer="somebody", charge=lambda _seconds, **_options: None),
        )
        session = EventSession(service.state, connection, "192.0.2.1", cast(OwnNames, None), None)
        for name in ("find", "count", "records"):
            work = getattr(service.store, name)

            def fail_first(*arguments: Any, work: Any = work, failed: list[int] = [], **options: Any) -> Future[Any]:  # noqa: B006
                if not failed:
                    failed.append(1)
                    raise ZeroDivisionError
                return cast("Future[Any]", work(*arguments, **options))

            monkeypatch.setattr(service.store, name, fail_first)
        for number in (1, 2):
            await session.receive(json.dumps(["REQ", f"r{number}", {}]).encode())
            await session.receive(json.dumps(["COUNT", f"c{number}", {}]).encode())
            await session.receive(json.dumps(["NEG-OPEN", f"n{number}", {}, "61"]).encode())
        async with asyncio.timeout(20):
            while len(outbox.sent) < 7:  # noqa: ASYNC110 - it is a list
                await asyncio.sleep(0.01)
        session.close()
        await asyncio.to_thread(database.close)
        return outbox.sent[1:]

    with caplog.at_level("ERROR"):
        answers = asyncio.run(ask())
    text = "error: this request cannot be answered"
    assert answers[:3] == [["CLOSED", "r1", text], ["CLOSED", "c1", text], ["NEG-ERR", "n1", text]]
    assert [answer[:2] for answer in answers[3:]] == [["EOSE", "r2"], ["COUNT", "c2"], ["NEG-MSG", "n2"]]
    assert len(caplog.records) == 1, "a client cannot fill the log"
