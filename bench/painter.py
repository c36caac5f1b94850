"""Measures how the page shows screens: ``python -m bench.painter`` (about a minute).

Plays recorded deltas of a moving picture in headless Chromium, with WebGL on the processor (SwiftShader) and with a 2D
canvas.  Needs playwright and Chromium.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, sync_playwright

from bench.clip import make_clip
from bench.report import print_table
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.grid import Composition, Encoding, Grid, compose, encode_updates
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN
from teleglyph.media.style import Style

ROOT = Path(__file__).parents[1]
SIZES = [(160, 48), (240, 67)]
MODES = [RenderMode.HALF_BLOCK, RenderMode.SEXTANT]
CELL = 8, 16
"""Device pixels."""
FRAMES = 24
TOLERANCE = 30
ROUNDS = 3
FLAGS = {"webgl": ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"], "canvas": ["--disable-gpu"]}
"""Of the browser: WebGL, and compositing without it."""
_HEAD = struct.Struct(">IIHHBBHI")
_DEFLATE = 0x02


def record(columns: int, rows: int, mode: RenderMode) -> list[bytes]:
    """Payloads of SCREEN_UPDATE for a moving picture, compressed, the first one whole."""
    style = Style.create(ColorLevel.TRUECOLOR, mode, BUILT_IN["standard"], True)
    canvas, wanted, shown = Canvas.of(columns, rows, style), Grid(columns, rows), Grid(columns, rows)
    payloads = []
    for number, picture in enumerate(make_clip(640, 360, FRAMES, noise=2.0), start=1):
        compose([Composition(wanted, canvas, [Draw(picture, 0, 0, columns, rows)], style)])
        (update,) = encode_updates([Encoding(wanted, shown, style, TOLERANCE, whole=number == 1)])
        compressor = zlib.compressobj(wbits=-15)
        packed = compressor.compress(update.body) + compressor.flush()
        head = _HEAD.pack(number, number - 1, columns, rows, _DEFLATE, 0, 60, len(update.body))
        payloads.append(head + packed)
    return payloads


class Handler(SimpleHTTPRequestHandler):
    """Serves the page's modules, the benchmark's, and an empty page."""

    def translate_path(self, path: str) -> str:
        name = path.lstrip("/")
        return str(ROOT / ("src/teleglyph/web" if name.startswith("screen/") else "bench") / name)

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        body = b"<!doctype html><title>painter</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served() -> Iterator[str]:
    """Serve the page, and yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class Player:
    """Plays recorded deltas in a page.

    Args:
        page: opened at the address of :func:`served`.
        payloads: of SCREEN_UPDATE, the first one whole.
        kind: of painter.
    """

    def __init__(self, page: Page, payloads: list[bytes], kind: str) -> None:
        self._page = page
        self._frames = len(payloads)
        encoded = [base64.b64encode(payload).decode() for payload in payloads]
        make = "async (a) => { globalThis.player = new (await import('/painter_page.js')).Player(...a); }"
        page.evaluate(make, [encoded, kind, *CELL])
        self._metrics = page.context.new_cdp_session(page)
        # Processor time of the main thread, so that other programs on the machine matter less.
        self._metrics.send("Performance.enable", {"timeDomain": "threadTicks"})

    def milliseconds(self, method: str) -> float:
        """Processor time of the main thread for each delta, for a method of the page's player."""
        self._page.evaluate(f"player.{method}()")  # compiles it
        took = []
        for _ in range(ROUNDS):
            before = self._busy()
            self._page.evaluate(f"player.{method}()")
            took.append(1000 * (self._busy() - before) / self._frames)
        return median(took)

    def rate(self) -> float:
        """Frames per second that the browser shows."""
        return float(self._page.evaluate("player.play(2000)"))

    def _busy(self) -> float:
        metrics = self._metrics.send("Performance.getMetrics")["metrics"]
        return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="path of the browser")
    arguments = parser.parse_args()
    rows = []
    with served() as address, sync_playwright() as playwright:
        recordings = {(size, mode): record(*size, mode) for size in SIZES for mode in MODES}
        for kind, flags in FLAGS.items():
            browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox", *flags])
            for ((columns, lines), mode), payloads in recordings.items():
                page = browser.new_page(viewport={"width": columns * CELL[0], "height": lines * CELL[1]})
                page.goto(address)
                player = Player(page, payloads, kind)
                inflating, applying, painting = map(player.milliseconds, ("inflate", "apply", "paint"))
                name = f"{columns}x{lines} {mode.name.lower().replace('_', '-')}, {kind}"
                size = median(map(len, payloads[1:])) / 1000
                times = [f"{time:.2f}" for time in (inflating, applying, painting - applying)]
                rows.append([name, f"{size:.1f}", *times, f"{player.rate():.0f}"])
                page.close()
            browser.close()
    header = ["screen, painter", "kB", "inflate", "apply", "paint", "frames/s"]
    print_table(f"Milliseconds of the main thread per delta, with cells of {CELL[0]}x{CELL[1]} pixels", header, rows)


if __name__ == "__main__":
    main()
