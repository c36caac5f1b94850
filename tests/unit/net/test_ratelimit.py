"""Rate limits with time as an argument."""

import pytest

from teleglyph.net.addresses import network_of
from teleglyph.net.ratelimit import SlidingWindow, TokenBucket


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
