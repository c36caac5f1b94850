"""What hostile names, pages and links cannot do to the page, and where secrets do not appear."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect

from call_page import SERVER, CallPage
from conftest import ServerProcess
from guest import Guest
from teleglyph.wire.acip import PacketType

StartServer = Callable[..., ServerProcess]
OpenPage = Callable[..., CallPage]
Invite = Callable[..., Guest]

MARKUP = "<img src=x onerror=alert(1)>"
OVERRIDE = "\N{RIGHT-TO-LEFT OVERRIDE}"
PASSWORD = "correct horse battery"
INVITATION = "AQFrCgE2awtNobodyMadeThisOne"
INJECT = """
const violations = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
const add = (name, properties) => document.body.append(Object.assign(document.createElement(name), properties));
add("script", { textContent: "globalThis.hasRun = 'inline'" });
add("script", { src: `${a}/script.js` });
add("img", { src: `${a}/picture.png` });
add("iframe", { src: `${a}/frame.html` });
const element = document.createElement("p");
element.setAttribute("style", "color: red");
element.setAttribute("onclick", "globalThis.hasRun = 'attribute'");
document.body.append(element);
element.click();
await fetch(a).catch(() => {});
try {
  new WebSocket(a.replace("http", "ws"));
} catch {
  // Some browsers throw.
}
for (let i = 0; i < 100 && violations.length < 8; i++) await new Promise((resolve) => setTimeout(resolve, 20));
return [globalThis.hasRun ?? "", violations.sort()];
"""
EMBED = '<!doctype html><title>elsewhere</title><iframe src="{}" width="800" height="600"></iframe>'
OPEN_SOCKET = """(url) => new Promise((resolve) => {
  const socket = new WebSocket(url, "teleglyph.page");
  socket.onopen = () => resolve("open");
  socket.onerror = () => resolve("refused");
})"""


class _Elsewhere(BaseHTTPRequestHandler):
    """Answers every request with the page of the test."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _ElsewhereServer)
        server.requests.append(self.path)
        self.send_response(200)
        is_script = self.path.endswith(".js")
        self.send_header("Content-Type", "text/javascript" if is_script else "text/html")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(b"globalThis.hasRun = 'foreign'" if is_script else server.page.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


class _ElsewhereServer(ThreadingHTTPServer):
    page = "<!doctype html><title>elsewhere</title>"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Elsewhere)
        self.requests: list[str] = []

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def elsewhere() -> Iterator[_ElsewhereServer]:
    """A web server of another origin."""
    with _ElsewhereServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_names_and_messages_stay_text(page_server: ServerProcess, open_page: OpenPage, invite: Invite) -> None:
    page = open_page(page_server)
    page.joined(MARKUP)
    invite(page_server, f"<b>{OVERRIDE}evil")
    announcements = page.page.locator("#announcements")
    expect(announcements).to_contain_text("<b>")
    page.page.keyboard.press("p")
    people = page.page.locator(".people")
    expect(people).to_contain_text("evil")
    expect(people).to_contain_text(MARKUP)

    page.page.keyboard.press("c")
    message = page.page.get_by_role("textbox", name="Message")
    message.fill(f"{MARKUP} {OVERRIDE}reversed javascript:alert(2) https://example.org/ {'x' * 9000}")
    page.page.keyboard.press("Enter")
    log = page.page.get_by_role("log")
    expect(log).to_contain_text(f"{MARKUP} ")
    expect(log.locator(".chat-name").first).to_have_text("img src=x onerror=alert")
    assert [link.get_attribute("href") for link in log.get_by_role("link").all()] == ["https://example.org/"]

    assert page.page.locator("main img, main b, main script, #announcements *:not(p)").count() == 0
    assert OVERRIDE not in page.page.inner_text("body") + page.page.title()
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.page.set_viewport_size({"width": 390, "height": 844})
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_addresses_with_markup_are_not_rooms(
    page_server: ServerProcess, open_page: OpenPage, chromium: Browser
) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        for path in ("/%3Cimg%20src=x%20onerror=alert(1)%3E", "/%E2%80%AEevil", f"/{'x' * 33}"):
            answer = page.goto(f"http://127.0.0.1:{page_server.port}{path}")
            assert answer is not None
            assert answer.status == 404
            assert "There is no such page." in page.inner_text("body")
            assert page.locator("img").count() == 0
            assert "evil" not in page.content()


def test_nothing_injected_runs_and_nothing_comes_from_elsewhere(
    page_server: ServerProcess, open_page: OpenPage, elsewhere: _ElsewhereServer
) -> None:
    page = open_page(page_server, "/injected", allows=["Content Security Policy", "violates the following"])
    page.joined("zoe")
    origins = {url.partition("://")[2].partition("/")[0] for url in page.requests if not url.startswith("blob:")}
    assert origins == {f"127.0.0.1:{page_server.port}"}
    has_run, violations = page.run(INJECT, elsewhere.origin)
    assert has_run == ""
    assert set(violations) == {
        *("connect-src", "frame-src", "img-src", "script-src-attr", "script-src-elem", "style-src-attr"),
    }
    assert violations.count("connect-src") == violations.count("script-src-elem") == 2
    assert elsewhere.requests == []


def test_other_pages_can_neither_frame_the_page_nor_join(
    page_server: ServerProcess, chromium: Browser, elsewhere: _ElsewhereServer
) -> None:
    address = f"127.0.0.1:{page_server.port}"
    elsewhere.page = EMBED.format(f"http://{address}/")
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(elsewhere.origin)
        page.wait_for_load_state()
        frame = page.frames[1]
        assert frame.locator(".lobby, #app").count() == 0
        assert frame.evaluate("location.href") == "chrome-error://chromewebdata/"
        assert page.evaluate(OPEN_SOCKET, f"ws://{address}/call") == "refused"
        page.goto(f"http://{address}/")
        assert page.evaluate(OPEN_SOCKET, f"ws://{address}/call") == "open", "the page itself may join"


def test_the_password_is_neither_stored_nor_logged_nor_in_an_address(
    start_server: StartServer, open_page: OpenPage
) -> None:
    server = start_server(*SERVER, "--password", PASSWORD)
    page = open_page(server)
    page.join("zoe")
    page.page.get_by_label("Password of the call").fill(PASSWORD)
    page.join("zoe")
    page.until(lambda: page.people == ["zoe"], "the password does not work")
    stored = page.page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")
    assert "zoe" in stored
    address = page.page.url
    page.page.keyboard.press("s")
    expect(page.page.get_by_label("Your name")).to_have_value("zoe")
    page.page.get_by_role("button", name="Leave the call").click()
    page.page.wait_for_selector(".lobby")
    server.wait_for_log("zoe left")
    for place in (stored, address, *page.requests, *server.log):
        for secret in (PASSWORD, PASSWORD.replace(" ", "+"), PASSWORD.replace(" ", "%20")):
            assert secret not in place


def test_an_invitation_is_neither_stored_nor_logged_nor_in_an_address(
    page_server: ServerProcess, open_page: OpenPage
) -> None:
    page = open_page(page_server, f"/invited#i={INVITATION}")
    page.join("zoe")
    expect(page.notices.locator(".error")).to_be_visible()
    assert INVITATION.encode() in page.has_sent(PacketType.PAGE_HELLO)[0]
    stored = page.page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")
    assert "zoe" in stored
    # The first address is the one that was typed; browsers send nothing that follows its '#'.
    for place in (stored, *page.requests[1:], *page_server.log):
        assert INVITATION not in place
