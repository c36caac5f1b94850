"""Chooses the quality of a viewer's screen: on slow links coarser, then less often, then in a cheaper mode.

Time is an argument.
"""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """One step of the ladder.

    Attributes:
        tolerance: how far colours may be off (:class:`teleglyph.media.grid.Encoding`).
        share: part of the frames that are sent.
        cheaper: drawn in a mode that needs fewer bytes.
    """

    tolerance: int
    share: float
    cheaper: bool = False


LADDER = (
    Step(30, 1),
    Step(100, 1),
    Step(200, 1),
    Step(400, 1),
    Step(800, 1),
    Step(800, 1 / 2),
    Step(800, 1 / 3),
    Step(800, 1 / 4),
    Step(400, 1 / 4, cheaper=True),
    Step(800, 1 / 4, cheaper=True),
    Step(800, 1 / 8, cheaper=True),
    Step(1600, 1 / 12, cheaper=True),
)
"""From the finest to the cheapest; 30 is about two levels in each channel, 200 five, 800 ten."""

_PERIOD = 0.5
"""Seconds that are measured before a step down."""
_FEW_CHANCES = 4
_HELD_TOO_OFTEN = 0.25
_HELD_MOSTLY = 0.7
_HELD_NEVER = 0.05
_FIRST_PATIENCE, _MAX_PATIENCE = 1.5, 30.0
"""Seconds without held frames before a step up; doubled whenever that step was too much."""
_MODE_CAUTION = 4.0
"""Factor on these seconds before a step up to another mode: it takes a full frame, and another one on the way back."""
_PROBATION = 4.0
"""Seconds after a step up in which held frames mean that it was too much."""
_GOOD_CONDUCT = 30.0
"""Seconds on a step after which the wait gets shorter again."""


class QualityControl:
    """Finds the step of the ladder that a connection carries, and stays there.

    Each frame that is due is one sample: it went out, or was held back because the link was still busy.
    """

    def __init__(self) -> None:
        self.level = 0
        self.changes = 0
        self._due = self._held = 0
        self._since = 0.0
        self._clear_since: float | None = None
        self._patience = _FIRST_PATIENCE
        self._raised_at = -1e9
        self._changed_at = 0.0

    @property
    def step(self) -> Step:
        """The current step."""
        return LADDER[self.level]

    def sample(self, held: bool, now: float) -> bool:
        """Add a frame that was due; True if the step changed."""
        if not self._due:
            self._since = now
        self._due += 1
        self._held += held
        if now - self._since < _PERIOD or self._due < _FEW_CHANCES:
            return False
        held_share = self._held / self._due
        self._due = self._held = 0
        if held_share > _HELD_TOO_OFTEN:
            self._clear_since = None
            # If the link carries far less, trying every step would only take time.
            return self._step_down(2 if self.level and held_share > _HELD_MOSTLY else 1, now)
        if held_share > _HELD_NEVER:
            self._clear_since = None
            return False
        if self._clear_since is None:
            self._clear_since = now - _PERIOD
        return self._step_up(now)

    def _step_down(self, steps: int, now: float) -> bool:
        steps = min(steps, len(LADDER) - 1 - self.level)
        if not steps:
            return False
        if now - self._raised_at < _PROBATION:
            self._patience = min(_MAX_PATIENCE, 2 * self._patience)
            self._raised_at = -1e9
        self._change(steps, now)
        return True

    def _step_up(self, now: float) -> bool:
        if now - self._changed_at > _GOOD_CONDUCT:
            self._patience = max(_FIRST_PATIENCE, self._patience / 2)
            self._changed_at = now
        if self.level == 0 or self._clear_since is None:
            return False
        changes_mode = self.step.cheaper and not LADDER[self.level - 1].cheaper
        if now - self._clear_since < self._patience * (_MODE_CAUTION if changes_mode else 1):
            return False
        self._raised_at = now
        self._clear_since = None
        self._change(-1, now)
        return True

    def _change(self, by: int, now: float) -> None:
        self.level += by
        self.changes += 1
        self._changed_at = now
