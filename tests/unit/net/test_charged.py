"""Every step of a task is charged, and nothing that runs in between."""

from __future__ import annotations

import asyncio
import time

import pytest

from teleglyph.net import Stopwatch, charged


def compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def work(steps: int) -> str:
    for _ in range(steps):
        compute(0.01)
        await asyncio.sleep(0.001)
    return "done"


def test_steps_are_measured_and_the_result_is_returned() -> None:
    paid: list[float] = []

    async def run() -> str:
        other = asyncio.create_task(work(10))
        result = await charged(work(3), Stopwatch(paid.append))
        await other
        return result

    assert asyncio.run(run()) == "done"
    assert 0.03 <= sum(paid) < 0.09, "the other task's 0.1 s are not among them"


def test_a_lap_charges_the_step_so_far_only_once() -> None:
    paid: list[float] = []
    stopwatch = Stopwatch(paid.append)

    async def settling() -> None:
        compute(0.01)
        stopwatch.lap()
        assert sum(paid) >= 0.01
        compute(0.01)

    asyncio.run(charged(settling(), stopwatch))
    assert 0.02 <= sum(paid) < 0.04


def test_outside_of_steps_nothing_is_charged() -> None:
    paid: list[float] = []
    stopwatch = Stopwatch(paid.append)
    compute(0.01)
    stopwatch.lap()
    assert paid == []


def test_another_account_can_be_charged() -> None:
    first: list[float] = []
    second: list[float] = []
    stopwatch = Stopwatch(first.append)

    async def change() -> None:
        compute(0.01)
        stopwatch.lap()
        stopwatch.charge = second.append
        compute(0.01)

    async def run() -> None:
        await charged(change(), stopwatch)

    asyncio.run(run())
    assert 0.01 <= sum(first) < 0.02 <= sum(first) + sum(second)


def test_errors_and_cancellation_pass_through_both_ways() -> None:
    async def run() -> list[str]:
        seen: list[str] = []

        async def failing() -> None:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
            finally:
                await asyncio.sleep(0)
                seen.append("cleaned up")

        task = asyncio.create_task(charged(failing(), Stopwatch(lambda _: None)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async def raising() -> None:
            await asyncio.sleep(0)
            raise KeyError("x")

        with pytest.raises(KeyError):
            await charged(raising(), Stopwatch(lambda _: None))
        async with asyncio.timeout(10):
            assert await charged(asyncio.sleep(0.01, "value"), Stopwatch(lambda _: None)) == "value"
        return seen

    assert asyncio.run(run()) == ["cancelled", "cleaned up"]
