"""What the page's painters put on the canvas, in a real browser."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from served_files import served

playwright_api = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
KINDS = ["webgl", "canvas"]
CELLS = [(4, 8), (7, 15), (8, 16), (13, 27)]


class Handler(SimpleHTTPRequestHandler):
    """The page's modules, and those of the tests."""

    def translate_path(self, path: str) -> str:
        name = path.partition("?")[0].lstrip("/")
        folder = "src/teleglyph/web" if name.startswith("screen/") else "tests/browser"
        return str(ROOT / folder / name)

    def log_message(self, format: str, *args: object) -> None:
        pass


class EmptyPage(Handler):
    """Also an empty page to work in."""

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        body = b"<!doctype html><title>painter</title><style>body{margin:0}canvas{display:block}</style>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the page is served."""
    with served(EmptyPage) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium with WebGL on the processor."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """An empty page."""
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(address)
        yield page


def run(page: Page, body: str, argument: object = None) -> Any:
    """Run JavaScript with the functions of painter_page.js as ``t`` and an argument as ``a``."""
    return page.evaluate(f"async (a) => {{ const t = await import('/painter_page.js'); {body} }}", argument)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_those_of_the_geometry(page: Page, kind: str, cell: tuple[int, int]) -> None:
    found = run(
        page,
        """
        const grid = t.geometricGrid();
        const painter = t.makePainter(a.kind, ...a.cell);
        painter.paint(grid);
        return [painter.kind, t.difference(t.pixelsOf(painter.canvas), t.expectedPixels(grid, ...a.cell))];
        """,
        {"kind": kind, "cell": cell},
    )
    # Shades may be rounded differently; everything else is exact.
    assert found == [kind, pytest.approx(0, abs=1)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ratio", [1, 1.5, *(pytest.param(ratio, marks=pytest.mark.thorough) for ratio in (2, 3))])
def test_a_canvas_pixel_is_a_device_pixel(browser: Browser, address: str, kind: str, ratio: float) -> None:
    cell = (6, 12)
    with browser.new_context(device_scale_factor=ratio) as context:
        page = context.new_page()
        page.goto(address)
        run(
            page,
            "globalThis.grid = t.geometricGrid(); t.makePainter(a.kind, ...a.cell).paint(grid);",
            {"kind": kind, "cell": cell},
        )
        clip = {"x": 0.0, "y": 0.0, "width": 32 * cell[0] / ratio, "height": 11 * cell[1] / ratio}
        shot = page.screenshot(clip=clip)  # type: ignore[arg-type]
        found = run(
            page,
            """
            const image = await createImageBitmap(await (await fetch("data:image/png;base64," + a.png)).blob());
            return [image.width, image.height, t.difference(t.pixelsOf(image), t.expectedPixels(grid, ...a.cell))];
            """,
            {"png": base64.b64encode(shot).decode(), "cell": cell},
        )
    assert found == [32 * cell[0], 11 * cell[1], pytest.approx(0, abs=1)]


@pytest.mark.parametrize("kind", KINDS)
def test_painting_changes_is_painting_all(page: Page, kind: str) -> None:
    differences = run(
        page,
        """
        const grid = t.geometricGrid(), painter = t.makePainter(a, 5, 9), differences = [];
        for (let turn = 0; turn < 12; turn++) {
          t.change(grid);
          painter.paint(grid);
          differences.push(t.difference(t.pixelsOf(painter.canvas), t.expectedPixels(grid, 5, 9)));
          if (turn === 7) painter.resize(grid.columns, grid.rows, 5, 9);
        }
        return differences;
        """,
        kind,
    )
    assert max(differences) <= 1
    assert len(differences) == 12


def test_painters_agree_about_text(page: Page) -> None:
    found = run(
        page,
        """
        const grid = t.textGrid("Hello, world! @#$", "é ü 世界 ok", "gjpqy ÄÖ");
        const pixels = ["webgl", "canvas"].map((kind) => {
          const painter = t.makePainter(kind, 9, 18);
          painter.paint(grid);
          return t.pixelsOf(painter.canvas);
        });
        grid.glyphs.fill(32);
        return [t.difference(...pixels), t.difference(pixels[0], t.expectedPixels(grid, 9, 18))];
        """,
    )
    assert found[0] <= 1
    assert found[1] > 50  # there is text


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_glyphs_beyond_the_size_of_the_atlas_are_drawn(page: Page, kind: str) -> None:
    found = run(
        page,
        """
        const grids = t.manyGlyphs();
        const paint = (painter, grid) => { painter.paint(grid); return t.pixelsOf(painter.canvas); };
        const painter = t.makePainter(a, 6, 12);
        const reused = grids.map((grid) => paint(painter, grid));
        const fresh = grids.map((grid) => paint(t.makePainter(a, 6, 12), grid));
        return [0, 1].map((i) => t.difference(reused[i], fresh[i]));
        """,
        kind,
    )
    assert found == [0, 0]


def test_a_restored_context_shows_the_newest_screen(page: Page) -> None:
    found = run(
        page,
        """
        const grid = t.geometricGrid(), painter = t.makePainter("webgl", 6, 12);
        painter.paint(grid);
        const canvas = painter.canvas, loss = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
        const wait = (name) => new Promise((resolve) => canvas.addEventListener(name, resolve, { once: true }));
        const lost = wait("webglcontextlost"), restored = wait("webglcontextrestored");
        loss.loseContext();
        await lost;
        t.change(grid);
        painter.paint(grid);
        painter.resize(grid.columns, grid.rows, 7, 14);
        painter.paint(grid);
        setTimeout(() => loss.restoreContext());
        await restored;
        const pixels = t.pixelsOf(canvas);
        t.change(grid);
        const before = t.expectedPixels(grid, 7, 14);
        painter.paint(grid);
        return [painter.kind, t.difference(t.pixelsOf(canvas), before), t.difference(pixels, before) > 1];
        """,
    )
    assert found == ["webgl", pytest.approx(0, abs=1), True]


def test_a_context_that_stays_lost_is_replaced(page: Page) -> None:
    page.clock.install(time=0)
    page.clock.pause_at(1)
    run(
        page,
        """
        globalThis.grid = t.geometricGrid();
        globalThis.painter = t.makePainter("webgl", 6, 12);
        painter.canvas.className = "screen";
        painter.paint(grid);
        const canvas = painter.canvas;
        const lost = new Promise((resolve) => canvas.addEventListener("webglcontextlost", resolve));
        canvas.getContext("webgl2").getExtension("WEBGL_lose_context").loseContext();
        await lost;
        """,
    )
    page.clock.fast_forward(4000)
    assert run(page, "return painter.kind") == "webgl"
    page.clock.fast_forward(2000)
    found = run(
        page,
        """
        const differences = [t.difference(t.pixelsOf(painter.canvas), t.expectedPixels(grid, 6, 12))];
        t.change(grid);
        painter.paint(grid);
        differences.push(t.difference(t.pixelsOf(painter.canvas), t.expectedPixels(grid, 6, 12)));
        const canvases = [...document.querySelectorAll("canvas.screen")];
        return [painter.kind, ...differences, canvases.length, canvases[0] === painter.canvas];
        """,
    )
    assert found == ["canvas", pytest.approx(0, abs=1), pytest.approx(0, abs=1), 1, True]


def test_without_webgl_the_2d_context_is_used(browser: Browser, address: str) -> None:
    with browser.browser_type.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-3d-apis"]) as other:
        page = other.new_page()
        page.goto(address)
        found = run(
            page,
            """
            const painter = t.makePainter("webgl", 6, 12), grid = t.geometricGrid(), canvas = painter.canvas;
            painter.paint(grid);
            const difference = t.difference(t.pixelsOf(canvas), t.expectedPixels(grid, 6, 12));
            return [painter.kind, difference, document.querySelector("canvas") === canvas];
            """,
        )
    assert found == ["canvas", pytest.approx(0, abs=1), True]


def test_without_a_graphics_processor_the_2d_context_is_used(page: Page) -> None:
    assert run(page, "return t.makePainter('auto', 6, 12).kind") == "canvas"


@pytest.mark.thorough
def test_a_screen_too_large_for_webgl_is_painted_without_it(page: Page) -> None:
    found = run(
        page,
        """
        const painter = t.makePainter("webgl", 6, 12);
        const grid = t.geometricGrid(), gl = painter.canvas.getContext("webgl2");
        gl.getParameter = () => 16;
        painter.paint(grid);
        return [painter.kind, t.difference(t.pixelsOf(painter.canvas), t.expectedPixels(grid, 6, 12))];
        """,
    )
    assert found == ["canvas", pytest.approx(0, abs=1)]


@pytest.mark.parametrize("kind", KINDS)
def test_cells_are_selected_and_copied(page: Page, kind: str) -> None:
    run(
        page,
        """
        globalThis.grid = t.textGrid("Hello, 世界", "second line ", "third");
        globalThis.painter = t.makePainter(a, 10, 20);
        painter.paint(grid);
        globalThis.clicks = [];
        globalThis.selection = new t.Selection(document.body, painter, () => grid, (cell) => clicks.push(cell));
        """,
        kind,
    )
    page.mouse.move(75, 10)  # the left half of a wide glyph
    page.mouse.down()
    page.mouse.move(55, 30)
    page.mouse.up()
    assert run(page, "return selection.text") == "世界\nsecond"
    page.keyboard.press("Control+C")
    assert run(page, "return navigator.clipboard.readText()") == "世界\nsecond"
    inverted = run(
        page,
        """
        grid.glyphs.fill(32);
        grid.rowRevisions.fill(++grid.revision);
        painter.paint(grid);
        const expected = t.expectedPixels(grid, 10, 20, [7, 18]);
        return t.difference(t.pixelsOf(painter.canvas), expected);
        """,
    )
    assert inverted <= 1
    page.keyboard.press("Escape")
    assert run(page, "return [selection.isEmpty, selection.text]") == [True, ""]
    page.mouse.click(25, 45)
    page.mouse.click(25, 450)
    assert run(page, "return clicks") == [2 * 12 + 2]
    # Dragged out of the canvas: up to the nearest cell.
    page.mouse.move(115, 50)
    page.mouse.down()
    page.mouse.move(500, 400)
    page.mouse.move(5, 0)
    page.mouse.up()
    assert run(page, "return [clicks.length, selection.isEmpty]") == [1, False]
    run(page, "selection.dispose()")
    page.mouse.click(25, 45)
    assert run(page, "return [clicks.length, selection.isEmpty]") == [1, True]
