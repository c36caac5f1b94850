"""A browser whose camera shows a moving disc and whose microphone hears a tone."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from call_page import CallPage
from conftest import ServerProcess
from guest import Guest
from talker import RATE, tone

OpenPage = Callable[..., CallPage]

CHROMIUM = shutil.which("chromium")
TONE = 440.0
"""In the microphone of the browser, in Hz."""
DESK = (1280, 800)
expect.set_options(timeout=20_000)  # Several tests may share few cores.


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for a module; every test opens its own contexts."""
    assert CHROMIUM is not None, "There is no Chromium. See scripts/system-packages."
    file = tmp_path_factory.mktemp("microphone") / "tone.wav"
    _write_tone(file)
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={file}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_server(shared_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with a page and a chat for a module; its tests use different rooms, or leave the lobby at their ends."""
    return shared_server("--max-load", "100")


@pytest.fixture
def invite() -> Iterator[Callable[..., Guest]]:
    """Lets people join the lobby; they leave at the end."""
    guests: list[Guest] = []

    def join(server: ServerProcess, name: str, color: tuple[int, int, int] | None = None) -> Guest:
        guests.append(Guest(server, name, color))
        return guests[-1]

    yield join
    for guest in guests:
        guest.leave()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Opens the page of a server in a context of its own; errors in any page fail the test."""
    pages: list[CallPage] = []

    def open_one(
        server: ServerProcess | str,
        path: str = "/",
        *,
        size: tuple[int, int] = DESK,
        script: str = "",
        allows: Sequence[str] = (),
        bypass_csp: bool = False,
    ) -> CallPage:
        context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, bypass_csp=bypass_csp)
        context.set_default_timeout(20_000)
        if script:
            context.add_init_script(script)
        page = CallPage(context.new_page(), allows)
        pages.append(page)
        origin = server if isinstance(server, str) else f"http://127.0.0.1:{server.port}"
        page.page.goto(origin + path)
        page.page.wait_for_selector(".lobby")
        return page

    yield open_one
    for page in pages:
        page.close()


def _write_tone(file: Path) -> None:
    """One second of the tone; the browser repeats it without a step."""
    samples = (tone(TONE, 1.0, 0.3) * 32767).astype(np.int16)
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.tobytes())
