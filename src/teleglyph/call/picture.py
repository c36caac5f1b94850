"""The newest picture of a sender (one slot, no queue), and those of a whole room."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""An RGB picture: uint8, shape (height, width, 3), C-contiguous; never written to once it is in a slot."""


_versions = itertools.count(1)


class PictureSlot:
    """Holds the newest picture, whether or not the one before was ever drawn.

    ``version`` differs for every picture in this process, so that a canvas knows which one it shows.
    """

    __slots__ = ("aspect", "pixels", "version")

    def __init__(self) -> None:
        self.pixels: Pixels | None = None
        self.version = 0
        self.aspect = 1.0
        """Width over height of the picture, to two places; 1.0 without one."""

    def store(self, pixels: Pixels) -> None:
        """Replace the picture."""
        height, width = pixels.shape[:2]
        self.pixels, self.version, self.aspect = pixels, next(_versions), round(width / height, 2)

    def clear(self) -> None:
        """Drop the picture: the camera is off."""
        self.pixels, self.version, self.aspect = None, next(_versions), 1.0


class Pictures(NamedTuple):
    """The pictures of all senders at one moment, in the order of the grid.

    Attributes:
        numbers: of the participants.
    """

    numbers: tuple[int, ...]
    aspects: tuple[float, ...]
    versions: tuple[int, ...]
    pixels: tuple[Pixels, ...]

    @classmethod
    def of(cls, slots: Iterable[tuple[int, PictureSlot]]) -> Pictures:
        """The pictures in these slots, by the participants' numbers; empty slots are left out."""
        held = [(number, slot.aspect, slot.version, slot.pixels) for number, slot in slots if slot.pixels is not None]
        if not held:
            return cls((), (), (), ())
        numbers, aspects, versions, pixels = zip(*held, strict=True)
        return cls(numbers, aspects, versions, pixels)
