"""The latest picture of a participant: one slot, a version number, no queue."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""An RGB picture: uint8, shape (height, width, 3), C-contiguous; never written to once it is in a slot."""


class PictureSlot:
    """Holds the newest picture; an older one that nobody drew is simply replaced.

    ``version`` grows with every picture, so a view can tell whether it has drawn this one already.
    """

    __slots__ = ("pixels", "version")

    def __init__(self) -> None:
        self.pixels: Pixels | None = None
        self.version = 0

    def put(self, pixels: Pixels) -> None:
        """Replace the picture."""
        self.pixels = pixels
        self.version += 1

    def clear(self) -> None:
        """Forget the picture: the camera is off."""
        self.pixels = None
        self.version += 1

    @property
    def aspect(self) -> float:
        """Width over height of the picture; 1.0 without one."""
        if self.pixels is None:
            return 1.0
        height, width = self.pixels.shape[:2]
        return float(width) / float(height)
