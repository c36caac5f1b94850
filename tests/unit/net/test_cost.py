"""Accounts of processor time: shares, pauses and refusals."""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import replace

import pytest

from teleglyph.net import CostLedger, CostLimits, LoopLoad, seconds_in_queue

LIMITS = CostLimits(
    peer_share=0.1, peer_burst=1.0, address_share=0.5, address_burst=4.0, max_overuse=10.0, refusal=60.0, busy=0.0
)


def crowded(limits: CostLimits) -> CostLedger:
    """Accounts of a server to which somebody from elsewhere is connected."""
    ledger = CostLedger(limits)
    ledger.meter("somebody else")
    return ledger


def test_a_peer_within_its_share_never_pauses() -> None:
    meter = crowded(LIMITS).meter("a")
    assert meter is not None
    assert all(meter.charge(0.09, now, elsewhere=True) == 0.0 for now in range(1000))


def test_a_peer_pauses_for_its_cost_beyond_the_burst() -> None:
    meter = crowded(LIMITS).meter("a")
    assert meter is not None
    assert meter.charge(1.0, 0.0, elsewhere=True) == 0.0
    assert meter.charge(0.05, 0.0, elsewhere=True) == pytest.approx(0.5)
    assert meter.charge(0.0, 0.25, elsewhere=True) == pytest.approx(0.25)
    assert meter.charge(0.0, 0.6, elsewhere=True) == 0.0


def test_connections_of_one_address_share_its_account() -> None:
    ledger = crowded(LIMITS)
    meters = [ledger.meter("a") for _ in range(10)]
    pauses = [meter.charge(0.5, 0.0, elsewhere=True) for meter in meters if meter is not None]
    assert pauses[:8] == [0.0] * 8, "the burst of the address"
    assert pauses[9] == pytest.approx(2.0)
    other = ledger.meter("b")
    assert other is not None
    assert other.charge(0.5, 0.0, elsewhere=True) == 0.0


def test_connecting_again_gains_nothing() -> None:
    ledger = crowded(LIMITS)
    for _ in range(10):
        meter = ledger.meter("a")
        assert meter is not None
        pause = meter.charge(0.9, 0.0, elsewhere=True)
    assert pause == pytest.approx((9.0 - 4.0) / 0.5)


def test_a_peer_that_never_rests_is_closed_and_its_address_refused_for_a_while() -> None:
    ledger = crowded(LIMITS)
    meter = ledger.meter("a")
    assert meter is not None
    now = 0.0
    while not meter.is_exhausted(now):
        assert ledger.refused_for("a", now) == 0.0
        now += meter.charge(0.2, now, elsewhere=True) or 0.1
        assert now < 100
    assert now >= LIMITS.max_overuse
    assert ledger.refused_for("a", now) == pytest.approx(60.0)
    assert ledger.refused_for("a", now + 60.0) == 0.0
    assert ledger.refused_for("b", now) == 0.0


def test_overuse_is_counted_only_while_the_loop_is_busy() -> None:
    ledger = crowded(replace(LIMITS, busy=0.75))
    meter = ledger.meter("a")
    assert meter is not None
    used = 0.0
    for second in range(100):
        used += 0.7
        ledger.load.sample(float(second), used)
        assert meter.charge(1.2, float(second), elsewhere=True) > 0
        assert not meter.is_exhausted(float(second))
    for second in range(100, 112):
        used += 0.8
        ledger.load.sample(float(second), used)
        meter.charge(0.2, float(second), elsewhere=True)
        assert meter.is_exhausted(float(second)) == (second - 99 > LIMITS.max_overuse)


def test_a_load_is_measured_over_half_a_second() -> None:
    load = LoopLoad()
    for tenth in range(6):
        assert load.value == 0.0
        load.sample(50 + tenth / 10, 7 + tenth / 20)
    assert load.value == pytest.approx(0.5)
    load.sample(51.5, 8.25)
    assert load.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("used", "waited", "price"),
    [(0.1, 0.0, 1.0), (0.4, 0.0, 1.0), (0.6, 0.0, 2.5), (0.2, 0.4, 2.5), (0.9, 0.0, 4.0), (0.2, 0.8, 4.0)],
)
def test_the_price_of_time_rises_while_the_loop_is_short_of_it(used: float, waited: float, price: float) -> None:
    ledger = crowded(CostLimits(peer_share=1.0, peer_burst=100.0, address_share=0.4, address_burst=100.0))
    meter = ledger.meter("a")
    assert meter is not None
    ledger.load.sample(10.0, 5.0, 2.0)
    ledger.load.sample(11.0, 5.0 + used, 2.0 + waited)
    assert ledger.load.price == pytest.approx(price)
    free = 0.004
    assert meter.charge(1.0, 11.0) == pytest.approx((price - free) / 0.4)
    assert ledger.charge("c", 1.0, 11.0) == pytest.approx((price - free) / 0.4)
    ledger.load.sample(12.0, 5.1 + used, 2.0 + waited)
    assert ledger.load.price == 1.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it")
