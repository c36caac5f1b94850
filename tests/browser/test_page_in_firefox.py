"""The page in Firefox: pictures both ways.  Sound needs a sound card there, which machines for tests have not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from call_page import SERVER
from conftest import ServerProcess
from firefox import Firefox
from teleglyph.wire.acip import Codec

pytestmark = pytest.mark.skipif(shutil.which("firefox-esr") is None, reason="firefox-esr is not installed")
APP = "const { app } = await import(document.querySelector('script[type=module]').src);"


@pytest.fixture
def firefox() -> Iterator[Firefox]:
    browser = Firefox()
    yield browser
    browser.close()


@pytest.mark.thorough
def test_firefox_joins_sends_and_sees(start_server: Callable[..., ServerProcess], firefox: Firefox) -> None:
    server = start_server(*SERVER)
    firefox.open(f"http://localhost:{server.port}/")
    firefox.until("document.querySelector('button[type=submit]') !== null", "there is no lobby")
    firefox.run(f"{APP} document.querySelector('input[name=name]').value = 'Fox';")
    firefox.until(
        f"(await (async () => {{ {APP} return app._media.hasCamera && app._media.hasMicrophone; }})())", "no camera"
    )
    firefox.click("button[type=submit]")
    seen = f"(await (async () => {{ {APP} return app.stage?.frames ?? 0; }})()) > 0"
    firefox.until(seen, "nothing was painted")
    own = f"(await (async () => {{ {APP} return app._roster.some((one) => one.flags & 2 && one.columns); }})())"
    firefox.until(own, "its own picture did not come back")
    server.wait_for_log("Fox joined")
    assert firefox.run(f"{APP} return app._media._encoder.codec;") in (Codec.VP8, Codec.H264)
    assert firefox.run(f"{APP} return app._media._microphone.sendsOpus;")
    assert firefox.errors == []
