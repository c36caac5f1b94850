"""The schedule of a room: collect the viewers that are due, draw one batch, deliver."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from concurrent.futures import Executor

from teleglyph.call.batch import Batch
from teleglyph.call.drawing import Drawing, Drawn
from teleglyph.call.moment import Alarm, Moment
from teleglyph.call.pacing import Schedules
from teleglyph.call.room import CallRoom
from teleglyph.call.viewer import Viewer

_INLINE_SECONDS = 0.0003
"""Batches that take longer than this are drawn in a thread, so that the event loop stays free."""
_HALVED_SECONDS = 0.004
"""Batches that take longer than this are drawn in two threads."""
_SMOOTHING = 0.1


class Pacer:
    """Runs the ticks of one room.

    Args:
        room: the room; nobody else draws for its viewers.
        pool: threads for large batches.
    """

    def __init__(self, room: CallRoom, pool: Executor) -> None:
        self._room = room
        self._pool = pool
        self._schedules = Schedules()
        self._alarm = Alarm(room.wake)
        self._seconds_per_job = 0.0

    async def run(self) -> None:
        """Serve ticks until cancelled."""
        room = self._room
        while True:
            quiet = not room.changed.is_set()
            await room.changed.wait()
            waiting = self._waiting(self._moment())
            if not waiting:
                room.changed.clear()
                continue
            delay = self._next_due(waiting) - time.monotonic()
            if delay > 0:
                await self._sleep(delay)
                quiet = False
            await self._tick(quiet)
            # The writers have their turn first: a frame that still is in an outbox would look like a busy link.
            await asyncio.sleep(0)

    async def _sleep(self, delay: float) -> None:
        """Wait for the next due time of the waiting viewers, or for a change that quicker viewers are to see."""
        room = self._room
        if self._next_due(room.viewers) - time.monotonic() >= delay:
            await asyncio.sleep(delay)
            return
        room.changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await room.changed.wait()
        room.changed.set()

    async def _tick(self, quiet: bool) -> None:
        room, moment = self._room, self._moment()
        due = [viewer for viewer in self._waiting(moment) if moment.is_due(viewer.rate)]
        if not due:
            return
        for viewer in room.viewers:
            viewer.count_skipped()
        for rate in {viewer.rate for viewer in due}:
            room.counters.late_ticks += self._schedules.of(rate).advance(moment.now, quiet)
        room.counters.ticks += 1
        batch = Batch(moment, room.pictures, room.scene, room.counters)
        for viewer in due:
            viewer.contribute(batch)
        drawing = batch.plan()
        while drawing.jobs:
            drawn = await self._draw(drawing)
            drawing = batch.finish(drawn, time.monotonic())
        for viewer in due:
            viewer.deliver(batch)

    def _moment(self) -> Moment:
        room, now = self._room, time.monotonic()
        moment = Moment(now, room.revision, room.scene_revision, room.expected_until, self._schedules, self._alarm)
        if moment.expected_until > now:
            moment.wake_at(moment.expected_until)
        return moment

    def _waiting(self, moment: Moment) -> list[Viewer]:
        """The viewers that lack something and can take it."""
        return [viewer for viewer in self._room.viewers if viewer.lacks_frame(moment) and viewer.can_receive(moment)]

    def _next_due(self, viewers: Iterable[Viewer]) -> float:
        return min(self._schedules.of(rate).next_due for rate in {viewer.rate for viewer in viewers})

    async def _draw(self, drawing: Drawing) -> Drawn:
        """Draw here if that is quick, else in one thread or two."""
        started, expected = time.perf_counter(), drawing.jobs * self._seconds_per_job
        if expected > _INLINE_SECONDS:
            loop = asyncio.get_running_loop()
            parts = drawing.halves() if expected > _HALVED_SECONDS else [drawing]
            drawn = Drawn.join(await asyncio.gather(*(loop.run_in_executor(self._pool, part.draw) for part in parts)))
        else:
            drawn = drawing.draw()
        seconds = time.perf_counter() - started
        self._room.counters.render_seconds += seconds
        self._seconds_per_job += (seconds / drawing.jobs - self._seconds_per_job) * _SMOOTHING
        return drawn
