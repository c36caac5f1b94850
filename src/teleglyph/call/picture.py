"""The latest picture of a participant: one slot, a version number, no queue; and all of a room at once."""

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
    """Holds the newest picture; an older one that nobody drew is simply replaced.

    ``version`` is another one for every picture in this process, so that a view can tell which one it has drawn.
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
        """Forget the picture: the camera is off."""
        self.pixels, self.version, self.aspect = None, next(_versions), 1.0


class Pictures(NamedTuple):
    """The pictures of all who send one, at one moment, in the order of the grid."""

    numbers: tuple[int, ...]
    """Whose they are."""
    aspects: tuple[float, ...]
    versions: tuple[int, ...]
    pixels: tuple[Pixels, ...]

    @classmethod
    def of(cls, slots: Iterable[tuple[int, PictureSlot]]) -> Pictures:
        """What these participants' slots hold; empty ones are left out."""
        held = [(number, slot.aspect, slot.version, slot.pixels) for number, slot in slots if slot.pixels is not None]
        if not held:
            return cls((), (), (), ())
        numbers, aspects, versions, pixels = zip(*held, strict=True)
        return cls(numbers, aspects, versions, pixels)
