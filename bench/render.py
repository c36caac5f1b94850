"""Measures the cost of a frame, from pixels to text, called from Python: ``python -m bench.render`` (about a minute).

Renders moving, noisy, photo-like pictures of 640x360 over whole frames, in every mode at three terminal sizes,
including area averaging.  The same run measures numpy and, if installed, chafa with the same size and colours, and the
time to copy the frame's bytes, which is a floor for any renderer.

chafa is libchafa called in this process through chafa.py, with its own choice of threads, without preprocessing and
dithering, and with its smallest work factor.  Half-block frames use its upper and lower half blocks and the space,
background frames only the space, the others its ASCII symbols with only the foreground colour.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from bench.chafa_renderer import CHAFA_WORK_FACTOR, ChafaRenderer, chafa_is_installed
from bench.clip import make_clip
from bench.numpy_renderer import NumpyRenderer
from bench.report import print_table
from teleglyph.media import _native, retain_large_buffers
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.modes import BASIC_MODES, ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN
from teleglyph.media.style import Style

SOURCE = 640, 360
SIZES = [(80, 24), (160, 48), (240, 67)]
MODES = [
    (color, render)
    for render in BASIC_MODES
    for color in ColorLevel
    if (color, render) != (ColorLevel.NONE, RenderMode.BACKGROUND)
]
AIMS = {
    (ColorLevel.TRUECOLOR, RenderMode.FOREGROUND, (160, 48)): 60.0,
    (ColorLevel.TRUECOLOR, RenderMode.HALF_BLOCK, (160, 48)): 90.0,
}
"""Microseconds."""

Picture = NDArray[np.uint8]


def microseconds(render: Callable[[Picture], object], clip: Sequence[Picture], seconds: float) -> float:
    """Median time of a call over the clip's pictures, measured for about the given time and at least three calls."""
    taken: list[float] = []
    stop = time.perf_counter() + seconds
    render(clip[0])
    for picture in cycle(clip):
        started = time.perf_counter()
        render(picture)
        ended = time.perf_counter()
        taken.append(ended - started)
        if ended > stop and len(taken) >= 3:
            return 1e6 * statistics.median(taken)
    raise AssertionError


def copy_of(frame: bytes) -> Callable[[Picture], object]:
    """Copies the frame's bytes into allocated memory."""
    source = np.frombuffer(frame, np.uint8)
    target = np.empty_like(source)
    return lambda _: np.copyto(target, source)


def measure(size: tuple[int, int], style: Style, clip: Sequence[Picture], seconds: float) -> list[str]:
    canvas = Canvas.of(*size, style)

    def ours(picture: Picture) -> bytes:
        return canvas.render([Draw(picture, 0, 0, *size)], style)

    cost = microseconds(ours, clip, seconds)
    _native.set_simd(False)
    portable = microseconds(ours, clip, seconds)
    _native.set_simd(True)
    text_only = microseconds(lambda _: canvas.render([], style), clip, seconds / 2)
    frame = ours(clip[0])
    copying = microseconds(copy_of(frame), clip, seconds / 4)
    with_numpy = microseconds(NumpyRenderer(*size, style).render, clip, seconds)
    row = [f"{cost:.1f}", f"{1e3 * cost / (size[0] * size[1]):.1f}", f"{text_only:.1f}", f"{portable:.1f}"]
    row += [f"{len(frame) / 1e3:.1f}", f"{copying:.1f}", f"{with_numpy:.0f}", f"{with_numpy / cost:.0f}"]
    if chafa_is_installed():
        with_chafa = microseconds(ChafaRenderer(*size, style).render, clip, seconds)
        row += [f"{with_chafa:.0f}", f"{with_chafa / cost:.0f}"]
    aim = AIMS.get((style.color, style.render, size))
    return [*row, f"{aim:.0f} {'met' if cost <= aim else 'MISSED'}" if aim else ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.4, help="for each figure")
    options = parser.parse_args()
    retain_large_buffers()
    clip = make_clip(*SOURCE, frames=12)
    header = ["mode", "µs", "ns/cell", "text only", "portable", "KB", "copy µs", "numpy µs", "x numpy"]
    header += ["chafa µs", "x chafa"] if chafa_is_installed() else []
    for size in SIZES:
        rows = []
        for color, render in MODES:
            style = Style.create(color, render, BUILT_IN["standard"], True)
            name = f"{render.name} {color.name}".lower()
            rows.append([name, *measure(size, style, clip, options.seconds)])
        title = f"Rendering {SOURCE[0]}x{SOURCE[1]} to {size[0]}x{size[1]} (cells are characters)"
        print_table(title, [*header, "aim µs"], rows)
    if chafa_is_installed():
        print(f"chafa: work factor {CHAFA_WORK_FACTOR}")
    else:
        print("Skipped chafa: install the dependency group 'bench' to measure it.")


if __name__ == "__main__":
    main()
