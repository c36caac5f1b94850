"""Scales pictures down before they are sent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from teleglyph.media import _native


def shrink(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A picture scaled down (never up) to cover ``width`` x ``height`` pixels, in its own shape.

    Neither side gets smaller than that: the parts of a character are not square, so a picture may be shown in many
    columns and few rows of them.  Every pixel is the mean of its box, as on a canvas.

    Args:
        pixels: RGB, uint8, shape (height, width, 3), C-contiguous.
        width: of the smallest result, in pixels.
        height: of the smallest result, in pixels.
    """
    from_height, from_width = pixels.shape[:2]
    scale = max(width / from_width, height / from_height)
    if scale >= 1:
        return pixels
    size = max(1, round(from_width * scale)), max(1, round(from_height * scale))
    return np.frombuffer(_native.shrink(pixels, *size), np.uint8).reshape(size[1], size[0], 3)
