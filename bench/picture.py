"""Measures the cost and the quality of frames and updates: ``python -m bench.picture`` (about five minutes).

Three clips of 640x360, sixty pictures each, on 160x48 characters: a talking head in front of a still background, a face
that moves as a whole, and a photo whose light changes, all with sensor noise.  For every mode:

* bytes of a frame as text, which every viewer would get without updates; of an update at each tolerance, uncompressed
  and compressed; and of the text that the client writes to its terminal for it;
* microseconds for drawing a frame's characters from its pixels, for making an update, and for painting it;
* the similarity of the frame, drawn with DejaVu Sans Mono and seen from a distance, to the picture (PSNR and SSIM after
  a blur), compared with chafa with the same cells and colours, and the loss caused by tolerance.

The clips and the quality measure come from the folder --prototype (mkframes.py and score.py, which need numpy, OpenCV,
SciPy and scikit-image).  Without it our own clip is used, and the quality is not measured.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.chafa_renderer import ChafaRenderer, chafa_is_installed
from bench.clip import make_clip
from bench.report import print_table
from teleglyph.media import retain_large_buffers
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.grid import Composition, Encoding, Grid, Painter, apply_update, compose, encode_updates
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN
from teleglyph.media.style import Style
from teleglyph.wire.acip import compress

COLUMNS, ROWS = 160, 48
SOURCE = 640, 360
TOLERANCES = (0, 30, 100, 200, 400, 800)
SCORED = (15, 30, 45)
"""The pictures whose quality is measured."""
TRUECOLOR_MODES = [(ColorLevel.TRUECOLOR, render) for render in RenderMode]
OTHER_MODES = [
    (ColorLevel.ANSI256, RenderMode.HALF_BLOCK),
    (ColorLevel.ANSI256, RenderMode.SEXTANT),
    (ColorLevel.ANSI16, RenderMode.HALF_BLOCK),
    (ColorLevel.NONE, RenderMode.BRAILLE),
    (ColorLevel.NONE, RenderMode.SHAPE),
    (ColorLevel.NONE, RenderMode.FOREGROUND),
]
AIMS = {RenderMode.HALF_BLOCK: 100.0, RenderMode.SEXTANT: 800.0}
"""Targets in microseconds: for an update of half-blocks, and for drawing sextants."""

Picture = NDArray[np.uint8]
Score = Callable[[Picture, bytes], dict[str, float]]


class Costs(NamedTuple):
    """Means and medians over a clip's updates."""

    update: float
    packed: float
    painted: float
    changed: float
    draw_us: float
    encode_us: float
    paint_us: float
    texts: list[bytes]
    """The scored frames in the viewer's view."""


def name_of(style: Style) -> str:
    dithered = " dithered" if style.dithered else ""
    return f"{style.render.name} {style.color.name}{dithered}".lower().replace("_", "-")


def play(clip: list[Picture], style: Style, tolerance: int) -> Costs:
    """Send a clip's pictures to one viewer."""
    canvas, painter = Canvas.of(COLUMNS, ROWS, style), Painter()
    wanted, shown, received, terminal = (Grid(COLUMNS, ROWS) for _ in range(4))
    figures: list[tuple[float, ...]] = []
    texts = []
    for number, picture in enumerate(clip):
        started = time.perf_counter()
        compose([Composition(wanted, canvas, [Draw(picture, 0, 0, COLUMNS, ROWS)], style)])
        drawn = time.perf_counter()
        (update,) = encode_updates([Encoding(wanted, shown, style, tolerance, number == 0)])
        encoded = time.perf_counter()
        apply_update(update.body, number == 0, received)
        applied = time.perf_counter()
        text = painter.changes(received, terminal)
        painted = time.perf_counter()
        if number:
            counts = len(update.body), len(compress(update.body)), len(text), update.changed
            times = drawn - started, encoded - drawn, painted - applied
            figures.append((*counts, *times))
        if number in SCORED:
            texts.append(painter.all(received))
    columns = list(zip(*figures, strict=True))
    sizes = [statistics.fmean(column) for column in columns[:4]]
    drawing, encoding, painting = (1e6 * statistics.median(column) for column in columns[4:])
    return Costs(sizes[0], sizes[1], sizes[2], sizes[3], drawing, encoding, painting, texts)


def bytes_table(name: str, clip: list[Picture], score: Score | None) -> None:
    rows = []
    for color, render in [*TRUECOLOR_MODES, *OTHER_MODES]:
        style = Style.create(color, render, BUILT_IN["standard"], True)
        full = len(Canvas.of(COLUMNS, ROWS, style).render([Draw(clip[0], 0, 0, COLUMNS, ROWS)], style))
        exact = 0.0
        for tolerance in TOLERANCES:
            costs = play(clip, style, tolerance)
            quality = ""
            if score is not None:
                psnr = statistics.fmean(
                    score(clip[number], text)["psnr_b" if color else "psnr_fit"]
                    for number, text in zip(SCORED, costs.texts, strict=True)
                )
                exact = psnr if tolerance == 0 else exact
                quality = f"{psnr - exact:+.2f}"
            rows.append(
                [
                    name_of(style) if tolerance == 0 else "",
                    str(tolerance),
                    f"{full / 1e3:.0f}",
                    f"{costs.changed / COLUMNS / ROWS:.0%}",
                    f"{costs.update / 1e3:.1f}",
                    f"1/{full / costs.update:.0f}",
                    f"{costs.packed / 1e3:.1f}",
                    f"1/{full / costs.packed:.0f}",
                    f"{60 * costs.packed / 1e3:.0f}",
                    f"{costs.painted / 1e3:.1f}",
                    quality,
                ]
            )
    header = ["mode", "tol", "full KB", "changed", "update KB", "", "+ zstd KB", "", "KB/s at 60", "painted KB", "dB"]
    print_table(f"Bytes per frame: {name}, {COLUMNS}x{ROWS} characters", header, rows)


