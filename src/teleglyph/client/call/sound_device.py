"""One direction of a sound card, reopened when it returns after it vanished."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

from teleglyph.errors import SoundError
from teleglyph.media.soundcard import SoundCard, SoundDevice

_SILENCE_SECONDS = 3.0
"""A device that gave or took no samples for so long is gone; even silence is samples."""
_RETRY_SECONDS = 3.0


class DeviceState(enum.Enum):
    """The state of a device."""

    UNUSED = enum.auto()
    OPEN = enum.auto()
    MISSING = enum.auto()
    """It was missing from the start."""
    GONE = enum.auto()
    """It vanished after it was opened."""


class WatchedDevice:
    """The microphone or the speakers.

    Args:
        open_card: opens the device with this number; None for the system's choice.
        list_devices: all devices of this kind.
    """

    def __init__(
        self, open_card: Callable[[int | None], SoundCard], list_devices: Callable[[], Sequence[SoundDevice]]
    ) -> None:
        self.state = DeviceState.UNUSED
        self._open_card = open_card
        self._list_devices = list_devices
        self._card: SoundCard | None = None
        self._index: int | None = None
        self._name = ""
        self._touched_at = self._retry_at = 0.0

    def open(self, index: int | None, now: float) -> None:
        """Open the device for the first time; blocks for a moment.

        Raises:
            SoundError: the device is missing or unusable.
        """
        self._index, self._touched_at = index, now
        try:
            self._card = self._open_card(index)
        except SoundError:
            self.state = DeviceState.MISSING
            raise
        if index is not None:
            # Numbers change when devices come and go.
            self._name = next((device.name for device in self._list_devices() if device.index == index), "")
        self.state = DeviceState.OPEN

    def touch(self, now: float) -> None:
        """Note that the device gave or took samples; callable from any thread."""
        self._touched_at = now

    def is_due(self, now: float) -> bool:
        """Whether :meth:`check` has something to do."""
        if self.state is DeviceState.OPEN:
            return now - self._touched_at > _SILENCE_SECONDS
        return self.state is DeviceState.GONE and now >= self._retry_at

    def check(self, now: float) -> bool:
        """Close a device that is gone, or try to reopen it; blocks for a moment.  True if the state changed."""
        if self.state is DeviceState.OPEN:
            self._close_card()
            self.state, self._retry_at = DeviceState.GONE, now + _RETRY_SECONDS
            return True
        self._retry_at = now + _RETRY_SECONDS
        try:
            card = self._open_card(self._present_index())
        except SoundError:
            return False
        if self.state is DeviceState.UNUSED:  # closed by close() meanwhile
            card.close()
            return False
        self._card = card
        self.state, self._touched_at = DeviceState.OPEN, now
        return True

    def close(self) -> None:
        """Close the device."""
        self.state = DeviceState.UNUSED
        self._close_card()

    def _close_card(self) -> None:
        card, self._card = self._card, None
        if card is not None:
            card.close()

    def _present_index(self) -> int | None:
        if self._index is None or not self._name:
            return self._index
        found = next((device.index for device in self._list_devices() if device.name == self._name), None)
        if found is None:
            raise SoundError(f"{self._name} is not connected.")
        return found
