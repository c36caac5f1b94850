"""What the status line says: fields that are shown whole or not at all, and rates that never are out of date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from teleglyph.printable import width
from teleglyph.wire.acip import UpdateLevel

_MARGIN, _SEPARATOR = " ", " | "
LAST_NEEDED_RANK = 4
"""Fields up to this rank are shortened rather than left out for others."""
_MEASURE_SECONDS = 1.0
"""Rates are means over at least this time."""
_MAX_GAP_SECONDS = 3.0
"""Without a measurement for so long the program did not run, and what it counted before says nothing."""


class Field(NamedTuple):
    """A field of the status line.

    Attributes:
        rank: fields of lower rank stay longer when the window gets narrow.
        texts: what it says, from the longest form to the shortest.
    """

    rank: int
    texts: Sequence[str]


def compose_status(fields: Sequence[Field], columns: int) -> str:
    """As many fields as fit into a line, in the given order.

    A field is never cut.  Those that are needed find room first, in their shortest form if they have to; the others get
    what is left.  Within both, lower ranks come first.

    Args:
        fields: in order.
        columns: width of the line; texts are measured as terminals draw them.
    """
    room = columns - width(_MARGIN) + width(_SEPARATOR)
    chosen: dict[int, str] = {}
    by_rank = sorted(range(len(fields)), key=lambda index: fields[index].rank)
    needed = [index for index in by_rank if fields[index].rank <= LAST_NEEDED_RANK]
    for index in needed:
        _put(chosen, index, fields[index].texts[-1:], room)
    for index in needed:
        if chosen.pop(index, ""):
            _put(chosen, index, fields[index].texts, room)
    for index in by_rank[len(needed) :]:
        _put(chosen, index, fields[index].texts, room)
    texts = [chosen[index] for index in sorted(chosen)]
    return _MARGIN + _SEPARATOR.join(texts) if texts else ""


def _put(chosen: dict[int, str], index: int, texts: Sequence[str], room: int) -> None:
    """Choose the first of the texts that fits beside what is chosen, if any does."""
    left = room - sum(width(text) + width(_SEPARATOR) for text in chosen.values())
    fitting = next((text for text in texts if width(text) + width(_SEPARATOR) <= left), None)
    if fitting is not None:
        chosen[index] = fitting


class Rates:
    """Frames and bytes a second, from counters."""

    def __init__(self) -> None:
        self._began: tuple[float, int, int] | None = None
        self._measured_at = 0.0
        self._rates: tuple[float, float] | None = None

    def measure(self, now: float, frames: int, size: int) -> tuple[float, float] | None:
        """The rates of about the last second; None until there are any.  To be called a few times a second.

        Args:
            now: seconds on a clock that goes on while the program is suspended.
            frames: number of frames up to now.
            size: bytes up to now.
        """
        if self._began is not None and now - self._measured_at > _MAX_GAP_SECONDS:
            self.restart()
        self._measured_at = now
        if self._began is None:
            self._began = now, frames, size
        then, frames_then, size_then = self._began
        if (seconds := now - then) >= _MEASURE_SECONDS:
            self._rates = (frames - frames_then) / seconds, (size - size_then) / seconds
            self._began = now, frames, size
        return self._rates

    def restart(self) -> None:
        """Forget what was counted: the connection is another one, or the program was suspended."""
        self._began = self._rates = None


def describe_link(level: int, rate: int) -> Sequence[str]:
    """What a slow connection costs, from the longest form to the shortest; empty while it costs nothing.

    Args:
        level: of :class:`~teleglyph.wire.UpdateLevel`.
        rate: frames a second that the server aims at.
    """
    coarseness, is_cheaper = level & UpdateLevel.TOLERANCE, level & UpdateLevel.CHEAPER
    if not coarseness:
        return ()
    colors = ", fewer colours" if is_cheaper else ""
    whole = f"slow connection: detail -{coarseness}, {rate} frames/s"
    return (f"{whole}{colors}", whole, "slow connection")
