"""Pages join calls by name with the real programs: a discovery service, and servers that register with it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from call_page import CallPage
from conftest import ServerProcess
from discovery_process import DiscoveryProcess

PASSWORD = "correct horse"
OpenPage = Callable[..., CallPage]


class Host:
    """A server that is found by its name.

    Attributes:
        server: the running process.
        name: of the call, without the service.
    """

    def __init__(self, service: DiscoveryProcess, data: Path, start: Callable[..., ServerProcess]) -> None:
        self.data = data
        self._start = start
        self._options = ["--discovery", f"127.0.0.1:{service.port}", "--no-port-mapping", "--data-dir", str(data)]
        self._options += ["--http", "--max-load", "100", "--password", PASSWORD]
        self.start()

    def start(self) -> None:
        self.server = self._start(*self._options)
        self.name = self.server.wait_for_log("Friends anywhere join with", 30).split()[-1].partition("@")[0]


@pytest.fixture(scope="module")
def service() -> Iterator[DiscoveryProcess]:
    process = DiscoveryProcess()
    yield process
    assert process.stop() == 0
    assert "Traceback" not in "".join(process.log), "".join(process.log)


@pytest.fixture
def host(service: DiscoveryProcess, tmp_path: Path, start_server: Callable[..., ServerProcess]) -> Host:
    return Host(service, tmp_path / "host", start_server)


def origin(service: DiscoveryProcess) -> str:
    return f"http://127.0.0.1:{service.port}"


def give_password(page: CallPage, password: str = PASSWORD) -> None:
    page.page.fill("input[name=password]", password)
    page.page.click("button[type=submit]")


def is_drawn(page: CallPage) -> None:
    page.page.wait_for_selector(".call")
    page.until(lambda: page.run("return app.stage?.frames ?? 0") > 3, "nothing was painted")


def test_a_page_joins_a_call_with_a_password(service: DiscoveryProcess, host: Host, open_page: OpenPage) -> None:
    page = open_page(origin(service), f"/{host.name}")
    page.join("zoe")
    give_password(page, "wrong horse")
    expect(page.notices).to_contain_text("The password is wrong.")
    host.server.wait_for_log("A guest by name was refused")
    give_password(page)
    is_drawn(page)
    expect(page.page.locator(".corner")).to_have_text(f"direct · {host.name}")
    page.until(lambda: page.people == ["zoe"], "the page is not in the list")
    host.server.wait_for_log("zoe")


@pytest.mark.thorough
def test_a_page_is_back_after_its_host_was_killed(service: DiscoveryProcess, host: Host, open_page: OpenPage) -> None:
    page = open_page(origin(service), f"/{host.name}")
    page.join("zoe")
    give_password(page)
    is_drawn(page)
    name = host.name
    host.server.stop(signal.SIGKILL)
    expect(page.page.locator("body")).to_contain_text(re.compile("connect", re.IGNORECASE))
    host.start()
    assert host.name == name
    host.server.wait_for_log("zoe", 60)
    frames = page.run("return app.stage.frames")
    page.wait(f"app.stage.frames > {frames + 3}", "the picture stands still")


def test_an_invitation_is_enough(service: DiscoveryProcess, host: Host, open_page: OpenPage) -> None:
    command = [sys.executable, "-m", "teleglyph", "invite", "--data-dir", str(host.data)]
    invited = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    invitation = invited.stdout.strip().partition("#")[2]
    page = open_page(origin(service), f"/{host.name}#{invitation}")
    page.join("zoe")
    is_drawn(page)
    page.until(lambda: page.people == ["zoe"], "the page is not in the list")


def test_a_name_that_nobody_has_is_explained(service: DiscoveryProcess, open_page: OpenPage) -> None:
    page = open_page(origin(service), "/brave-otter-lamp")
    page.join("zoe")
    expect(page.notices).to_contain_text("There is no call named brave-otter-lamp.")