def time_table(clips: dict[str, list[Picture]]) -> None:
    rows = []
    for color, render in [*TRUECOLOR_MODES, *OTHER_MODES]:
        style = Style.create(color, render, BUILT_IN["standard"], True)
        costs = [play(clip, style, 30) for clip in clips.values()]
        draw = statistics.fmean(cost.draw_us for cost in costs)
        encode = [cost.encode_us for cost in costs]
        aim = ""
        if color is ColorLevel.TRUECOLOR and render in AIMS:
            least = min(encode) if render is RenderMode.HALF_BLOCK else draw
            aim = f"{AIMS[render]:.0f} {'met' if least <= AIMS[render] else 'MISSED'}"
        paints = "/".join(f"{cost.paint_us:.0f}" for cost in costs)
        rows.append([name_of(style), f"{draw:.0f}", "/".join(f"{value:.0f}" for value in encode), paints, aim])
    title = f"Microseconds per frame from {SOURCE[0]}x{SOURCE[1]}, tolerance 30 ({'/'.join(clips)})"
    print_table(title, ["mode", "draw", "update", "paint", "aim"], rows)


def quality_table(name: str, picture: Picture, score: Score) -> None:
    """Our frames and chafa's, at equal cells and colours."""
    rows = []
    for color, render, dithered in [
        *((*mode, False) for mode in [*TRUECOLOR_MODES, *OTHER_MODES]),
        (ColorLevel.ANSI256, RenderMode.HALF_BLOCK, True),
        (ColorLevel.ANSI16, RenderMode.HALF_BLOCK, True),
    ]:
        style = Style.create(color, render, BUILT_IN["standard"], True, dithered=dithered)
        canvas = Canvas.of(COLUMNS, ROWS, style)
        ours = _timed(lambda canvas=canvas, style=style: canvas.render([Draw(picture, 0, 0, COLUMNS, ROWS)], style))
        rows.append([name_of(style), *_quality(score(picture, ours[1])), f"{ours[0]:.0f}"])
        if chafa_is_installed() and not dithered:
            theirs = _timed(ChafaRenderer(COLUMNS, ROWS, style).render, picture)
            rows[-1] += [*_quality(score(picture, theirs[1])), f"{theirs[0]:.0f}", f"1/{theirs[0] / ours[0]:.0f}"]
    if chafa_is_installed():
        style = Style.create(ColorLevel.TRUECOLOR, RenderMode.SEXTANT, BUILT_IN["standard"], True)
        best = _timed(ChafaRenderer(COLUMNS, ROWS, style, best=True).render, picture)
        rows.append(
            ["chafa: sextants, best quality", "", "", "", "", *_quality(score(picture, best[1])), f"{best[0]:.0f}", ""]
        )
    header = ["mode", "PSNR", "fit", "SSIM", "µs", "chafa PSNR", "fit", "SSIM", "µs", "our time"]
    print_table(f"Quality: {name}", header, [row + [""] * (len(header) - len(row)) for row in rows])


def _timed(render: Callable[..., bytes], *arguments: Any) -> tuple[float, bytes]:
    taken = []
    for _ in range(15):
        started = time.perf_counter()
        frame = render(*arguments)
        taken.append(time.perf_counter() - started)
    return 1e6 * statistics.median(taken), frame


def _quality(scores: dict[str, float]) -> list[str]:
    return [f"{scores['psnr_b']:.1f}", f"{scores['psnr_fit']:.1f}", f"{scores['ssim_b']:.3f}"]


def load_score(folder: Path) -> Score:
    sys.path.insert(0, str(folder))
    module = importlib.import_module("score")

    def score(picture: Picture, text: bytes) -> dict[str, float]:
        scores: dict[str, float] = module.score(picture, module.render(text, COLUMNS, ROWS))
        return scores

    return score


def make_clips(folder: Path) -> dict[str, list[Picture]]:
    """The clips that mkframes.py writes into ``frames`` of its working directory."""
    with tempfile.TemporaryDirectory() as work:
        os.mkdir(Path(work) / "frames")
        # It fails when it looks for clips of other programs; the clips needed here exist by then.
        subprocess.run([sys.executable, folder / "mkframes.py"], cwd=work, capture_output=True, check=False)
        clips = {}
        for name in ("talk", "face", "photo"):
            data = np.fromfile(Path(work) / "frames" / f"{name}_{SOURCE[0]}x{SOURCE[1]}.rgb", np.uint8)
            clips[name] = list(data.reshape(-1, SOURCE[1], SOURCE[0], 3))
    return clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prototype", type=Path, help="folder with mkframes.py and score.py")
    parser.add_argument("--only", choices=["bytes", "time", "quality"], help="one table only")
    options = parser.parse_args()
    retain_large_buffers()
    score = load_score(options.prototype) if options.prototype else None
    clips = make_clips(options.prototype) if options.prototype else {"our own": make_clip(*SOURCE, frames=60)}
    if options.only in (None, "time"):
        time_table(clips)
    if options.only in (None, "quality") and score is not None:
        for name, clip in clips.items():
            quality_table(name, clip[30], score)
    if options.only in (None, "bytes"):
        for name, clip in clips.items():
            bytes_table(name, clip, score)


if __name__ == "__main__":
    main()
