"""When the garbage collector runs."""

from __future__ import annotations

import asyncio
import gc
import platform
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from teleglyph.server import garbage


class Cycle:
    """Refers to itself, so only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


def collected_after_checks(count: int, connections: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether garbage is gone when the number of connections has been checked ``count`` times."""
    monkeypatch.setattr(garbage, "_INTERVAL", 0.0)
    # A collection takes as long as there is memory of other tests, and the rest after it many times as long.
    monkeypatch.setattr(garbage, "_REST", 0)
    cycle: Callable[[], object] = weakref.ref(Cycle())

    async def main() -> None:
        checks, done = 0, asyncio.Event()

        def number() -> int:
            nonlocal checks
            checks += 1
            if checks == count:
                done.set()
            return connections

        collecting = asyncio.create_task(garbage.collect_while_few(number))
        async with asyncio.timeout(10):
            await done.wait()
        collecting.cancel()

    gc.disable()
    try:
        asyncio.run(main())
        return cycle() is None
    finally:
        gc.enable()


def test_garbage_is_collected_while_there_are_few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    assert collected_after_checks(2, garbage._FEW, monkeypatch)


def test_garbage_is_left_to_automatic_collections_while_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not collected_after_checks(3, garbage._FEW + 1, monkeypatch)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries need no call")
def test_free_memory_between_used_blocks_returns_to_the_system() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    blocks = [b"x" * 100_000 for _ in range(600)]
    used = blocks[::100]
    del blocks
    before = resident()
    assert garbage.return_free_memory()
    assert before - resident() > 20_000_000
    assert len(used) == 6
