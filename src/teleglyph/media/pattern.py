"""Animated test patterns: participants for demonstrations and tests.

Each is a pure function of time, so that tests are exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Paint = Callable[[float], Pixels]
"""Gives the picture at a time in seconds: RGB, uint8, shape (height, width, 3), C-contiguous."""


def _grid(width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates of the pixels' centres; y runs from -1 to 1, x in the same units."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return (x - (width - 1) / 2) / (height / 2), (y - (height - 1) / 2) / (height / 2)


def plasma(time: float, width: int = 192, height: int = 108) -> Pixels:
    """Flowing colours, 16:9."""
    x, y = _grid(width, height)
    wave = np.sin(3 * x + time) + np.sin(4 * y - 1.3 * time) + np.sin(3 * (x + y) + 0.7 * time)
    wave += np.sin(5 * np.hypot(x + np.sin(time / 2), y + np.cos(time / 3)) - time)
    channels = [127.5 + 127.5 * np.sin(np.pi * wave / 2 + phase) for phase in (0.0, 2.1, 4.2)]
    return np.ascontiguousarray(np.stack(channels, -1).astype(np.uint8))


def face(time: float, width: int = 144, height: int = 108) -> Pixels:
    """A cartoon face that looks around, blinks and talks, 4:3."""
    x, y = _grid(width, height)
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = (40, 60, 110)
    x = x - 0.08 * np.sin(time * 0.9)
    y = y - 0.04 * np.sin(time * 1.7)

    def ellipse(cx: float, cy: float, rx: float, ry: float, color: tuple[int, int, int]) -> None:
        picture[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] = color

    ellipse(0, 1.15, 0.85, 0.55, (170, 50, 60))
    ellipse(0, -0.12, 0.66, 0.84, (70, 40, 20))
    ellipse(0, 0.0, 0.58, 0.74, (240, 190, 150))
    eye = 0.02 if time % 3.1 < 0.15 else 0.13
    for side in (-0.23, 0.23):
        ellipse(side, -0.15, 0.13, eye, (255, 255, 255))
        ellipse(side + 0.05 * np.sin(time * 0.9), -0.15, 0.06, min(eye, 0.08), (40, 30, 20))
    ellipse(0, 0.1, 0.06, 0.12, (220, 160, 120))
    mouth = 0.03 + 0.1 * abs(np.sin(time * 7)) * (np.sin(time * 1.1) > -0.3)
    ellipse(0, 0.38, 0.22, float(mouth), (150, 30, 40))
    return picture.astype(np.uint8)


def clock(time: float, width: int = 108, height: int = 108) -> Pixels:
    """A round clock whose hands run with ``time``, square."""
    x, y = _grid(width, height)
    radius, angle = np.hypot(x, y), np.arctan2(x, -y) % (2 * np.pi)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:] = (20, 30, 40)
    picture[radius < 0.95] = (235, 230, 210)
    hour_mark = (np.abs((angle + np.pi / 12) % (np.pi / 6) - np.pi / 12) < 0.07) & (radius > 0.75)
    picture[hour_mark & (radius < 0.9)] = (60, 60, 80)
    hands = ((time / 43200, 0.5, 0.07), (time / 3600, 0.72, 0.05), (time / 60, 0.82, 0.03))
    for (turns, length, thick), color in zip(hands, ((30, 30, 60), (30, 60, 120), (210, 40, 40)), strict=True):
        sine, cosine = np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)
        along, across = x * sine - y * cosine, x * cosine + y * sine
        picture[(along > -0.1) & (along < length) & (np.abs(across) < thick)] = color
    return picture


def balls(time: float, width: int = 72, height: int = 128) -> Pixels:
    """Shaded balls that bounce, 9:16."""
    x, y = _grid(width, height)
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = (25, 45, 35)
    for index, color in enumerate(((250, 90, 60), (250, 210, 70), (90, 190, 250))):
        cx = 0.36 * np.sin(time * (0.9 + 0.3 * index) + 2 * index)
        cy = 0.75 - 1.4 * abs(np.sin(time * (1.1 + 0.2 * index) + index))
        distance = ((x - cx) ** 2 + (y - cy) ** 2) / 0.045
        shade = np.clip(1.15 - 2.2 * ((x - cx + 0.07) ** 2 + (y - cy + 0.07) ** 2) / 0.09, 0.15, 1)
        inside = distance < 1
        picture[inside] = (shade[..., None] * np.array(color, np.float32))[inside]
    return picture.astype(np.uint8)


def bars(time: float, width: int = 160, height: int = 90) -> Pixels:
    """Colour bars with a line that wanders over them once in four seconds, 16:9."""
    colors = [(191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191)]
    columns = np.array(colors, np.uint8)[np.arange(width) * len(colors) // width]
    picture = np.repeat(columns[None], height, axis=0)
    picture[height * 4 // 5 :] = np.linspace(0, 255, width, dtype=np.uint8)[None, :, None]
    line = int(time / 4 % 1 * width)
    picture[:, line : line + 2] = 255
    return picture


PATTERNS: dict[str, Paint] = {"face": face, "plasma": plasma, "clock": clock, "balls": balls}
"""The participants of demonstrations by name."""
TEST_PATTERNS: dict[str, Paint] = {"bars": bars, **PATTERNS}
"""All patterns by name."""
