"""Measures the processor time of a task's steps."""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeVar, cast

_Result = TypeVar("_Result")


class Stopwatch:
    """Measures the processor time of a task's steps: everything between two waits, including library code.

    Args:
        charge: called with seconds; may be replaced when another account should be charged.
    """

    __slots__ = ("_since", "charge")

    def __init__(self, charge: Callable[[float], object]) -> None:
        self.charge = charge
        self._since: float | None = None

    def begin(self) -> None:
        """Start measuring a step."""
        self._since = time.thread_time()

    def lap(self) -> None:
        """Charge what the step has cost since the last lap, and keep measuring."""
        if self._since is not None:
            since, self._since = self._since, time.thread_time()
            self.charge(self._since - since)

    def end(self) -> None:
        """Charge the rest of the step and stop measuring."""
        self.lap()
        self._since = None


@types.coroutine
def charged(work: Coroutine[Any, Any, _Result], stopwatch: Stopwatch) -> Generator[Any, Any, _Result]:
    """Run a coroutine and measure each of its steps with the stopwatch.

    Use::

        await charged(serve(connection), stopwatch)
    """
    step: Callable[[], Any] = partial(work.send, None)
    while True:
        stopwatch.begin()
        try:
            awaited = step()
        except StopIteration as end:
            return cast(_Result, end.value)
        finally:
            stopwatch.end()
        try:
            step = partial(work.send, (yield awaited))
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:
            step = partial(work.throw, error)
