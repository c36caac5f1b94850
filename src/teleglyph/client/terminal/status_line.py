"""The status line: fields that are shown whole or not at all, and current rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from teleglyph.printable import width
from teleglyph.wire.acip import UpdateLevel

_MARGIN, _SEPARATOR = " ", " | "
LAST_NEEDED_RANK = 4
"""Fields up to this rank are shortened before they are left out."""
_MEASURE_SECONDS = 1.0
"""Rates are averages over at least this time."""
_MAX_GAP_SECONDS = 3.0
"""After a longer gap between measurements the program was suspended, and its old counts are useless."""


class Field(NamedTuple):
    """A field of the status line.

    Attributes:
        rank: in a narrow window, fields of lower rank stay longer.
        texts: the text, from the longest form to the shortest.
    """

    rank: int
    texts: Sequence[str]


def compose_status(fields: Sequence[Field], columns: int) -> str:
    """Join as many fields as fit into a line, in the given order.

    A field is never cut.  Needed fields are placed first, in their shortest form if necessary; the others share the
    rest.  Within both groups, lower ranks come first.

    Args:
        fields: in the order of the line.
        columns: width of the line.
    """
    room = columns - width(_MARGIN) + width(_SEPARATOR)
    chosen: dict[int, str] = {}
    by_rank = sorted(range(len(fields)), key=lambda index: fields[index].rank)
    needed = [index for index in by_rank if fields[index].rank <= LAST_NEEDED_RANK]
    for index in needed:
        _choose(chosen, index, fields[index].texts[-1:], room)
    for index in needed:
        if chosen.pop(index, ""):
            _choose(chosen, index, fields[index].texts, room)
    for index in by_rank[len(needed) :]:
        _choose(chosen, index, fields[index].texts, room)
    texts = [chosen[index] for index in sorted(chosen)]
    return _MARGIN + _SEPARATOR.join(texts) if texts else ""


def _choose(chosen: dict[int, str], index: int, texts: Sequence[str], room: int) -> None:
    """Choose the first text that fits beside the chosen ones, if any does."""
    left = room - sum(width(text) + width(_SEPARATOR) for text in chosen.values())
    fitting = next((text for text in texts if width(text) + width(_SEPARATOR) <= left), None)
    if fitting is not None:
        chosen[index] = fitting


class Rates:
    """Frames and bytes per second, from counters."""

    def __init__(self) -> None:
        self._began: tuple[float, int, int] | None = None
        self._measured_at = 0.0
        self._rates: tuple[float, float] | None = None

    def measure(self, now: float, frames: int, size: int) -> tuple[float, float] | None:
        """The rates of about the last second; None at first.  Call it a few times per second.

        Args:
            now: seconds on a clock that runs on while the program is suspended.
            frames: total number of frames.
            size: total number of bytes.
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
        """Start again, after a reconnect or a suspension."""
        self._began = self._rates = None


def describe_link(level: int, rate: int) -> Sequence[str]:
    """Describe the reduced quality of a slow connection, from the longest form to the shortest; empty at full quality.

    Args:
        level: a :class:`~teleglyph.wire.acip.UpdateLevel`.
        rate: the frame rate that the server aims at.
    """
    tolerance, is_cheaper = level & UpdateLevel.TOLERANCE, level & UpdateLevel.CHEAPER
    if not tolerance:
        return ()
    colors = ", fewer colours" if is_cheaper else ""
    whole = f"slow connection: detail -{tolerance}, {rate} frames/s"
    return (f"{whole}{colors}", whole, "slow connection")
