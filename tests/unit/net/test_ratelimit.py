"""Rate limits with time as an argument."""

import itertools

import pytest

from teleglyph.net.addresses import network_of
from teleglyph.net.ratelimit import Places, ProofLimiter, SlidingWindow, TokenBucket


def test_a_bucket_lets_a_burst_through_and_then_makes_the_taker_pause() -> None:
    bucket = TokenBucket(rate=10, burst=5)
    assert [bucket.take(1, 0.0) for _ in range(5)] == [0.0] * 5
    assert bucket.take(1, 0.0) == pytest.approx(0.1)
    assert bucket.take(1, 0.0) == pytest.approx(0.2)


def test_a_bucket_refills_with_time_but_not_beyond_its_burst() -> None:
    bucket = TokenBucket(rate=10, burst=5)
    bucket.take(5, 0.0)
    assert bucket.take(1, 0.1) == 0.0
    assert bucket.take(5, 1000.0) == 0.0
    assert bucket.take(1, 1000.0) > 0


def test_allow_takes_nothing_when_it_refuses() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.allow(0.0)
    assert not bucket.allow(0.5)
    assert bucket.allow(1.0)


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.allow(100.0)
    assert not bucket.allow(50.0)
    assert not bucket.allow(50.5)


def test_the_window_slides() -> None:
    window = SlidingWindow(limit=3, period=60)
    assert [window.allow("a", second) for second in (0, 10, 20, 30)] == [True, True, True, False]
    assert not window.allow("a", 59.9)
    assert window.allow("a", 60.0)
    assert not window.allow("a", 60.1)


def test_keys_are_independent_and_a_limit_of_zero_allows_all() -> None:
    window = SlidingWindow(limit=1, period=60)
    assert window.allow("a", 0)
    assert window.allow("b", 0)
    assert not window.allow("a", 0)
    assert all(SlidingWindow(0, 60).allow("a", 0) for _ in range(1000))


def test_the_window_forgets_the_key_longest_unseen() -> None:
    window = SlidingWindow(limit=1, period=60, max_keys=2)
    for key in "abc":
        assert window.allow(key, 0)
    assert window.allow("a", 0)
    assert not window.allow("c", 0)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("somewhere", "somewhere"),
    ],
)
def test_addresses_are_limited_by_network(address: str, key: str) -> None:
    assert network_of(address) == key


# --- passwords --------------------------------------------------------------------------------------------------------


def verified(limiter: ProofLimiter, until: float, step: float = 0.1, key: str = "a", start: float = 0.0) -> list[float]:
    """When the guesses of an attacker are looked at who tries all the time and is always wrong."""
    times = []
    for tick in range(int((until - start) / step)):
        now = start + tick * step
        if limiter.begin(key, now) == 0.0:
            limiter.failed(key, now)
            times.append(now)
    return times


def test_a_guesser_gets_a_few_tries_and_then_ever_longer_pauses() -> None:
    times = verified(ProofLimiter(), 600)
    assert times[:5] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    pauses = [later - earlier for earlier, later in itertools.pairwise(times[4:])]
    assert pauses[0] <= 2.1
    assert all(later > 1.5 * earlier for earlier, later in itertools.pairwise(pauses[:6]))
    assert max(pauses) <= 300.1


@pytest.mark.parametrize("rest", [0.0, 1800.0, 3600.1, 7200.0])
def test_nobody_gets_more_than_three_hundred_guesses_a_day(rest: float) -> None:
    """Whoever guesses without a break, and whoever waits until the failures are forgotten and begins anew."""
    limiter, now, guesses = ProofLimiter(), 0.0, 0
    while now < 86_400:
        pause = limiter.begin("a", now)
        if pause:
            now += rest if rest and pause > 60 else pause
            continue
        limiter.failed("a", now)
        guesses += 1
    assert guesses <= 300


def test_attempts_that_run_at_once_are_counted_before_any_has_an_outcome() -> None:
    limiter = ProofLimiter()
    assert sum(limiter.begin("a", 1.0) == 0.0 for _ in range(40)) == 5


def test_a_neighbour_finds_what_a_clumsy_person_left_over() -> None:
    limiter = ProofLimiter()
    for now in (0.0, 4.0, 9.0):
        assert limiter.begin("nat", now) == 0.0
        limiter.failed("nat", now)
    for now in range(10, 40):
        assert limiter.begin("nat", float(now)) == 0.0
        limiter.succeeded("nat", float(now))


def test_a_neighbour_waits_no_longer_than_he_is_told_when_the_guesser_has_stopped() -> None:
    limiter = ProofLimiter()
    last = verified(limiter, 60)[-1]
    pause = limiter.begin("nat", last)
    assert pause == 0.0, "another address"
    pause = limiter.begin("a", 60.0)
    assert 0 < pause <= 300
    assert limiter.begin("a", 60.0 + pause - 0.01) > 0
    assert limiter.begin("a", 60.0 + pause + 0.01) == 0.0


def test_a_right_password_neither_uses_anything_up_nor_forgives_anything() -> None:
    limiter = ProofLimiter()
    verified(limiter, 0.5)
    pause = limiter.begin("a", 0.5)
    assert limiter.begin("a", 0.5 + pause + 0.01) == 0.0
    limiter.succeeded("a", 0.6 + pause)
    assert len(verified(limiter, 2.0 + pause, start=0.6 + pause)) == 1


def test_failures_are_forgotten_after_a_quiet_time() -> None:
    limiter = ProofLimiter(forget=100)
    last = verified(limiter, 60)[-1]
    assert len(verified(limiter, last + 102, start=last + 101)) == 5


def test_the_limiter_remembers_a_bounded_number_of_addresses() -> None:
    limiter = ProofLimiter(max_keys=3)
    for number in range(100):
        limiter.begin(str(number), 0.0)
    assert len(limiter._records) == 3


def test_places_are_bounded_for_one_and_for_all() -> None:
    places = Places(total=3, per_key=2)
    assert [places.take(key) for key in "aaabb"] == [True, True, False, True, False]
    places.free("a")
    assert places.take("b")
    assert not places.take("c")
    assert len(places) == 3
