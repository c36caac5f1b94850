"""Prints the results of checks: aligned lines for people, JSON for programs (docs/doctor.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence

import teleglyph
from teleglyph.client.doctor.examination import Result
from teleglyph.client.doctor.report import Verdict
from teleglyph.client.terminal.text_box import wrap
from teleglyph.console import write_text
from teleglyph.printable import printable

JSON_VERSION = 1
"""It grows if a key changes its meaning or goes away; new keys may come at any time."""
_COLORS = {Verdict.OK: "32", Verdict.NOTE: "33", Verdict.PROBLEM: "1;31", Verdict.SKIPPED: "2"}
_MARGIN = max(len(verdict.value) for verdict in Verdict) + 2
_NARROW = 60
"""Columns below which the text gets lines of its own."""
_MAX_COLUMNS = 110
"""Longer lines are hard to read."""


class TextReport:
    """Prints each result as soon as it is known.

    Args:
        titles: of all checks.
        columns: the width of the terminal; None for a pipe, whose lines are not wrapped.
        has_colors: the terminal shows colours.
        has_utf8: it shows UTF-8.
    """

    def __init__(self, titles: Sequence[str], columns: int | None, *, has_colors: bool, has_utf8: bool) -> None:
        self._width = max(map(len, titles), default=0) + 2
        self._columns = None if columns is None else min(columns, _MAX_COLUMNS)
        self._has_colors = has_colors
        self._arrow = "→ " if has_utf8 else "-> "

    def show(self, result: Result) -> None:
        """Print one result."""
        finding, title = result.finding, result.check.title
        head = self._painted(finding.verdict) + " " * (_MARGIN - len(finding.verdict.value))
        is_narrow = self._columns is not None and self._columns < _NARROW
        indent = " " * (2 if is_narrow else _MARGIN + self._width)
        lines = [f"{head}{title}"] if is_narrow else []
        lines += [indent + line for line in self._wrapped(finding.text, len(indent))]
        if finding.step:
            hanging = " " * len(self._arrow)
            for number, line in enumerate(self._wrapped(finding.step, len(indent) + len(self._arrow))):
                lines.append(indent + (hanging if number else self._arrow) + line)
        if not is_narrow:
            lines[0] = f"{head}{title:{self._width}}" + lines[0][len(indent) :]
        write_text("".join(f"{line}\n" for line in lines))

    def end(self, results: Sequence[Result]) -> None:
        """Print how many problems there are."""
        counts = count(results)
        problems, notes = _number(counts["problem"], "problem"), _number(counts["note"], "note")
        write_text(f"\n{problems.capitalize()}, {notes}.\n")

    def _wrapped(self, text: str, indent: int) -> list[str]:
        safe = printable(text)
        return [safe] if self._columns is None else wrap(safe, max(self._columns - indent, 20)) or [""]

    def _painted(self, verdict: Verdict) -> str:
        return f"\x1b[{_COLORS[verdict]}m{verdict.value}\x1b[m" if self._has_colors else verdict.value


def _number(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun if count == 1 else f'{noun}s'}"


def count(results: Sequence[Result]) -> dict[str, int]:
    """How many results have each verdict."""
    return {verdict.value: sum(result.finding.verdict is verdict for result in results) for verdict in Verdict}


def as_json(results: Sequence[Result]) -> str:
    """The results as a JSON object, in lines."""
    return json.dumps(
        {
            "version": JSON_VERSION,
            "teleglyph": teleglyph.__version__,
            "counts": count(results),
            "checks": [
                {
                    "name": result.check.name,
                    "verdict": result.finding.verdict.value,
                    "text": result.finding.text,
                    "step": result.finding.step or None,
                    "seconds": round(result.seconds, 3),
                }
                for result in results
            ],
        },
        indent=2,
    )
