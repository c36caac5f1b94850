"""What peers cost: shares, pauses, and when it is too much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from teleglyph.net import CostLedger, CostLimits, LoopLoad

LIMITS = CostLimits(
    peer_share=0.1, peer_burst=1.0, address_share=0.5, address_burst=4.0, patience=10.0, refusal=60.0, busy=0.0
)


def test_a_peer_within_its_share_never_pauses() -> None:
    meter = CostLedger(LIMITS).meter("a")
    assert meter is not None
    assert all(meter.charge(0.09, now) == 0.0 for now in range(1000))


def test_what_a_peer_costs_beyond_its_burst_is_earned_back() -> None:
    meter = CostLedger(LIMITS).meter("a")
    assert meter is not None
    assert meter.charge(1.0, 0.0) == 0.0
    assert meter.charge(0.05, 0.0) == pytest.approx(0.5)
    assert meter.charge(0.0, 0.25) == pytest.approx(0.25)
    assert meter.charge(0.0, 0.6) == 0.0


def test_connections_of_one_address_share_its_account() -> None:
    ledger = CostLedger(LIMITS)
    meters = [ledger.meter("a") for _ in range(10)]
    pauses = [meter.charge(0.5, 0.0) for meter in meters if meter is not None]
    assert pauses[:8] == [0.0] * 8, "the burst of the address"
    assert pauses[9] == pytest.approx(2.0)
    other = ledger.meter("b")
    assert other is not None
    assert other.charge(0.5, 0.0) == 0.0


def test_connecting_again_gains_nothing() -> None:
    ledger = CostLedger(LIMITS)
    for _ in range(10):
        meter = ledger.meter("a")
        assert meter is not None
        pause = meter.charge(0.9, 0.0)
    assert pause == pytest.approx((9.0 - 4.0) / 0.5)


def test_a_peer_that_never_rests_is_closed_and_its_address_refused_for_a_while() -> None:
    ledger = CostLedger(LIMITS)
    meter = ledger.meter("a")
    assert meter is not None
    now = 0.0
    while not meter.is_exhausted(now):
        assert ledger.refused_for("a", now) == 0.0
        now += meter.charge(0.2, now) or 0.1
        assert now < 100
    assert now >= LIMITS.patience
    assert ledger.refused_for("a", now) == pytest.approx(60.0)
    assert ledger.refused_for("a", now + 60.0) == 0.0
    assert ledger.refused_for("b", now) == 0.0


def test_patience_is_counted_only_while_the_loop_is_busy() -> None:
    ledger = CostLedger(replace(LIMITS, busy=0.75))
    meter = ledger.meter("a")
    assert meter is not None
    used = 0.0
    for second in range(100):
        used += 0.7
        ledger.load.sample(float(second), used)
        assert meter.charge(1.2, float(second)) > 0
        assert not meter.is_exhausted(float(second))
    for second in range(100, 112):
        used += 0.8
        ledger.load.sample(float(second), used)
        meter.charge(0.2, float(second))
        assert meter.is_exhausted(float(second)) == (second - 99 > LIMITS.patience)


def test_a_load_is_measured_over_a_second() -> None:
    load = LoopLoad()
    for tenth in range(11):
        assert load.value == 0.0
        load.sample(50 + tenth / 10, 7 + tenth / 20)
    assert load.value == pytest.approx(0.5)
    load.sample(52.0, 8.5)
    assert load.value == pytest.approx(1.0)


def test_a_rest_forgives() -> None:
    meter = CostLedger(LIMITS).meter("a")
    assert meter is not None
    assert meter.charge(1.5, 0.0) > 0
    assert meter.charge(0.0, 11.0) == 0.0, "half of the burst is there again"
    assert meter.charge(0.7, 11.0) > 0
    assert not meter.is_exhausted(12.0)


def test_modest_neighbours_of_a_costly_peer_are_not_closed() -> None:
    ledger = CostLedger(LIMITS)
    modest = ledger.meter("a")
    assert modest is not None
    for second in range(30):
        for _ in range(5):
            costly = ledger.meter("a")
            assert costly is not None
            costly.charge(0.9, float(second))
        modest.charge(0.01, float(second))
    assert not modest.is_exhausted(30.0)
    costly.charge(0.5, 30.0)
    assert costly.is_exhausted(30.0)


def test_the_number_of_remembered_addresses_is_bounded() -> None:
    ledger = CostLedger(LIMITS, max_addresses=10)
    for number in range(100):
        ledger.meter(str(number))
    assert len(ledger) == 10


def test_a_share_of_nothing_lifts_the_limits() -> None:
    assert CostLedger(CostLimits(peer_share=0.0)).meter("a") is None
