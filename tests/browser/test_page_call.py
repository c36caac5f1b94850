"""People in a browser and people in terminals see and hear each other."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import av
import numpy as np
import pyte
import pytest
from numpy.typing import NDArray

from acip_peer import AcipPeer
from call_page import CallPage
from conftest import ServerProcess
from speaking_client import SpeakingClient
from talker import RATE, Samples, Talker, level_of, tone
from terminal import Terminal, terminal, wait_for

OpenPage = Callable[..., CallPage]
Connect = Callable[[ServerProcess], AcipPeer]
Color = tuple[int, int, int]
Look = tuple[Color | str | None, ...]
"""Upper and lower half of a cell, or its glyph, foreground and background; None is the terminal's own colour."""

TONE, WHISTLE = 440.0, 660.0
CLIENTS = (660.0, 990.0)
"""Hz: what the browser's microphone hears, and what the other person says."""
PURPLE, ORANGE = (150, 40, 190), (230, 130, 20)
TRUECOLOR = "LC_ALL=C.UTF-8 COLORTERM=truecolor"


def picture(path: Path, color: Color) -> Path:
    """A still picture of a color, darker towards one corner."""
    shade = np.linspace(0.55, 1.0, 160)[None, :, None] * np.linspace(0.75, 1.0, 90)[:, None, None]
    path.write_bytes(b"P6 160 90 255\n" + (shade * np.array(color)).astype(np.uint8).tobytes())
    return path


@pytest.fixture
def windows() -> Iterator[Callable[[int, int], Terminal]]:
    """Opens terminals with all colours."""
    with ExitStack() as stack:
        yield lambda columns, rows: stack.enter_context(terminal(columns, rows, TRUECOLOR))


def join(window: Terminal, server: ServerProcess, room: str, name: str, options: str) -> None:
    window.type(
        f"{sys.executable} -m teleglyph client 127.0.0.1:{server.port}/{room} --name {name} --no-audio "
        f"--color-mode truecolor --render-mode half-block {options}"
    )
    window.expect(f" in {room}")


def look(glyph: str, foreground: Color | None, background: Color | None) -> Look:
    halves = {" ": (background, background), "▀": (foreground, background), "▄": (background, foreground)}
    halves["█"] = (foreground, foreground)
    return halves.get(glyph, (glyph, foreground, background))


def looks_in(window: Terminal) -> list[list[Look]]:
    """The picture in a terminal: everything but the last row, which has the status."""
    rows = window.tmux("capture-pane", "-e", "-p", "-N").rstrip("\n").split("\n")
    screen = pyte.Screen(int(window.tmux("display-message", "-p", "#{pane_width}")), len(rows))
    pyte.Stream(screen).feed("\r\n".join(rows))
    return [
        [
            look(cell.data, _color(cell.fg), _color(cell.bg))
            for cell in (screen.buffer[y][x] for x in range(screen.columns))
        ]
        for y in range(screen.lines - 1)
    ]


def _color(name: str) -> Color | None:
    if name == "default":
        return None
    red, green, blue = bytes.fromhex(name)
    return red, green, blue


def looks_on(page: CallPage) -> list[list[Look]]:
    """The picture in the page's memory."""
    columns, glyphs, foregrounds, backgrounds = page.run(
        "const { columns, glyphs, foregrounds, backgrounds } = app.stage.grid;"
        "return [columns, ...[glyphs, foregrounds, backgrounds].map((list) => Array.from(list))]"
    )
    cells = [
        look(chr(glyph), _direct(foreground), _direct(background))
        for glyph, foreground, background in zip(glyphs, foregrounds, backgrounds, strict=True)
    ]
    return [cells[at : at + columns] for at in range(0, len(cells), columns)]


def _direct(color: int) -> Color | None:
    assert color == 0 or color >> 24 == 0xFF
    return (color & 0xFF, color >> 8 & 0xFF, color >> 16 & 0xFF) if color else None


