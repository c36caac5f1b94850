"""Measures the page in headless Chromium beside a terminal client in the same call.

Prints, for two sizes: frames per second painted, the main thread's time for each of them, the delay from a sent
picture to the canvas, and bytes per second, the last two also relative to a client without a browser.  Then the time
from opening the link to the first picture, and the size of the page.

Run ``python -m bench.browser`` (about two minutes; needs Playwright and Chromium).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
import urllib.request
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from bench.report import print_table
from bench.server import ServerProcess, percentile
from bench.timed_pictures import BITS, TimedSender, TimedViewer
from teleglyph.server.page_files import load_page

_SIZES = ((160, 48, 16), (240, 67, 12))
"""Columns, rows and the height of a character in pixels."""
_BAR = 71
"""Pixels of the page below the stage."""
_ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
]
_WATCH = """async (bits) => {
  const { app } = await import(document.querySelector("script[type=module]").src);
  const stage = app.stage, samples = [], paint = stage._paint.bind(stage);
  let last = -1;
  stage._paint = () => {
    paint();
    const now = performance.timeOrigin + performance.now(), grid = stage.grid;
    const tile = stage._roster.find((one) => one.columns > 0);
    if (!grid || !tile) return;
    let told = 0;
    for (let bit = 0; bit < bits; bit++) {
      const column = tile.x + Math.floor((bit + 0.5) * tile.columns / bits);
      if ((grid.foregrounds[(tile.y + 1) * grid.columns + column] >> 8 & 255) > 128) told += 2 ** bit;
    }
    if (told !== last) samples.push((now - told) % 2 ** bits);
    last = told;
  };
  globalThis.bench = { samples, stage };
}"""


async def open_page(browser: Browser, port: int, columns: int, rows: int, cell: int) -> Page:
    """The page in the call, with a stage of this size; it sends nothing."""
    size = {"width": columns * cell // 2, "height": rows * cell + _BAR}
    page = await browser.new_page(viewport=size)  # type: ignore[arg-type]
    stored = {"name": "page", "cell": cell, "camera": False, "microphone": False, "hidesSelf": True}
    await page.add_init_script(f"localStorage.setItem('teleglyph.preferences', {json.dumps(json.dumps(stored))})")
    await page.goto(f"http://localhost:{port}/")
    await page.click("button[type=submit]")
    await page.wait_for_selector(".call")
    return page


async def measure(
    browser: Browser, server: ServerProcess, columns: int, rows: int, cell: int, seconds: float
) -> list[str]:
    """One row of the table."""
    sender = TimedSender(server.port)
    ages: list[float] = []
    # Among three or more people those without a picture are only named, so that the picture has the whole screen.
    viewers = [TimedViewer(server.port, columns, rows, ages.append), TimedViewer(server.port, 20, 5, _ignore)]
    page = await open_page(browser, server.port, columns, rows, cell)
    await asyncio.sleep(4)
    shown = await page.evaluate(f"({_WATCH})({BITS}).then(() => [bench.stage.grid.columns, bench.stage.grid.rows])")
    assert shown == [columns, rows], f"the page shows {shown}"
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    ages.clear()
    before, bytes_before = await _counters(page, session), _bytes_sent(server.port)
    started = time.monotonic()
    await asyncio.sleep(seconds)
    after, bytes_after = await _counters(page, session), _bytes_sent(server.port)
    elapsed = time.monotonic() - started
    samples = await page.evaluate("bench.samples")
    await page.close()
    for viewer in viewers:
        await viewer.stop()
    await sender.stop()
    frames = after["frames"] - before["frames"]
    rates = {name: (bytes_after[name] - bytes_before[name]) / elapsed for name in ("page", "terminal")}
    own, other = statistics.median(samples), statistics.median(ages)
    return [
        f"{columns}x{rows}",
        f"{frames / elapsed:.1f}",
        f"{1000 * (after['TaskDuration'] - before['TaskDuration']) / frames:.2f}",
        f"{own:.0f}, {percentile(samples, 0.99):.0f}",
        f"{other:.0f}",
        f"{own - other:+.0f}",
        f"{rates['page'] / 1000:.0f}",
        f"{rates['page'] / rates['terminal']:.2f}",
    ]


def _ignore(_age: int) -> None:
    pass


async def _counters(page: Page, session: Any) -> dict[str, float]:
    metrics = await session.send("Performance.getMetrics")
    values = {one["name"]: one["value"] for one in metrics["metrics"]}
    return {**values, "frames": await page.evaluate("bench.stage.frames")}


def _bytes_sent(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/statistics") as answer:
        rooms = json.load(answer)["rooms"]
    return {one["name"]: one["values"]["bytes_out"] for room in rooms for one in room["participants"]}


async def first_picture(browser: Browser, port: int) -> tuple[float, float]:
    """Seconds from opening the link to the lobby, and from the click on Join to the first picture."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    started = time.monotonic()
    await page.goto(f"http://localhost:{port}/")
    await page.wait_for_selector("button[type=submit]")
    opened = time.monotonic()
    await page.click("button[type=submit]")
    await page.evaluate(
        """async () => {
          const { app } = await import(document.querySelector("script[type=module]").src);
          while (!app.stage?.frames) await new Promise(requestAnimationFrame);
        }"""
    )
    joined = time.monotonic()
    await context.close()
    return opened - started, joined - opened


async def run(seconds: float) -> None:
    """Measure everything and print it."""
    server = ServerProcess("--ephemeral", "--no-events")
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_ARGUMENTS)
            rows = [await measure(browser, server, *size, seconds) for size in _SIZES]
            print_table(
                "The page and a terminal client, half blocks in all colours, 30 pictures per second",
                [
                    "size",
                    "fps",
                    "main ms/frame",
                    "page delay ms (median, 99 %)",
                    "client",
                    "added",
                    "page KB/s",
                    "ratio",
                ],
                rows,
            )
            sender = TimedSender(server.port)
            await asyncio.sleep(2)
            times = [await first_picture(browser, server.port) for _ in range(5)]
            await sender.stop()
            await browser.close()
    finally:
        server.stop()
    opening, joining = (statistics.median(part) for part in zip(*times, strict=True))
    page = load_page()
    size = sum(len(file.compressed or file.body) for file in [page.index, *page.others.values()])
    print(f"Opening the page takes {1000 * opening:.0f} ms, joining until the first picture {1000 * joining:.0f} ms.")
    print(f"The page has {len(page.others) + 1} files of together {size / 1000:.0f} kB, compressed.")


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="for each size")
    asyncio.run(run(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
