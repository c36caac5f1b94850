"""The loop that gives every viewer of a room its frames on time.

At each tick the views of the viewers that are due are rendered in one native batch, each at most once and only if a
picture changed; the finished packet is put into each viewer's outbox by reference.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from concurrent.futures import Executor

from teleglyph.call.pacing import Schedule
from teleglyph.call.participant import Participant
from teleglyph.call.picture import Pictures
from teleglyph.call.room import Room
from teleglyph.call.view import View
from teleglyph.media.canvas import render_batch
from teleglyph.wire import ClearConsole, encode

_INLINE_SECONDS = 0.0003
"""Batches that take longer than this are rendered in a thread, so that the event loop stays free."""
_CLEAR = encode(ClearConsole())


class Pacer:
    """Runs one room.

    Args:
        room: the room; the pacer is the only one that renders its views.
        pool: threads for large batches.
    """

    def __init__(self, room: Room, pool: Executor) -> None:
        self._room = room
        self._pool = pool
        self._schedules: dict[int, Schedule] = {}
        self._seconds_per_view = 0.0

    async def run(self) -> None:
        """Serve ticks until cancelled."""
        while True:
            quiet = not self._room.changed.is_set()
            await self._room.changed.wait()
            waiting = self._waiting()
            if not waiting:
                self._room.changed.clear()
                continue
            delay = min(self._schedule(participant).next_due for participant in waiting) - time.monotonic()
            if delay > 0:
                await self._sleep(delay)
                quiet = False
            await self._tick(quiet)

    async def _sleep(self, delay: float) -> None:
        """Wait for the next due time of those who lack something, or for something that quicker viewers will lack."""
        room = self._room
        fastest = min(self._schedule(participant).next_due for participant in room.participants) - time.monotonic()
        if fastest >= delay:
            await asyncio.sleep(delay)
            return
        room.changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(room.changed.wait(), delay)
        room.changed.set()

    def _waiting(self) -> list[Participant]:
        """Viewers for whom there is something new and whose connection takes it."""
        revision = self._room.revision
        return [
            participant
            for participant in self._room.participants
            if participant.connection.blocked_since is None
            and (view := participant.view) is not None
            and (view.revision != revision or view.frame is None or view.frame.number != participant.shown_frame)
        ]

    def _schedule(self, participant: Participant) -> Schedule:
        schedule = self._schedules.get(participant.frame_rate)
        if schedule is None:
            schedule = self._schedules[participant.frame_rate] = Schedule(participant.frame_rate)
        return schedule

    async def _tick(self, quiet: bool) -> None:
        now = time.monotonic()
        due = [participant for participant in self._waiting() if self._schedule(participant).is_due(now)]
        if not due:
            return
        for participant in self._room.participants:
            participant.counters.frames_skipped += participant.connection.blocked_since is not None
        for schedule in {id(s): s for s in map(self._schedule, due)}.values():
            self._room.counters.late_ticks += schedule.served(now, quiet)
        self._room.counters.ticks += 1
        await self._render({participant.view for participant in due if participant.view is not None})
        self._deliver(due)

    async def _render(self, views: Iterable[View]) -> None:
        revision = self._room.revision
        stale = [view for view in views if view.revision != revision]
        pictures = Pictures.of(participant.picture for participant in self._room.sources)
        if not pictures.pixels:
            for view in stale:
                view.show_placeholder(revision)
            return
        while stale:
            texts = await self._run_batch(stale, [view.plan(pictures) for view in stale])
            rejected = [view for view, text in zip(stale, texts, strict=True) if not view.accept(text, revision)]
            self._room.counters.frames_degraded += len(rejected)
            self._room.counters.frames_rendered += len(stale)
            stale = rejected

    async def _run_batch(self, views: list[View], jobs: list[tuple]) -> list[bytes]:  # type: ignore[type-arg]
        started = time.perf_counter()
        if len(views) * self._seconds_per_view > _INLINE_SECONDS:
            texts = await asyncio.get_running_loop().run_in_executor(self._pool, render_batch, jobs)
        else:
            texts = render_batch(jobs)
        taken = time.perf_counter() - started
        self._room.counters.render_seconds += taken
        self._seconds_per_view += (taken / len(views) - self._seconds_per_view) * 0.1
        return texts

    def _deliver(self, viewers: Iterable[Participant]) -> None:
        delivered: set[int] = set()
        for participant in viewers:
            view = participant.view
            if view is None or view.frame is None or not participant.in_room:
                continue
            frame = view.frame
            clear = _CLEAR if frame.layout != participant.shown_layout else None
            participant.connection.outbox.put_video(frame.packet, clear)
            participant.shown_frame, participant.shown_layout = frame.number, frame.layout
            participant.counters.frames_delivered += 1
            self._room.counters.frames_shared += frame.number in delivered
            delivered.add(frame.number)
