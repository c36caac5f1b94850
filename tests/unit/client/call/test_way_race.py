"""The race of several ways to a host."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from teleglyph.client.call.ways.race import Attempt, NoWayError, WayRace
from teleglyph.errors import AuthenticationError, ConnectError, PeerError, PeerTimeoutError, VerificationError


class Line:
    """In place of a connection."""

    def __init__(self) -> None:
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True


def way(seconds: float, outcome: Line | PeerError) -> Attempt:
    async def attempt() -> Any:
        await asyncio.sleep(seconds)
        if isinstance(outcome, PeerError):
            raise outcome
        return outcome, "done"

    return attempt


def run(scene: Callable[[WayRace], Coroutine[Any, Any, None]]) -> None:
    async def play() -> None:
        async with asyncio.timeout(20):
            await scene(WayRace())
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, "something still runs"

    asyncio.run(play())


def test_the_first_way_that_works_wins_and_the_others_are_closed() -> None:
    fast, slow = Line(), Line()

    async def scene(race: WayRace) -> None:
        race.add("broken", way(0.0, ConnectError("refused")))
        race.add("slow", way(0.2, slow))
        race.add("fast", way(0.05, fast))
        race.close()
        won = await race.winner()
        assert won.way == "fast"
        assert won.connection is fast  # type: ignore[comparison-overlap]
        assert [name for name, _ in race.failures] == ["broken"]

    run(scene)
    assert not fast.is_closed


def test_a_way_that_works_too_late_is_closed() -> None:
    first, second = Line(), Line()

    async def scene(race: WayRace) -> None:
        both = asyncio.Event()

        def at_once(line: Line) -> Attempt:
            async def attempt() -> Any:
                await both.wait()
                return line, "done"

            return attempt

        race.add("first", at_once(first))
        race.add("second", at_once(second))
        race.close()
        asyncio.get_running_loop().call_soon(both.set)
        await race.winner()

    run(scene)
    assert [first.is_closed, second.is_closed] == [False, True]


def test_a_delayed_way_waits() -> None:
    line = Line()

    async def scene(race: WayRace) -> None:
        race.add("later", way(0.0, line), delay=5.0)
        race.add("now", way(0.01, Line()))
        race.close()
        assert (await race.winner()).way == "now"

    run(scene)


def test_ways_may_be_found_during_the_race() -> None:
    async def scene(race: WayRace) -> None:
        async def look() -> None:
            await asyncio.sleep(0.05)
            race.add("found", way(0.0, Line()))

        race.add("broken", way(0.0, ConnectError("refused")))
        race.prepare("search", look())
        race.close()
        assert (await race.winner()).way == "found"

    run(scene)


@pytest.mark.parametrize(
    ("failures", "kind", "text"),
    [
        ([ConnectError("refused.")], ConnectError, r"^refused\.$"),
        ([ConnectError("a."), PeerTimeoutError("b.")], NoWayError, r"By way 0: a\. By way 1: b\."),
        ([ConnectError("a."), VerificationError("another server.")], VerificationError, "another server"),
    ],
)
def test_if_no_way_works_the_error_says_why(failures: list[PeerError], kind: type[PeerError], text: str) -> None:
    async def scene(race: WayRace) -> None:
        for number, failure in enumerate(failures):
            race.add(f"way {number}", way(0.01 * number, failure))
        race.close()
        with pytest.raises(kind, match=text):
            await race.winner()

    run(scene)


def test_a_race_without_ways_is_lost() -> None:
    async def scene(race: WayRace) -> None:
        race.close()
        with pytest.raises(NoWayError, match="None was found"):
            await race.winner()

    run(scene)


def test_a_refusal_by_the_host_ends_the_race() -> None:
    async def scene(race: WayRace) -> None:
        race.add("slow", way(15.0, Line()))
        race.add("refused", way(0.0, AuthenticationError("the password is wrong")))
        with pytest.raises(AuthenticationError):
            await race.winner()

    run(scene)


def test_a_programming_error_ends_the_race() -> None:
    async def broken() -> None:
        raise RuntimeError("a bug")

    async def scene(race: WayRace) -> None:
        race.add("slow", way(15.0, Line()))
        race.prepare("search", broken())
        with pytest.raises(RuntimeError, match="a bug"):
            await race.winner()

    run(scene)


def test_a_cancelled_race_leaves_nothing_behind() -> None:
    async def scene(race: WayRace) -> None:
        race.add("slow", way(15.0, Line()))
        winner: Awaitable[object] = asyncio.ensure_future(race.winner())
        await asyncio.sleep(0.01)
        assert isinstance(winner, asyncio.Future)
        winner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await winner

    run(scene)
