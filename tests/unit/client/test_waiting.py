"""Waiting for the first of several things."""

import asyncio

import pytest

from teleglyph.client.waiting import unless_stopped, wait_for_first


async def number() -> int:
    return 7


async def forever() -> int:
    await asyncio.Event().wait()
    return 0


def test_work_that_finishes_returns_its_result() -> None:
    assert asyncio.run(unless_stopped(number(), asyncio.Event())) == 7


def test_an_error_in_the_work_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(unless_stopped(fail(), asyncio.Event()))


def test_work_is_cancelled_when_the_user_leaves() -> None:
    async def work() -> None:
        stop = asyncio.Event()
        stop.set()
        assert await unless_stopped(forever(), stop) is None

    asyncio.run(work())


def test_tasks_keep_running_and_coroutines_are_cancelled() -> None:
    async def work() -> None:
        task = asyncio.create_task(forever())
        await wait_for_first(task, number(), forever())
        await wait_for_first(task, timeout=0.01)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {task, asyncio.current_task()}
        task.cancel()

    asyncio.run(work())
