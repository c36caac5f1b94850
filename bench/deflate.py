"""Compares compressions of deltas: ``python -m bench.deflate`` (half a minute).

Browsers decompress deflate, but not zstd.  The deltas are those of a talking head in front of a still background, with
sensor noise, on 160x48 characters in half-blocks and sextants.  For each compression: bytes of a delta, and
microseconds to compress and to decompress it.
"""

from __future__ import annotations

import statistics
import time
import zlib
from collections.abc import Callable
from functools import partial

from bench.clip import make_clip
from bench.picture import COLUMNS, ROWS, SOURCE, Picture
from bench.report import print_table
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.grid import Composition, Encoding, Grid, compose, encode_updates
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN
from teleglyph.media.style import Style
from teleglyph.wire.acip import Compression

LEVELS = 1, 3, 6
TOLERANCE = 100
ROUNDS = 5

Compress = Callable[[bytes], bytes]


def deltas(clip: list[Picture], style: Style) -> list[bytes]:
    """The bodies for one viewer, after the first full frame."""
    canvas, wanted, shown = Canvas.of(COLUMNS, ROWS, style), Grid(COLUMNS, ROWS), Grid(COLUMNS, ROWS)
    bodies = []
    for number, picture in enumerate(clip):
        compose([Composition(wanted, canvas, [Draw(picture, 0, 0, COLUMNS, ROWS)], style)])
        (update,) = encode_updates([Encoding(wanted, shown, style, TOLERANCE, number == 0)])
        bodies.append(update.body)
    return bodies[1:]


def deflate(level: int) -> Compress:
    return lambda body: zlib.compress(body, level, -15)


def microseconds(work: Callable[[], object]) -> float:
    """The shortest of a few rounds."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1e6 * min(times)


def main() -> None:
    clip = make_clip(*SOURCE, 60)
    kinds: dict[str, tuple[Compress, Compression]] = {
        "zstd 1": (Compression.ZSTD.compress, Compression.ZSTD),
        "isal 1": (Compression.DEFLATE.compress, Compression.DEFLATE),
        **{f"zlib {level}": (deflate(level), Compression.DEFLATE) for level in LEVELS},
    }
    rows = []
    for render in (RenderMode.HALF_BLOCK, RenderMode.SEXTANT):
        bodies = deltas(clip, Style.create(ColorLevel.TRUECOLOR, render, BUILT_IN["standard"], True))
        plain = statistics.fmean(map(len, bodies))
        base = 0.0
        for name, (compress, kind) in kinds.items():
            packed = [compress(body) for body in bodies]
            assert all(kind.decompress(data, len(body)) == body for body, data in zip(bodies, packed, strict=True)), (
                "a compression loses nothing"
            )
            size = statistics.fmean(map(len, packed))
            base = base or size
            there = statistics.median(microseconds(partial(compress, body)) for body in bodies)
            back = statistics.median(
                microseconds(partial(kind.decompress, data, len(body)))
                for body, data in zip(bodies, packed, strict=True)
            )
            rows.append(
                [
                    render.name.lower().replace("_", "-") if name == "zstd 1" else "",
                    name,
                    f"{plain:.0f}",
                    f"{size:.0f}",
                    f"{size / plain:.0%}",
                    f"{size / base:.2f}",
                    f"{there:.0f}",
                    f"{back:.0f}",
                ]
            )
    header = ["mode", "compression", "delta bytes", "sent bytes", "", "of zstd 1", "compress us", "decompress us"]
    print_table(f"Compressed deltas of a talking head, {COLUMNS}x{ROWS} characters", header, rows)


if __name__ == "__main__":
    main()
