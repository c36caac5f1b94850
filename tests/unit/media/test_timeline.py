"""One timeline for all streams: which time stamps are corrected."""

import itertools
import math

import pytest

from teleglyph.media.timeline import RESTARTING, JumpPolicy, Timeline, usable_rate


def place_all(timeline: Timeline, stamps: list[float | None], index: int = 0, step: float = 0.04) -> list[float]:
    return [round(timeline.place(index, stamp, stamp, step, step)[0], 6) for stamp in stamps]


@pytest.mark.parametrize("gap", [2.1, 3.0, 7.0, 15.0, 59.0, 600.0, 3000.0])
def test_a_gap_is_a_gap(gap: float) -> None:
    assert place_all(Timeline(0.0), [0.0, gap, 2 * gap]) == pytest.approx([0.0, gap, 2 * gap])


def test_a_long_duration_explains_any_gap() -> None:
    timeline = Timeline(0.0)
    assert timeline.place(0, 0.0, 0.0, 20_000.0, 0.04)[0] == 0.0
    assert timeline.place(0, 20_000.0, 20_000.0, 1.0, 0.04)[0] == 20_000.0
    assert timeline.jumps == 0


@pytest.mark.parametrize(
    ("policy", "jump"),
    [(JumpPolicy(), 7200.0), (JumpPolicy(), -3.0), (RESTARTING, 61.0), (RESTARTING, 95_443.7), (RESTARTING, -1.0)],
)
def test_impossible_stamps_continue_at_the_current_time_for_all_streams(policy: JumpPolicy, jump: float) -> None:
    timeline = Timeline(10.0, policy)
    pictures, sound = [], []
    for number in range(200):
        moved = 10.0 + number * 0.04 + (jump if number >= 100 else 0.0)
        pictures += place_all(timeline, [moved], 0)
        sound += place_all(timeline, [moved + 0.01], 1)
    assert timeline.jumps == 1
    for times in (pictures, sound):
        assert all(0.0 < after - before < 0.1 for before, after in itertools.pairwise(times))
    assert all(later - earlier == pytest.approx(0.01) for earlier, later in zip(pictures, sound, strict=True))


def test_a_last_packet_from_before_a_jump_does_not_move_anything() -> None:
    timeline = Timeline(0.0, RESTARTING)
    for number in range(50):
        place_all(timeline, [number * 0.04], 0)
        place_all(timeline, [number * 0.04], 1)
    # The sound of the second recording comes before the last picture of the first.
    assert place_all(timeline, [0.0], 1) == pytest.approx([2.0])
    assert place_all(timeline, [2.0], 0) == pytest.approx([2.0])
    assert place_all(timeline, [0.0], 0)[0] == pytest.approx(2.0, abs=0.1)
    assert place_all(timeline, [0.04], 1)[0] == pytest.approx(2.04, abs=0.1)


def test_a_gap_in_one_stream_is_not_a_jump_while_the_other_continues() -> None:
    timeline = Timeline(0.0, RESTARTING)
    place_all(timeline, [0.0], 1)
    assert place_all(timeline, [number * 0.04 for number in range(2500)], 0)[-1] == pytest.approx(99.96)
    assert place_all(timeline, [99.0], 1) == [99.0]


def test_pictures_in_coding_order_without_decoding_stamps_are_not_a_jump() -> None:
    timeline = Timeline(0.0)
    stamps = [0.0, 36.0, 18.0, 9.0, 3.0, 6.0, 12.0, 15.0, 27.0, 21.0, 24.0, 30.0, 33.0, 72.0, 54.0, 45.0, 39.0]
    assert [timeline.place(0, stamp, None, None, 0.04)[0] for stamp in stamps] == stamps
    assert timeline.jumps == 0


def test_stamps_of_showing_that_run_backwards_are_a_jump_all_the_same() -> None:
    timeline = Timeline(0.0)
    times = [timeline.place(0, number % 100 * 0.04, None, 0.04, 0.04)[0] for number in range(200)]
    assert times == pytest.approx([number * 0.04 for number in range(200)])
    assert timeline.jumps == 1


def test_missing_stamps_follow_the_rate() -> None:
    assert place_all(Timeline(), [None] * 4) == pytest.approx([0.0, 0.04, 0.08, 0.12])
    assert place_all(Timeline(5.0), [5.0, None, None, 6.0]) == pytest.approx([0.0, 0.04, 0.08, 1.0])


def test_stamps_that_are_not_numbers_count_as_missing() -> None:
    assert place_all(Timeline(0.0), [0.0, math.nan, math.inf]) == pytest.approx([0.0, 0.04, 0.08])


def test_streams_keep_the_distance_of_their_starts() -> None:
    timeline = Timeline(100.0)
    assert place_all(timeline, [100.0], 0) == [0.0]
    assert place_all(timeline, [101.5], 1) == [1.5]


def test_another_round_begins_at_the_end_of_everything() -> None:
    timeline = Timeline(1.0)
    place_all(timeline, [1.0, 2.0], 0, 0.5)
    place_all(timeline, [1.0, 4.0], 1, 0.5)
    assert timeline.end == 3.5
    timeline.restart(1.0)
    assert place_all(timeline, [1.0], 0) == [3.5]
    assert place_all(timeline, [1.25], 1) == [3.75]


def test_a_stream_that_begins_in_another_century_does_not_stop_the_film() -> None:
    timeline = Timeline(0.0)
    place_all(timeline, [0.0, 0.04], 0)
    assert place_all(timeline, [3e9], 1)[0] < 1.0


@pytest.mark.parametrize(
    ("candidates", "rate"),
    [
        ((24.0,), 24.0),
        ((None, 0.0, math.nan, 30.0), 30.0),
        ((math.inf, -5.0, 90_000.0), 25.0),
        ((), 25.0),
        ((1 / 3,), 1 / 3),
    ],
)
def test_absurd_rates_are_ignored(candidates: tuple[float | None, ...], rate: float) -> None:
    assert usable_rate(*candidates) == rate
