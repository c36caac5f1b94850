"""Devices that vanish and return, with simulated sound cards."""

import pytest

from teleglyph.client.call.sound_device import DeviceState, WatchedDevice
from teleglyph.errors import SoundError
from teleglyph.media.soundcard import SoundCard, SoundDevice


class Machine:
    """The devices plugged in now, by name."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.opened: list[str] = []

    def devices(self) -> list[SoundDevice]:
        return [SoundDevice(index, name) for index, name in enumerate(self.names)]

    def open(self, index: int | None) -> SoundCard:
        if not self.names or (index or 0) >= len(self.names):
            raise SoundError("No microphone was found.")
        self.opened.append(self.names[index or 0])
        return SoundCard(lambda _: None, None, silent=True)


def test_a_silent_device_is_gone_and_may_return() -> None:
    machine = Machine("built-in")
    device = WatchedDevice(machine.open, machine.devices)
    device.open(None, 100.0)
    device.touch(101.0)
    assert not device.is_due(103.0)
    machine.names.clear()
    assert device.is_due(105.0)
    assert device.check(105.0)
    assert device.state is DeviceState.GONE
    assert not device.is_due(105.5)
    assert device.is_due(109.0)
    assert not device.check(109.0)
    machine.names.append("built-in")
    assert device.check(113.0)
    assert device.state is DeviceState.OPEN  # type: ignore[comparison-overlap]
    assert not device.is_due(115.0)
    device.close()
    assert not device.is_due(1000.0)


def test_a_device_that_was_chosen_is_found_again_under_its_name() -> None:
    machine = Machine("built-in", "headset")
    device = WatchedDevice(machine.open, machine.devices)
    device.open(1, 0.0)
    machine.names[:] = ["built-in"]
    assert device.check(10.0)
    assert not device.check(20.0)
    machine.names[:] = ["headset", "built-in"]
    assert device.check(30.0)
    assert machine.opened == ["headset", "headset"]
    device.close()


def test_a_device_that_is_not_there_at_first_is_missing() -> None:
    machine = Machine()
    device = WatchedDevice(machine.open, machine.devices)
    with pytest.raises(SoundError):
        device.open(None, 0.0)
    assert device.state is DeviceState.MISSING
    assert not device.is_due(1000.0)
