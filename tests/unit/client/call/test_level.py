"""Level meters and the noise gate."""

import pytest

from teleglyph.client.call.level import LevelMeter, NoiseGate


def test_a_meter_falls_to_zero_without_samples() -> None:
    meter = LevelMeter()
    assert meter.bar(5.0) == "....."
    meter.add(1.0, 10.0)
    assert meter.bar(10.0) == "#####"
    falling = [meter.bar(10.0 + number * 0.02).count("#") for number in range(40)]
    assert falling == sorted(falling, reverse=True)
    assert meter.bar(11.0) == "....."


def test_a_meter_falls_alike_in_small_and_in_large_steps() -> None:
    often, rarely = LevelMeter(), LevelMeter()
    for meter, step in ((often, 1), (rarely, 5)):
        meter.add(1.0, 0.0)
        for number in range(step, 21, step):
            meter.add(0.0, number * 0.01)
    assert often.level(0.2) == pytest.approx(rarely.level(0.2))


def test_a_gate_opens_for_a_voice_and_stays_open_during_pauses() -> None:
    gate = NoiseGate()
    assert not gate.passes(0.003, 0.0), "noise"
    assert gate.passes(0.1, 1.0)
    assert gate.passes(0.003, 5.0), "an open gate closes at a lower level"
    assert gate.passes(0.0, 5.3)
    assert not gate.passes(0.0, 5.5)
