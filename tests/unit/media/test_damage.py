"""When a stream is given up."""

from teleglyph.media.damage import Damage, DamagePolicy

POLICY = DamagePolicy(seconds=10.0, packets=5, max_packets=100, max_bytes=10_000)


def test_damage_between_good_frames_is_counted_and_tolerated() -> None:
    damage = Damage(POLICY)
    for number in range(1000):
        assert not damage.record_failure(number * 5.0, 100, failed=True)
        damage.record_success()
    assert damage.lost == 1000


def test_a_stream_is_given_up_after_time_and_packets_together() -> None:
    damage = Damage(POLICY)
    assert [damage.record_failure(number * 3.0, 1, failed=True) for number in range(5)] == [False] * 4 + [True]
    few = Damage(POLICY)
    assert not any(few.record_failure(number * 100.0, 1, failed=True) for number in range(4))


def test_a_stream_without_progress_in_time_is_given_up_by_packets_or_bytes() -> None:
    damage = Damage(POLICY)
    assert [damage.record_failure(0.0, 1, failed=True) for _ in range(100)] == [False] * 99 + [True]
    large = Damage(POLICY)
    assert [large.record_failure(0.0, 4000, failed=True) for _ in range(3)] == [False, False, True]


def test_a_decoder_that_waits_for_more_is_not_damaged() -> None:
    damage = Damage(POLICY)
    damage.record_failure(0.0, 1, failed=False)
    assert damage.lost == 0