def screenshot(page: CallPage) -> NDArray[np.uint8]:
    """The pixels of the picture, as the browser shows them: rows, columns, RGB."""
    page.run("app._view._corner.style.visibility = 'hidden'")
    box = page.page.locator(".surface canvas").bounding_box()
    assert box is not None
    # A canvas between two pixels is moved to the next one.
    left, top = round(box["x"] + 0.01), round(box["y"] + 0.01)
    with av.open(io.BytesIO(page.page.screenshot()), "r") as file:
        pixels = np.asarray(next(file.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)
    return pixels[top : top + int(box["height"]), left : left + int(box["width"])]


def looks_and_pixels(page: CallPage) -> tuple[list[list[Look]], NDArray[np.uint8]]:
    """The picture in the page's memory and on the screen, at a moment when nothing changed."""
    while True:
        looks = looks_on(page)
        frames = page.run("await new Promise(requestAnimationFrame); return app.stage.frames")
        pixels = screenshot(page)
        if looks == looks_on(page) and frames == page.run("return app.stage.frames"):
            return looks, pixels


def shows(looks: list[list[Look]], is_like: Callable[[Color], bool]) -> bool:
    """Whether a good part of a picture has a color."""
    halves = [half for row in looks for cell in row if len(cell) == 2 for half in cell]
    return sum(isinstance(half, tuple) and is_like(half) for half in halves) > len(halves) / 20


def sees_on(page: CallPage, is_like: Callable[[Color], bool]) -> bool:
    return shows(looks_on(page), is_like)


def sees_in(window: Terminal, is_like: Callable[[Color], bool]) -> bool:
    return shows(looks_in(window), is_like)


def is_purple(color: Color) -> bool:
    return color[0] > 1.7 * color[1] and color[2] > 2 * color[1] and color[2] > 60


def is_orange(color: Color) -> bool:
    return color[0] > 1.3 * color[1] and color[1] > 2 * color[2] and color[0] > 60


def is_green(color: Color) -> bool:
    """Chromium's simulated camera is green."""
    return color[1] > 1.5 * color[0] and color[1] > 1.5 * color[2] and color[1] > 60


def test_a_page_and_two_terminals_see_each_other(
    page_server: ServerProcess, open_page: OpenPage, windows: Callable[[int, int], Terminal], tmp_path: Path
) -> None:
    ann, bob = windows(100, 31), windows(80, 25)
    join(ann, page_server, "three", "ann", f"--file {picture(tmp_path / 'ann.ppm', PURPLE)}")
    join(bob, page_server, "three", "bob", f"--file {picture(tmp_path / 'bob.ppm', ORANGE)}")
    page = open_page(page_server, "/three", size=(900, 560))
    page.joined("zoe")
    page.until(lambda: page.people == ["ann", "bob", "zoe"], "somebody is missing in the list")
    for window in (ann, bob):
        window.expect("3 in three")
    for what in (is_purple, is_orange, is_green):
        page.until(partial(sees_on, page, what), f"nothing on the page {what.__name__}")
        for window in (ann, bob):
            wait_for(partial(sees_in, window, what), f"nothing in a terminal {what.__name__}")
    assert "zoe" in ann.screen
    assert page.page.title() == "three · Teleglyph"


def test_a_page_shows_the_cells_of_a_terminal_and_their_colours_on_its_canvas(
    page_server: ServerProcess, open_page: OpenPage, windows: Callable[[int, int], Terminal], tmp_path: Path
) -> None:
    ann = windows(60, 20)
    join(ann, page_server, "same", "ann", f"--file {picture(tmp_path / 'ann.ppm', PURPLE)}")
    page = open_page(page_server, "/same", size=(780, 520))
    page.joined("zoe")
    size = page.run("return app.stage.size")
    bob = windows(size["columns"], size["rows"] + 1)
    join(bob, page_server, "same", "bob", "--no-video")
    page.page.keyboard.press("1")
    bob.press("1")
    page.wait("app._spotlight === 1", "the page does not show ann alone")
    page.until(lambda: shows(looks_on(page), is_purple), "the page does not see ann")

    def are_same() -> bool:
        return looks_on(page) == looks_in(bob)

    page.until(are_same, "the page and the terminal show different cells")
    assert shows(looks_on(page), is_purple)

    looks, pixels = looks_and_pixels(page)
    height, width = pixels.shape[0] // len(looks), pixels.shape[1] // len(looks[0])
    assert pixels.shape == (height * len(looks), width * len(looks[0]), 3)
    compared = 0
    for y, row in enumerate(looks):
        for x, cell in enumerate(row):
            if len(cell) > 2:
                continue
            block = pixels[y * height : (y + 1) * height, x * width : (x + 1) * width]
            for half, color in zip((block[: height // 2], block[height // 2 :]), cell, strict=True):
                assert np.all(half == (color or (0, 0, 0))), (x, y, cell)
            compared += 1
    assert compared > 0.9 * len(looks) * len(looks[0])


def record(page: CallPage, parts: int) -> list[Samples]:
    """Parts of what the page plays, each 0.68 s without a break; a busy page or test does not disturb them."""
    rate, heard = page.run(
        """const { context, _gain: gain } = app._sound.playback;
        const analyser = new AnalyserNode(context, { fftSize: 32768 });
        gain.connect(analyser);
        const parts = [];
        for (let end = context.currentTime; parts.length < a;) {
          end += 0.7;
          while (context.currentTime < end) await new Promise((resolve) => setTimeout(resolve, 10));
          const part = new Float32Array(analyser.fftSize);
          analyser.getFloatTimeDomainData(part);
          parts.push(Array.from(part, (sample) => Math.round(sample * 32767)));
          end = context.currentTime;
        }
        return [context.sampleRate, parts];""",
        parts,
    )
    assert rate == RATE
    return [(np.array(part) / 32767).astype(np.float32) for part in heard]


def hear_each_other(
    page_server: ServerProcess, open_page: OpenPage, connect: Connect, parts: int
) -> tuple[list[Samples], Samples]:
    """What the page hears of somebody who whistles, and what they hear of the page, whose microphone hears TONE."""
    page = open_page(page_server, size=(500, 400))
    page.joined("zoe")
    page.wait("app._media.isTalking", "the microphone is off")
    talker = Talker(connect(page_server).join(video=False), tone(WHISTLE, 60.0))
    talker.start()
    page.wait("app._sound.playback.statistics?.bufferedMs > 0", "the page hears nothing")
    heard = record(page, parts)
    page.until(lambda: len(talker.sound) > 2 * RATE, "the page is not heard")
    talker.stop()
    return heard, talker.sound


@pytest.mark.alone
def test_a_page_and_somebody_else_hear_each_other(
    page_server: ServerProcess, open_page: OpenPage, connect: Connect
) -> None:
    parts, sound = hear_each_other(page_server, open_page, connect, 4)
    heard = max(parts, key=lambda part: level_of(part, WHISTLE))
    assert level_of(heard, WHISTLE) > -25
    assert level_of(heard, TONE) < level_of(heard, WHISTLE) - 20, "the page hears itself"
    # The browser takes the tone for a noise, and turns it down by about 20 dB.
    seconds = [sound[at : at + RATE] for at in range(0, len(sound) - RATE, RATE // 2)]
    heard = max(seconds, key=lambda second: level_of(second, TONE))
    assert level_of(heard, TONE) > -45
    assert level_of(heard, WHISTLE) < level_of(heard, TONE) - 10, "somebody hears themselves"


@pytest.mark.alone
def test_a_page_and_two_terminal_clients_hear_each_other(page_server: ServerProcess, open_page: OpenPage) -> None:
    page = open_page(page_server, size=(500, 400))
    page.joined("zoe")
    page.wait("app._media.isTalking", "the microphone is off")

    async def talk(stop: threading.Event) -> list[Samples]:
        people = [SpeakingClient(page_server, name) for name in ("ann", "bob")]
        lives = [
            asyncio.create_task(person.live(tone(frequency, 60.0)))
            for person, frequency in zip(people, CLIENTS, strict=True)
        ]
        await asyncio.to_thread(stop.wait)
        for life, person in zip(lives, people, strict=True):
            life.cancel()
            await person.leave()
        await asyncio.gather(*lives, return_exceptions=True)
        return [np.concatenate(person.heard) for person in people]

    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        talking = pool.submit(lambda: asyncio.run(talk(stop)))
        try:
            page.wait("app._sound.playback.statistics?.bufferedMs > 0", "the page hears nothing")
            parts = record(page, 6)
        finally:
            stop.set()
        sounds = talking.result(10)
    for frequency in CLIENTS:
        assert max(level_of(part, frequency) for part in parts) > -30, f"the page does not hear {frequency} Hz"
    for own, other, sound in zip(CLIENTS, reversed(CLIENTS), sounds, strict=True):
        seconds = [sound[at : at + RATE] for at in range(0, len(sound) - RATE, RATE // 2)]
        assert max(level_of(second, other) for second in seconds) > -30, "one client does not hear the other"
        assert max(level_of(second, TONE) for second in seconds) > -45, "a client does not hear the page"
        assert max(level_of(second, own) for second in seconds[2:]) < -45, "a client hears itself"


@pytest.mark.alone
def test_sound_reaches_the_page_without_gaps(page_server: ServerProcess, open_page: OpenPage, connect: Connect) -> None:
    parts, _ = hear_each_other(page_server, open_page, connect, 6)
    heard = np.concatenate([part[: len(part) // 480 * 480] for part in parts[1:]])
    blocks = np.sqrt(np.mean(heard.reshape(-1, 480) ** 2, axis=1))
    assert np.mean(blocks < np.median(blocks) / 4) < 0.03, "too many blocks of 10 ms are missing"
