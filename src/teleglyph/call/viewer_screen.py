"""What one viewer of our own kind sees, and what its connection can take of what it should see."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from teleglyph.call.link import LinkMeter
from teleglyph.call.quality import QualityControl
from teleglyph.call.screen_view import ScreenView
from teleglyph.media.grid import Grid
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.style import Style
from teleglyph.wire.acip import UpdateLevel, ViewSettings

STILL_SECONDS = 0.2
"""A picture that has not changed for so long is sent exactly."""
_SETTLING_LEVELS = 2
"""Levels of quality at which parts that stand still are made exact while others move; worse links have no room."""
_REFINE_SECONDS = 0.1
"""A refinement may keep a link busy for so long."""
_COMPRESS_SECONDS = 60e-6
_COMPRESS_SECONDS_PER_BYTE = 2e-9
_SAVED = 0.3
"""What compression at level 1 costs and saves, about (bench.picture)."""
_BYTES_PER_CHARACTER = 8
_NEAR_SECONDS = 0.005
_NEAR_RATE, _FAR_RATE = 100e6, 5e6
"""What links are taken to carry, in bytes a second, that have never been used up: within a house, and beyond."""

_numbers = itertools.count(1)


def next_number() -> int:
    """A number for an update, from 1 to 2**32 - 1."""
    return next(_numbers) % 0xFFFFFFFF + 1


class Shown:
    """What one viewer, or several, see at this moment.

    Attributes:
        grid: the screen.
        number: of the last update.
        holders: how many viewers see it.
    """

    __slots__ = ("grid", "holders", "number")

    def __init__(self, grid: Grid, number: int) -> None:
        self.grid = grid
        self.number = number
        self.holders = 0


@dataclass(slots=True)
class ScreenCounters:
    """What one viewer's screen got."""

    updates: int = 0
    whole_updates: int = 0
    update_bytes: int = 0
    held: int = 0
    """Times a screen was not sent because the link was still busy."""
    lost: int = 0
    """Times the viewer asked for a whole screen."""


class ViewerScreen:
    """One viewer's side of a :class:`ScreenView`."""

    def __init__(self) -> None:
        self.counters = ScreenCounters()
        self.meter = LinkMeter()
        self.quality = QualityControl()
        self.settings = ViewSettings()
        self.shown: Shown | None = None
        self.composition = 0
        """Number of the view's composition that is shown."""
        self.inexact = 0
        """Characters that differ from it, less than can be seen."""
        self._refined_row = 0
        self._noted_at = 0.0

    def show(self, shown: Shown | None) -> None:
        """See something else; None if it is unknown what is seen, so that the next update has to be a whole one."""
        if self.shown is not None:
            self.shown.holders -= 1
        self.shown = shown
        if shown is None:
            self.composition = 0
        else:
            shown.holders += 1

    def lacks(self, view: ScreenView, revision: int, now: float) -> bool:
        """Whether there is something that this viewer should see and does not."""
        if view.revision != revision or self.composition != view.number:
            return True
        return self.inexact > 0 and now - view.composed_at >= STILL_SECONDS

    def settle(self, view: ScreenView, now: float) -> tuple[int, int, bool]:
        """The rows in which the next update makes exact what stands still, and whether all of the picture does.

        While the picture moves these are a few rows in turn; when it stands still all of them, or as many as the link
        takes in a moment, so that it is free again when something happens.
        """
        rows = view.key.rows
        if now - view.composed_at < STILL_SECONDS:
            return *(view.settle if self.quality.level <= _SETTLING_LEVELS else (0, 0)), False
        affordable = int(self.meter.rate * _REFINE_SECONDS) // (_BYTES_PER_CHARACTER * view.key.columns)
        if not self.meter.rate or affordable >= rows:
            return 0, rows, True
        begin = self._refined_row if self._refined_row < rows else 0
        self._refined_row = begin + max(1, affordable)
        return begin, self._refined_row, True

    def note(self, held: bool, period: float, now: float) -> bool:
        """Note that a screen was due, at most once a period; True if the quality changed."""
        if now - self._noted_at < 0.75 * period:
            return False
        self._noted_at = now
        self.counters.held += held
        return self.quality.noted(held, now)

    def wants_compression(self, size: int) -> bool:
        """Whether an update of so many bytes arrives earlier compressed."""
        rate = self.meter.rate or (_FAR_RATE if self.meter.delay > _NEAR_SECONDS else _NEAR_RATE)
        if self.meter.limit:
            rate = min(rate, self.meter.limit)
        return size * _SAVED / rate > _COMPRESS_SECONDS + size * _COMPRESS_SECONDS_PER_BYTE

    @property
    def level(self) -> int:
        """The state of the rate control, as updates tell it."""
        tolerance = min(self.quality.level, int(UpdateLevel.TOLERANCE))
        return tolerance | (UpdateLevel.CHEAPER if self.quality.step.cheaper else 0)

    def report(self) -> dict[str, int | float]:
        """Counters and state as plain values."""
        counters = self.counters
        return {
            "updates": counters.updates,
            "updates_whole": counters.whole_updates,
            "update_bytes": counters.update_bytes,
            "updates_held": counters.held,
            "updates_lost": counters.lost,
            "quality_level": self.quality.level,
            "quality_changes": self.quality.changes,
            "link_bytes_per_second": round(self.meter.rate),
            "link_delay_ms": round(1000 * self.meter.delay, 1),
        }


def cheaper(style: Style) -> Style:
    """A style for the same terminal whose updates need fewer bytes."""
    color = min(style.color, ColorLevel.ANSI256)
    render = style.render
    if render in (RenderMode.QUADRANT, RenderMode.SEXTANT):
        render = RenderMode.HALF_BLOCK
    elif style.color < ColorLevel.TRUECOLOR and render is RenderMode.HALF_BLOCK and color is not ColorLevel.NONE:
        render = RenderMode.BACKGROUND
    return Style.create(color, render, style.palette, style.utf8)
