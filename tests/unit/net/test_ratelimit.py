"""Rate limits with time as an argument."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from teleglyph.net.addresses import network_of
from teleglyph.net.ratelimit import GuessLimiter, SlidingWindow, SlotPool, TokenBucket


def test_a_bucket_lets_a_burst_through_and_then_makes_the_taker_pause() -> None:
    bucket = TokenBucket(rate=10, burst=5)
    assert [bucket.consume(1, 0.0) for _ in range(5)] == [0.0] * 5
    assert bucket.consume(1, 0.0) == pytest.approx(0.1)
    assert bucket.consume(1, 0.0) == pytest.approx(0.2)


def test_a_bucket_refills_with_time_but_not_beyond_its_burst() -> None:
    bucket = TokenBucket(rate=10, burst=5)
    bucket.consume(5, 0.0)
    assert bucket.consume(1, 0.1) == 0.0
    assert bucket.consume(5, 1000.0) == 0.0
    assert bucket.consume(1, 1000.0) > 0


def test_allow_takes_nothing_when_it_refuses() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.allow(0.0)
    assert not bucket.allow(0.5)
    assert bucket.allow(1.0)


def test_a_clock_that_steps_back_gives_no_tokens() -> None:
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


# --- guesses ----------------------------------------------------------------------------------------------------------

HOUR = 3600.0


def guess_wrong(limiter: GuessLimiter, now: float, key: str = "nat") -> bool:
    """Whether a wrong guess is verified."""
    if limiter.attempt(key, now) > 0:
        return False
    limiter.failed(key, now)
    return True


def guess_right(limiter: GuessLimiter, now: float, key: str = "nat") -> bool:
    """Whether somebody with the right password gets in."""
    if limiter.attempt(key, now) > 0:
        return False
    limiter.succeeded(key, now)
    return True


def as_fast_as_it_goes(limiter: GuessLimiter, until: float, start: float = 0.0) -> list[float]:
    """The times at which guesses are verified for somebody who retries as soon as possible."""
    times, now = [], start
    while now < until:
        wait = limiter.attempt("nat", now)
        if wait > 0:
            now += wait
        else:
            limiter.failed("nat", now)
            times.append(now)
    return times


def test_a_guesser_has_a_burst_and_then_waits_twice_as_long_each_time() -> None:
    times = as_fast_as_it_goes(GuessLimiter(), 3000)
    pauses = [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)]
    assert pauses[:14] == [0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def every(seconds: float) -> Callable[[], Iterator[float]]:
    return lambda: itertools.count(0.0, seconds)


def bursts(guesses: int, rest: float) -> Callable[[], Iterator[float]]:
    """Many guesses, and then a rest long enough to refill what was used, or to be forgotten."""

    def times() -> Iterator[float]:
        for round_number in itertools.count():
            for number in range(guesses):
                yield round_number * rest + number * 0.01

    return times


@pytest.mark.parametrize(
    "schedule",
    [
        *(every(seconds) for seconds in (0.5, 1, 2, 5, 30, 100, 299, 300, 301)),
        *(bursts(10, rest) for rest in (5, 60, 301, 1500, HOUR - 1, HOUR + 1, 2 * HOUR)),
    ],
)
def test_no_rhythm_of_guessing_gets_more_than_the_stated_number_through(
    schedule: Callable[[], Iterator[float]],
) -> None:
    limiter = GuessLimiter()
    verified = [
        now for now in itertools.takewhile(lambda now: now < 24 * HOUR, schedule()) if guess_wrong(limiter, now)
    ]
    assert sum(now < HOUR for now in verified) <= 30
    assert len(verified) <= 310


def test_the_fastest_guesser_gets_the_stated_number_through() -> None:
    limiter = GuessLimiter()
    assert len(as_fast_as_it_goes(limiter, HOUR)) <= 30
    assert len(as_fast_as_it_goes(GuessLimiter(), 24 * HOUR)) <= 310
    # And one who waits until the address is forgotten whenever the pauses have become long.
    limiter, guesses, start = GuessLimiter(), 0, 0.0
    while start < 24 * HOUR:
        times = as_fast_as_it_goes(limiter, start + 520, start)
        guesses += len(times)
        start = times[-1] + HOUR + 1
    assert guesses <= 310


def test_parallel_attempts_are_counted_before_any_is_verified() -> None:
    limiter = GuessLimiter()
    taken = [limiter.attempt("nat", 0.0) == 0 for _ in range(40)]
    assert sum(taken) == 5
    waits = [limiter.failed("nat", 0.0) for _ in range(5)]
    assert waits[-1] == 2.0, "refused attempts make the pause no longer"


def test_a_neighbour_of_a_person_who_mistypes_still_gets_in() -> None:
    limiter = GuessLimiter()
    for now in (0.0, 0.1, 0.2):
        assert guess_wrong(limiter, now)
    assert all(guess_right(limiter, 0.3) for _ in range(20)), "a right password uses up no attempt"
    assert guess_wrong(limiter, 5.0)
    assert guess_right(limiter, 5.0)
    for now, pause in ((10.0, 2.0), (20.0, 4.0), (30.0, 8.0)):
        assert guess_wrong(limiter, now)
        assert not guess_right(limiter, now + pause - 0.1)
        assert guess_right(limiter, now + pause)


def test_reported_pauses_grow_however_slowly_a_person_types() -> None:
    limiter = GuessLimiter()
    pauses = []
    for now in (0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 90.0):
        assert limiter.attempt("nat", now) == 0
        pauses.append(limiter.failed("nat", now))
    assert pauses == [0, 0, 0, 0, 2, 4, 8, 16]


def test_a_neighbour_waits_exactly_the_reported_time_after_the_guesser_stopped() -> None:
    limiter = GuessLimiter()
    stopped = as_fast_as_it_goes(limiter, 60)[-1]
    wait = limiter.attempt("nat", stopped + 1)
    assert wait > 0
    for tick in range(100):
        assert limiter.attempt("nat", stopped + 1 + tick * wait / 101) > 0, "repeated attempts gain nothing"
    assert guess_right(limiter, stopped + 1 + wait)


def test_a_right_password_forgives_the_guesser_nothing() -> None:
    alone, helped = GuessLimiter(), GuessLimiter()
    guesses = {alone: 0, helped: 0}
    for tick in range(6000):
        now = tick / 10
        for limiter in guesses:
            guesses[limiter] += guess_wrong(limiter, now)
        guess_right(helped, now)
    assert guesses[helped] <= guesses[alone]


def test_addresses_do_not_pay_for_each_other() -> None:
    limiter = GuessLimiter()
    as_fast_as_it_goes(limiter, 60)
    assert limiter.attempt("nat", 60) > 0
    assert guess_wrong(limiter, 60, "elsewhere")


def test_failures_are_forgotten_after_a_quiet_time() -> None:
    limiter = GuessLimiter()
    last = as_fast_as_it_goes(limiter, 600)[-1]
    assert sum(guess_wrong(limiter, last + HOUR + 1) for _ in range(40)) == 5


def test_guesses_of_many_addresses_are_remembered_in_bounded_memory() -> None:
    limiter = GuessLimiter(max_keys=100)
    for number in range(10_000):
        guess_wrong(limiter, 0.0, f"network {number}")
    assert len(limiter) == 100
    limiter = GuessLimiter()
    for number in range(10_000):
        guess_right(limiter, 0.0, f"network {number}")
    assert len(limiter) == 0, "right passwords leave nothing to remember"


def test_a_clock_that_steps_back_gives_no_guesses() -> None:
    limiter = GuessLimiter()
    assert sum(guess_wrong(limiter, 100.0) for _ in range(40)) == 5
    assert not guess_wrong(limiter, 50.0)
    assert guess_wrong(limiter, 102.0)


# --- places -----------------------------------------------------------------------------------------------------------


def test_slots_are_bounded_per_key_and_in_total() -> None:
    places = SlotPool(total=3, per_key=2)
    assert [places.acquire(key) for key in ("a", "a", "a", "b", "b")] == [True, True, False, True, False]
    assert len(places) == 3
    places.release("a")
    assert places.acquire("a")
    places.release("b")
    assert places.acquire("c")


def test_a_slot_pool_forgets_keys_without_slots() -> None:
    places = SlotPool(total=2, per_key=1)
    for number in range(1000):
        key = f"network {number}"
        assert places.acquire(key)
        assert not places.acquire(key)
        places.release(key)
    assert len(places) == 0
    assert not places._held
