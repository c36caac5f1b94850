"""The loop that gives every viewer of a room its frames on time.

At each tick the views of the viewers that are due are drawn in one native batch, each at most once and only if
something changed.  Viewers of text get the finished packet by reference; for viewers of screens updates are made from
what they see, one for all who see the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from teleglyph.call.drawing import Drawing, DrawnUpdate
from teleglyph.call.pacing import Schedule
from teleglyph.call.participant import Participant
from teleglyph.call.picture import Pictures
from teleglyph.call.room import Room
from teleglyph.call.scene import scene_of
from teleglyph.call.screen_view import ScreenView
from teleglyph.call.view import View
from teleglyph.call.viewer_screen import STILL_SECONDS, Shown, ViewerScreen, next_number
from teleglyph.media.grid import Encoding, Grid
from teleglyph.wire.acip import ClearConsole, ScreenUpdate, encode

_INLINE_SECONDS = 0.0003
"""Batches that take longer than this are drawn in a thread, so that the event loop stays free."""
_SHARED_SECONDS = 0.004
"""Batches that take longer are drawn in two threads."""
_TYPICAL_BYTES = 2000
_CLEAR = encode(ClearConsole())


class _Group(NamedTuple):
    """Viewers who see the same and are to see the same."""

    view: ScreenView
    shown: Shown | None
    tolerance: int
    settle: tuple[int, int]
    is_still: bool


class Pacer:
    """Runs one room.

    Args:
        room: the room; the pacer is the only one that draws its views.
        pool: threads for large batches.
    """

    def __init__(self, room: Room, pool: Executor) -> None:
        self._room = room
        self._pool = pool
        self._schedules: dict[int, Schedule] = {}
        self._seconds_per_job = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0

    async def run(self) -> None:
        """Serve ticks until cancelled."""
        while True:
            quiet = not self._room.changed.is_set()
            await self._room.changed.wait()
            waiting = self._waiting()
            self._refine_later()
            if not waiting:
                self._room.changed.clear()
                continue
            delay = min(self._schedule(participant).next_due for participant in waiting) - time.monotonic()
            if delay > 0:
                await self._sleep(delay)
                quiet = False
            await self._tick(quiet)
            # The writers have their turn first: what still lies in an outbox would look like a link that is busy.
            await asyncio.sleep(0)

    async def _sleep(self, delay: float) -> None:
        """Wait for the next due time of those who lack something, or for something that quicker viewers will lack."""
        room = self._room
        fastest = min(self._schedule(participant).next_due for participant in room.participants) - time.monotonic()
        if fastest >= delay:
            await asyncio.sleep(delay)
            return
        room.changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await room.changed.wait()
        room.changed.set()

    def _waiting(self) -> list[Participant]:
        """Viewers for whom there is something new and whose connection takes it."""
        now = time.monotonic()
        expected_until = self._room.expected_until
        if expected_until > now:
            self._wake_at(expected_until, now)
        return [
            participant
            for participant in self._room.participants
            if self._lacks(participant, now, expected_until) and self._takes(participant, now)
        ]

    def _lacks(self, participant: Participant, now: float, expected_until: float) -> bool:
        view, revision = participant.view, self._room.revision
        if isinstance(view, ScreenView):
            return participant.screen is not None and participant.screen.lacks(view, self._room.scene_revision, now)
        if expected_until > now and participant.patient_until > now:
            # All that this viewer could get is the placeholder.  ascii-chat's client takes the first frame for its
            # snapshot, so it is to be a picture.  Others must not go on seeing a picture that has ended.
            self._wake_at(participant.patient_until, now)
            return False
        return view is not None and (
            view.revision != revision or view.frame is None or view.frame.number != participant.shown_frame
        )

    def _takes(self, participant: Participant, now: float) -> bool:
        """Whether a frame that is made now leaves at once; viewers of screens have a say in the rate themselves."""
        connection, screen = participant.connection, participant.screen
        if connection.blocked_since is not None:
            is_open = False
        elif screen is None:
            return True
        else:
            is_open = not connection.outbox.has_video and screen.meter.is_open(now)
        if screen is None:
            return is_open
        is_due = self._schedule(participant).is_due(now)
        if is_due and screen.note(not is_open, 1 / participant.pace, now):
            participant.quality_changed()
        if not is_open and screen.meter.opens_at() > now:
            self._wake_at(screen.meter.opens_at(), now)
        return is_open

    def _wake_at(self, when: float, now: float) -> None:
        """Look again at a time, unless that is to happen earlier anyway."""
        if self._alarm is not None:
            if self._alarm_at <= when:
                return
            self._alarm.cancel()
        self._alarm_at = when
        self._alarm = asyncio.get_running_loop().call_later(max(0.001, when - now), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._room.wake()

    def _schedule(self, participant: Participant) -> Schedule:
        schedule = self._schedules.get(participant.pace)
        if schedule is None:
            schedule = self._schedules[participant.pace] = Schedule(participant.pace)
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
        await self._draw(due, now)

    async def _draw(self, due: Sequence[Participant], now: float) -> None:
        room, revision = self._room, self._room.revision
        texts = _unique(p.view for p in due if isinstance(p.view, View) and p.view.revision != revision)
        screens = _unique(p.view for p in due if isinstance(p.view, ScreenView))
        for view in texts:
            links = [participant.text_link for participant in due if participant.view is view]
            view.compresses = any(link.wants_compression(view.text_bytes, now) for link in links)
        if texts:
            pictures = Pictures.of((participant.number, participant.picture) for participant in room.sources)
            if not pictures.pixels:
                for view in texts:
                    view.show_placeholder(revision)
                texts = []
        stale = [view for view in screens if view.revision != room.scene_revision]
        scene = scene_of(room.participants) if stale else ()
        compositions = [view.plan(scene, room.scene_revision, now) for view in stale]
        groups = self._groups(due, now)
        targets = [_target(group, viewers) for group, viewers in groups]
        drawing = Drawing(
            [(view.plan(pictures), view.pack) for view in texts],
            compositions,
            [
                (encoding, any(screen.wants_compression(_TYPICAL_BYTES) for screen in viewers.values()))
                for (_, viewers), (encoding, _) in zip(groups, targets, strict=True)
            ],
        )
        rendered, updates = await self._run(drawing, len(texts) + len(compositions) + len(targets))
        room.counters.frames_rendered += len(texts) + len(compositions)
        rejected = [view for view, packet in zip(texts, rendered, strict=True) if not view.accept(packet, revision)]
        while rejected:
            room.counters.frames_degraded += len(rejected)
            again, _ = await self._run(
                Drawing([(view.plan(pictures), view.pack) for view in rejected], [], []), len(rejected)
            )
            room.counters.frames_rendered += len(again)
            rejected = [view for view, packet in zip(rejected, again, strict=True) if not view.accept(packet, revision)]
        self._deliver_texts(due)
        for (group, viewers), (encoding, grid), update in zip(groups, targets, updates, strict=True):
            self._deliver_update(group, viewers, encoding, grid, update)

    async def _run(self, drawing: Drawing, jobs: int) -> tuple[list[bytes | None], list[DrawnUpdate]]:
        if not jobs:
            return [], []
        started, expected = time.perf_counter(), jobs * self._seconds_per_job
        if expected > _INLINE_SECONDS:
            loop = asyncio.get_running_loop()
            parts = drawing.halves() if expected > _SHARED_SECONDS else [drawing]
            done = await asyncio.gather(*(loop.run_in_executor(self._pool, part.draw) for part in parts))
            result = [packet for packets, _ in done for packet in packets], [u for _, updates in done for u in updates]
        else:
            result = drawing.draw()
        taken = time.perf_counter() - started
        self._room.counters.render_seconds += taken
        self._seconds_per_job += (taken / jobs - self._seconds_per_job) * 0.1
        return result

    # --- text -----------------------------------------------------------------------------------------

    def _deliver_texts(self, viewers: Iterable[Participant]) -> None:
        delivered: set[int] = set()
        for participant in viewers:
            view = participant.view
            if not isinstance(view, View) or view.frame is None or not participant.in_room:
                continue
            frame = view.frame
            clear = _CLEAR if frame.layout != participant.shown_layout else None
            participant.connection.outbox.queue_frame(frame.packet, clear)
            participant.text_link.sent(len(frame.packet))
            participant.shown_frame, participant.shown_layout = frame.number, frame.layout
            participant.counters.frames_delivered += 1
            self._room.counters.frames_shared += frame.number in delivered
            delivered.add(frame.number)

    # --- screens --------------------------------------------------------------------------------------

    def _groups(self, due: Iterable[Participant], now: float) -> list[tuple[_Group, dict[Participant, ViewerScreen]]]:
        groups: dict[_Group, dict[Participant, ViewerScreen]] = {}
        for participant in due:
            view, screen = participant.view, participant.screen
            if isinstance(view, ScreenView) and screen is not None:
                *settle, is_still = screen.settle(view, now)
                group = _Group(view, screen.shown, screen.quality.step.tolerance, (settle[0], settle[1]), is_still)
                groups.setdefault(group, {})[participant] = screen
        # All updates of a screen behind each other (see Drawing.halves).
        return sorted(groups.items(), key=lambda item: item[0].view.number)

    def _deliver_update(
        self,
        group: _Group,
        viewers: dict[Participant, ViewerScreen],
        encoding: Encoding,
        grid: Grid,
        drawn: DrawnUpdate,
    ) -> None:
        update, view = drawn.update, group.view
        present = {
            p: screen for p, screen in viewers.items() if p.view is view and p.in_room and screen.shown is group.shown
        }
        for screen in present.values():
            screen.composition, screen.inexact = view.number, update.inexact
        if not update.changed and not encoding.whole:
            return
        number, base = next_number(), 0 if encoding.whole or group.shown is None else group.shown.number
        if group.shown is not None and grid is group.shown.grid:
            shown = group.shown
            shown.number = number
        else:
            shown = Shown(grid, number)
        now = time.monotonic()
        packets: dict[tuple[bool, int, int], bytes] = {}
        for participant, screen in present.items():
            if shown is not group.shown:
                screen.show(shown)
            packed = drawn.packed if drawn.packed and screen.wants_compression(len(update.body)) else None
            variant = (packed is not None, screen.level, participant.pace)
            packet = packets.get(variant)
            if packet is None:
                message = ScreenUpdate(
                    number, base, grid.columns, grid.rows, update.body, screen.level, participant.pace, variant[0]
                )
                packet = packets[variant] = message.encode_packet(packed or update.body)
            else:
                self._room.counters.frames_shared += 1
            participant.connection.outbox.queue_frame(packet)
            screen.meter.sent(number, len(packet), now)
            counters = screen.counters
            counters.updates += 1
            counters.whole_updates += encoding.whole
            counters.update_bytes += len(packet)
            participant.counters.frames_delivered += 1

    def _refine_later(self) -> None:
        """Look again when a picture has stood still for a moment: what was left a little off is made exact then."""
        now = time.monotonic()
        for participant in self._room.participants:
            screen, view = participant.screen, participant.view
            if screen is not None and screen.inexact and isinstance(view, ScreenView):
                still_at = view.composed_at + STILL_SECONDS
                if still_at > now:
                    self._wake_at(still_at + 0.001, now)


def _unique(views: Iterable[object]) -> list:  # type: ignore[type-arg]
    return list(dict.fromkeys(views))


def _target(group: _Group, viewers: dict[Participant, ViewerScreen]) -> tuple[Encoding, Grid]:
    """The update of a group, and the grid that holds what its viewers see afterwards."""
    view, shown = group.view, group.shown
    wanted = view.wanted
    whole = shown is None or (shown.grid.columns, shown.grid.rows) != (wanted.columns, wanted.rows)
    if shown is None or whole:
        grid = Grid(wanted.columns, wanted.rows)
    else:
        grid = shown.grid if shown.holders == len(viewers) else shown.grid.copy()
    previous = wanted if group.is_still else view.previous
    return Encoding(wanted, grid, view.style, group.tolerance, whole, previous, group.settle), grid
