"""Synthetic test clips: a shaded shape in front of a soft background, with sensor noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def make_clip(width: int, height: int, frames: int, noise: float = 4.0, seed: int = 7) -> list[NDArray[np.uint8]]:
    """Photo-like RGB pictures of the shape (height, width, 3) in which everything moves a little.

    Args:
        width: pixels.
        height: pixels.
        frames: number of pictures.
        noise: standard deviation of the noise, in steps of 255; independent for every channel and picture.
        seed: of the noise.
    """
    generator = np.random.default_rng(seed)
    return [_picture(width, height, 2 * np.pi * i / frames, noise, generator) for i in range(frames)]


def _picture(width: int, height: int, phase: float, noise: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    aspect = width / height
    background = np.stack(
        [90 + 50 * np.sin(3 * x + phase), 100 + 40 * np.cos(4 * y - phase), 130 + 30 * np.sin(5 * (x + y))],
        -1,
    )
    center_x, center_y = aspect / 2 + 0.12 * np.sin(phase), 0.5 + 0.05 * np.cos(2 * phase)
    distance = np.hypot((x - center_x) / 0.28, (y - center_y) / 0.38)
    shade = np.clip(1.15 - 0.7 * distance + 0.35 * (x - center_x), 0, 1)[..., None]
    face = shade * np.array([225.0, 172.0, 140.0], np.float32)
    for side in (-1, 1):
        eye = np.hypot((x - center_x - side * 0.1) / 0.05, (y - center_y + 0.08) / 0.025) < 1
        face[eye] = (40, 30, 30)
    mouth = np.hypot((x - center_x) / 0.1, (y - center_y - 0.18) / (0.02 + 0.015 * np.sin(3 * phase))) < 1
    face[mouth] = (140, 50, 55)
    inside = np.clip((1 - distance) * 20, 0, 1)[..., None]
    picture = background * (1 - inside) + face * inside
    picture += generator.normal(0, noise, picture.shape)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)  # type: ignore[no-any-return]