def test_a_thread_knows_how_long_it_waited_for_a_processor() -> None:
    before = seconds_in_queue()
    until = time.monotonic() + 0.05
    while time.monotonic() < until:
        pass
    assert 0 < before <= seconds_in_queue() < 3600


def test_a_rest_clears_the_debt() -> None:
    meter = crowded(LIMITS).meter("a")
    assert meter is not None
    assert meter.charge(1.5, 0.0, elsewhere=True) > 0
    assert meter.charge(0.0, 11.0, elsewhere=True) == 0.0, "half of the burst is there again"
    assert meter.charge(0.7, 11.0, elsewhere=True) > 0
    assert not meter.is_exhausted(12.0)


def test_modest_peers_at_the_address_of_a_costly_one_stay_connected() -> None:
    ledger = crowded(LIMITS)
    modest = ledger.meter("a")
    assert modest is not None
    for second in range(30):
        for _ in range(5):
            costly = ledger.meter("a")
            assert costly is not None
            costly.charge(0.9, float(second), elsewhere=True)
        modest.charge(0.01, float(second), elsewhere=True)
    assert not modest.is_exhausted(30.0)
    assert costly is not None
    costly.charge(0.5, 30.0, elsewhere=True)
    assert costly.is_exhausted(30.0)


def test_the_number_of_remembered_addresses_is_bounded() -> None:
    ledger = CostLedger(LIMITS, max_addresses=10)
    for number in range(100):
        ledger.meter(str(number))
    assert len(ledger) == 10


def test_a_share_of_nothing_lifts_the_limits() -> None:
    assert CostLedger(CostLimits(peer_share=0.0)).meter("a") is None


# --- the event loop ---------------------------------------------------------------------------------------------------


def test_the_loop_allows_hardly_any_burst() -> None:
    meter = crowded(LIMITS).meter("a")
    assert meter is not None
    assert meter.charge(0.003, 0.0) == 0.0
    assert meter.charge(0.006, 0.0) == pytest.approx(0.01), "half of it is the address's"


def test_connections_of_one_address_take_turns() -> None:
    ledger = crowded(LIMITS)
    meters = [ledger.meter("a") for _ in range(20)]
    for meter in meters:
        assert meter is not None
        meter.charge(0.001, 0.0)
    turns = [meter.reserve(0.0) for meter in meters if meter is not None]
    assert turns == sorted(turns)
    gaps = [later - earlier for earlier, later in itertools.pairwise(turns)]
    assert gaps == [pytest.approx(0.002)] * 19, "a turn of 1 ms, and as much time for others"


def test_a_turn_is_paid_only_once() -> None:
    ledger = crowded(LIMITS)
    meter = ledger.meter("a")
    assert meter is not None
    meter.charge(0.01, 0.0)
    until = meter.reserve(0.0)
    assert meter.charge(0.001, until) == pytest.approx(0.0, abs=1e-6)
    assert meter.charge(0.001, until) == pytest.approx(0.002)


def test_nothing_is_charged_while_all_peers_have_one_address() -> None:
    ledger = CostLedger(LIMITS)
    first, second = ledger.meter("a"), ledger.meter("a")
    assert first is not None
    assert second is not None
    assert first.charge(1000.0, 0.0) == second.charge(1000.0, 0.0) == ledger.charge("a", 1000.0, 0.0) == 0.0
    other = ledger.meter("b")
    assert other is not None
    assert first.charge(0.001, 1.0) == 0.0, "and nothing of it is owed later"
    assert first.charge(1.0, 1.0) > 0
    other.close()
    other.close()
    assert first.charge(1000.0, 2.0) == 0.0


def test_work_for_an_address_without_a_meter_is_charged_to_its_connections() -> None:
    ledger = crowded(LIMITS)
    assert sum(ledger.charge("a", 0.5, 0.0) for _ in range(8)) > 0
    meter = ledger.meter("a")
    assert meter is not None
    assert meter.charge(1.0, 0.0, elsewhere=True) == pytest.approx(2.0)


def test_an_address_deep_in_debt_gets_no_more_connections_for_a_while() -> None:
    ledger = crowded(LIMITS)
    meter = ledger.meter("a")
    assert meter is not None
    meter.charge(4.9, 0.0)
    assert ledger.refused_for("a", 0.0) == 0.0
    meter.charge(1.1, 0.0)
    assert ledger.refused_for("a", 0.0) == pytest.approx(2.0)
    assert ledger.refused_for("a", 2.1) == 0.0
