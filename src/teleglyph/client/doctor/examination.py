"""Runs checks side by side.  A check that hangs or fails becomes a finding, and delays no other for long."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from teleglyph.client.doctor.report import Finding, problem
from teleglyph.errors import TeleglyphError

_log = logging.getLogger(__name__)

DEFAULT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """One question about this machine or its network.

    Attributes:
        name: for programs; it never changes.
        title: for people.
        run: looks, and returns the finding.  It must not block the event loop: see :func:`in_thread`.
        if_stuck: what to do if it does not finish.
        seconds: how long it may take.
    """

    name: str
    title: str
    run: Callable[[], Awaitable[Finding]]
    if_stuck: str
    seconds: float = DEFAULT_SECONDS


@dataclass(frozen=True, slots=True)
class Result:
    """A check and its finding.

    Attributes:
        check: what was checked.
        finding: what was found.
        seconds: how long that took.
    """

    check: Check
    finding: Finding
    seconds: float


async def examine(checks: Sequence[Check], show: Callable[[Result], None] = lambda _: None) -> list[Result]:
    """Run checks side by side.

    Args:
        checks: what to check.
        show: called with each result, in the order of the checks and as early as that allows.

    Returns:
        one result for each check, in their order.
    """
    tasks = [asyncio.create_task(_examine(check)) for check in checks]
    results = []
    try:
        for task in tasks:
            results.append(await task)
            show(results[-1])
    finally:
        for task in tasks:
            task.cancel()
    return results


async def _examine(check: Check) -> Result:
    started = time.monotonic()
    task = asyncio.ensure_future(check.run())
    try:
        await asyncio.wait({task}, timeout=check.seconds)
    finally:
        # A check that ignores its cancellation must not delay the others, so nobody waits for it.
        if not task.done():
            task.cancel()
    return Result(check, _finding_of(check, task), time.monotonic() - started)


def _finding_of(check: Check, task: asyncio.Future[Finding]) -> Finding:
    if not task.done():
        return problem(f"This check did not finish within {check.seconds:g} s.", check.if_stuck)
    if task.cancelled():
        return problem("This check ended early.", "Run 'teleglyph doctor' again.")
    error = task.exception()
    if error is None:
        return task.result()
    _log.debug("Check %s failed", check.name, exc_info=error)
    if isinstance(error, TeleglyphError):
        return problem(str(error), "Fix that first, and run 'teleglyph doctor' again.")
    return problem(
        f"This check itself failed: {type(error).__name__}: {error}.",
        "Run 'teleglyph --log-level debug doctor', and report what it prints.",
    )


def in_thread(look: Callable[[], Finding]) -> Callable[[], Awaitable[Finding]]:
    """Make a check of a function that blocks: it runs in a thread, which may hang without harm."""

    async def run() -> Finding:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Finding] = loop.create_future()

        def deliver(finding: Finding | None, error: Exception | None) -> None:
            if found.done():
                return
            if error is not None:
                found.set_exception(error)
            elif finding is not None:
                found.set_result(finding)

        def work() -> None:
            finding, failure = None, None
            try:
                finding = look()
            except Exception as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # nobody waits any more: the loop is closed
                loop.call_soon_threadsafe(deliver, finding, failure)

        # The interpreter does not wait for a daemon at its end, as it would for the threads of an executor.
        threading.Thread(target=work, name="check", daemon=True).start()
        return await found

    return run


def immediate(look: Callable[[], Finding]) -> Callable[[], Awaitable[Finding]]:
    """Make a check of a function that only computes."""

    async def run() -> Finding:
        return look()

    return run
