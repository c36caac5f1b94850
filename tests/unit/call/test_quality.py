"""Finding the level of quality that a link carries, and keeping it."""

import itertools

import pytest

from teleglyph.call.quality import LADDER, QualityControl


class Viewer:
    """A viewer whose link carries steps from a level on, and holds back most frames of finer ones."""

    def __init__(self, carries: int) -> None:
        self.control = QualityControl()
        self.carries = carries
        self.now = 0.0
        self.levels: list[tuple[float, int]] = []

    def run(self, seconds: float, held_when_too_much: float = 0.6) -> None:
        end, held = self.now + seconds, 0.0
        while self.now < end:
            self.now += 1 / (30 * self.control.step.share)
            held += held_when_too_much if self.control.level < self.carries else 0
            is_held = held >= 1
            held -= is_held
            if self.control.sample(is_held, self.now):
                self.levels.append((self.now, self.control.level))


def test_steps_get_cheaper_one_after_the_other() -> None:
    for finer, coarser in itertools.pairwise(LADDER):
        assert finer != coarser
        assert coarser.share <= finer.share
        assert coarser.cheaper >= finer.cheaper
        assert coarser.cheaper > finer.cheaper or coarser.tolerance >= finer.tolerance


def test_a_link_without_trouble_stays_at_the_finest_step() -> None:
    viewer = Viewer(0)
    viewer.run(60)
    assert (viewer.control.level, viewer.levels) == (0, [])


@pytest.mark.parametrize("carries", range(1, len(LADDER)))
def test_a_level_is_found_and_kept(carries: int) -> None:
    viewer = Viewer(carries)
    viewer.run(60)
    settled = [level for at, level in viewer.levels if at > 45]
    assert abs(viewer.control.level - carries) <= 1
    # Now and then it tries a finer level, and returns.
    assert len(settled) <= 4
    assert set(settled) <= {carries - 1, carries}


def test_full_quality_returns_when_the_trouble_ends() -> None:
    viewer = Viewer(6)
    viewer.run(10)
    viewer.carries = 0
    viewer.run(60)
    assert viewer.control.level == 0


def test_one_late_frame_changes_nothing() -> None:
    control, now = QualityControl(), 0.0
    for frame in range(600):
        now += 1 / 60
        control.sample(frame % 60 == 0, now)
    assert control.level == 0


def test_the_last_step_is_the_last() -> None:
    viewer = Viewer(1000)
    viewer.run(60)
    assert viewer.control.level == len(LADDER) - 1
