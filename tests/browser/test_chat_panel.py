"""People chat on a page, with the terminal's client and with peers that mean no good."""

from __future__ import annotations

import contextlib
import functools
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from conftest import ServerProcess
from nostr_peer import ANN, BOB, NostrPeer, make
from served_files import served

StartServer = Callable[..., ServerProcess]
OpenChat = Callable[..., Page]

PAGE = Path(__file__).parent / "chat"
WEB = Path(__file__).parents[2] / "src" / "teleglyph" / "web"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self' ws: http:",
        "img-src 'self' blob: data:",
    )
)
BY_NAME = ".chat-name"
LOG = ".chat-log"
expect.set_options(timeout=20_000)  # Several tests may share few cores.


class _Files(SimpleHTTPRequestHandler):
    """The page of the test at /, the modules at /web/."""

    def translate_path(self, path: str) -> str:
        path = path.partition("?")[0]
        if path.startswith("/web/"):
            return str(WEB / path.removeprefix("/web/"))
        return str(PAGE / path.lstrip("/"))

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def page_port() -> Iterator[int]:
    """Where the page is."""
    with served(functools.partial(_Files, directory=str(PAGE)), "") as port:
        yield port


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_chat(browser: Browser, page_port: int) -> Iterator[OpenChat]:
    """Opens pages, each with a key of its own; an error in one fails the test."""
    errors: list[str] = []
    with contextlib.ExitStack() as stack:

        def open_page(server: ServerProcess, group: str = "lobby", name: str = "", host: str = "127.0.0.1") -> Page:
            context = browser.new_context(viewport={"width": 390, "height": 700})
            stack.callback(context.close)
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text) if "Security" in message.text else None)
            relay = f"ws://{host}:{server.http_port}/events"
            options = urlencode({"relay": relay, "group": group, "name": name})
            page.goto(f"http://{host}:{page_port}/index.html?{options}")
            return page

        yield open_page
    assert errors == []


def relay(start_server: StartServer, data: Path, *options: str, port: int = 0) -> ServerProcess:
    server = start_server("--http", "--http-port", str(port), "--events", "--data-dir", str(data), *options)
    server.wait_for_log("HTTP on port")
    return server


@contextlib.contextmanager
def peer_of(server: ServerProcess) -> Iterator[NostrPeer]:
    peer = NostrPeer(server)
    yield peer
    peer.close()


def say(peer: NostrPeer, text: str, key: bytes = ANN, *tags: list[str], group: str = "lobby") -> str:
    """Publish a message and return its id."""
    event = make(text, key, 9, ["h", group], *tags)
    assert peer.publish(event)[1] is True
    return event.id


def write(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.keyboard.press("Enter")


def is_at_end(page: Page) -> bool:
    near = "log => log.scrollTop > 0 && log.scrollHeight - log.scrollTop - log.clientHeight < 24"
    return bool(page.eval_on_selector(LOG, near))


def scroll_position(page: Page) -> float:
    return float(page.eval_on_selector(LOG, "log => log.scrollTop"))


def wait_until(condition: Callable[[], bool]) -> None:
    """Playwright's own wait_for_function evaluates strings, which the page's policy forbids."""
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 10 seconds")


def test_a_page_and_a_terminal_exchange_messages(
    shared_server: StartServer, open_chat: OpenChat, tmp_path: Path
) -> None:
    server = shared_server()
    page = open_chat(server, "exchange", "Ann")
    expect(page.get_by_role("status")).to_have_text("There are no messages yet.")
    command = [sys.executable, "-m", "teleglyph", "chat", "exchange", "--relay", f"127.0.0.1:{server.http_port}"]
    with subprocess.Popen(
        [*command, "--key", str(tmp_path / "bob.key"), "--name", "Bob"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as terminal:
        assert terminal.stdin is not None
        assert terminal.stdout is not None
        terminal.stdin.write("hello from the terminal\n")
        terminal.stdin.flush()
        expect(page.get_by_text("hello from the terminal")).to_be_visible()
        expect(page.locator(BY_NAME)).to_have_text(["Bob"])
        box = page.get_by_role("textbox", name="Message")
        box.fill("two")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("lines")
        page.keyboard.press("Enter")
        expect(box).to_have_value("")
        expect(page.locator(".chat-message.own .chat-text")).to_have_text("two\nlines")
        expect(page.locator(BY_NAME)).to_have_text(["Bob", "Ann"])
        expect(page.locator(".chat-message.own .chat-head")).to_contain_text("(you)")
        line = ""
        while "Ann: two" not in line:
            line = terminal.stdout.readline()
            assert line, "the terminal never showed the message"
        assert terminal.stdout.readline().strip() == "lines"
        terminal.stdin.write("/name Robert\n")
        terminal.stdin.flush()
        expect(page.locator(BY_NAME)).to_have_text(["Robert", "Ann"])
        terminal.stdin.close()
        terminal.wait(20)
    own = page.evaluate("keys.publicKey")
    with peer_of(server) as peer:
        peer.say("REQ", "present", {"kinds": [10312], "authors": [own]})
        assert ["h", "exchange"] in peer.get()[2]["tags"]
        assert peer.get() == ["EOSE", "present"]
        page.evaluate("chat.close()")
        tags = {tag[0]: tag[1] for tag in peer.get()[2]["tags"]}
        assert int(tags["expiration"]) < time.time() + 10, "the page has left"
    page.reload()
    expect(page.locator(".chat-text")).to_have_text(["hello from the terminal", "two\nlines"])
    expect(page.locator(".chat-message.own")).to_have_count(1)


def test_messages_and_names_of_others_stay_text(shared_server: StartServer, open_chat: OpenChat) -> None:
    server = shared_server()
    attacks = [
        "<img src=x onerror=alert(1)>",
        "<script>alert(1)</script>",
        "javascript:alert(1) data:text/html,<script>alert(1)</script>",
        '"><svg/onload=alert(1)>',
        "https://evil.example/\"onmouseover='alert(1)'",
        "https://bank.example@evil.example/",
    ]
    with peer_of(server) as peer:
        for text in attacks:
            say(peer, text, group="attacks")
        peer.publish(make('{"name": "<img src=x onerror=alert(1)>"}', ANN, 0))
        say(peer, "gepj.\u202eexe \x1b[31mred\x00", BOB, group="attacks")
        say(peer, "é" * 60_000 + "END", BOB, group="attacks")
        say(peer, "see https://a.example/x, ok", BOB, group="attacks")
    page = open_chat(server, "attacks")
    texts = page.locator(".chat-text")
    expect(texts).to_have_count(9)
    shown = texts.all_inner_texts()
    assert set(attacks) <= set(shown)
    assert "gepj.\ufffdexe \ufffd[31mred\ufffd" in shown
    expect(page.locator(BY_NAME, has_text="img src=x onerror=alert").first).to_be_visible()
    expect(page.locator(".chat-log img, .chat-log script, .chat-log svg")).to_have_count(0)
    links = page.locator(".chat-log a")
    expect(links).to_have_count(2)
    for link in links.all():
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
        assert link.get_attribute("target") == "_blank"
        assert re.match(r"https://(a|evil)\.example/", link.get_attribute("href") or "")
    more = page.get_by_role("button", name="Show all 60,003 characters")
    long = page.locator(".chat-text", has=more)
    assert len(long.inner_text()) < 4100
    more.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".chat-text", has_text="END")).to_be_visible()
    expect(page.get_by_role("button", name="Show less")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".chat-text", has_text="END")).to_have_count(0)
    assert page.evaluate("alerts") == 0
    assert page.eval_on_selector(LOG, "log => log.scrollWidth <= log.clientWidth"), "long words wrap"


def test_a_restarted_server_is_found_again_and_nothing_is_missed(
    start_server: StartServer, open_chat: OpenChat, tmp_path: Path
) -> None:
    server = relay(start_server, tmp_path / "data")
    page = open_chat(server)
    with peer_of(server) as peer:
        gone = say(peer, "deleted later")
        say(peer, "before")
    expect(page.get_by_text("before")).to_be_visible()
    assert server.stop() == 0
    expect(page.get_by_role("status")).to_have_text("The connection to the chat was lost. Reconnecting …")
    write(page, "written meanwhile")
    expect(page.locator(".chat-status:visible")).to_have_text("Sending …")
    server = relay(start_server, tmp_path / "data", port=server.http_port)
    with peer_of(server) as peer:
        say(peer, "while away")
        assert peer.publish(make("", ANN, 5, ["e", gone]))[1] is True
    expect(page.get_by_text("while away")).to_be_visible(timeout=40_000)
    expect(page.locator(".chat-status:visible")).to_have_count(0)
    expect(page.get_by_role("status")).to_be_empty()
    assert sorted(page.locator(".chat-text").all_inner_texts()) == ["before", "while away", "written meanwhile"]
    with peer_of(server) as peer:
        assert {event["content"] for event in peer.ask({"kinds": [9]})} == {"before", "while away", "written meanwhile"}


def test_a_refused_message_shows_why_and_can_be_sent_again(shared_server: StartServer, open_chat: OpenChat) -> None:
    server = shared_server()
    with peer_of(server) as peer:
        for event in (
            make("", ANN, 9007, ["h", "readonly"]),
            make("", ANN, 9002, ["h", "readonly"], ["restricted"], ["closed"]),
            make("notice", ANN, 9, ["h", "readonly"]),
        ):
            assert peer.publish(event)[1] is True
        page = open_chat(server, "readonly")
        expect(page.get_by_text("notice")).to_be_visible()
        write(page, "let me in")
        status = page.locator(".chat-message.own .chat-status")
        expect(status).to_contain_text("Not sent. This group is closed; join with an invitation code.")
        own = page.evaluate("keys.publicKey")
        assert peer.publish(make("", ANN, 9000, ["h", "readonly"], ["p", own]))[1] is True
        status.get_by_role("button", name="Try again").click()
        expect(status).to_be_hidden()
        assert [event["content"] for event in peer.ask({"kinds": [9], "authors": [own]})] == ["let me in"]


@pytest.mark.thorough
def test_a_page_authenticates_and_joins_where_it_must(
    start_server: StartServer, open_chat: OpenChat, tmp_path: Path
) -> None:
    server = relay(start_server, tmp_path / "data", "--event-auth")
    with peer_of(server) as peer:
        assert peer.authenticate(server)[1] is True
        assert peer.publish(make("", ANN, 9007, ["h", "club"]))[1] is True
        assert peer.publish(make("", ANN, 9002, ["h", "club"], ["private"], ["restricted"]))[1] is True
        assert peer.publish(make("members only", ANN, 9, ["h", "club"]))[1] is True
        page = open_chat(server, "club")
        expect(page.get_by_text("members only")).to_be_visible()
        write(page, "hello")
        expect(page.locator(".chat-message.own:not(.sending)")).to_contain_text("hello")
        assert len(peer.ask({"kinds": [9], "authors": [page.evaluate("keys.publicKey")]})) == 1


@pytest.mark.thorough
def test_deleted_messages_disappear(shared_server: StartServer, open_chat: OpenChat) -> None:
    server = shared_server()
    page = open_chat(server, "deletions")
    with peer_of(server) as peer:
        assert peer.publish(make("", ANN, 9007, ["h", "deletions"]))[1] is True
        mine, theirs = say(peer, "mine", ANN, group="deletions"), say(peer, "theirs", BOB, group="deletions")
        say(peer, "an answer", BOB, ["q", mine], group="deletions")
        expect(page.locator(".chat-quote:visible")).to_contain_text("mine")
        assert peer.publish(make("", ANN, 5, ["e", mine]))[1] is True
        assert peer.publish(make("", ANN, 9005, ["h", "deletions"], ["e", theirs]))[1] is True
    expect(page.locator(".chat-text")).to_have_text(["an answer"])
    expect(page.locator(".chat-quote:visible")).to_have_count(0)


@pytest.mark.thorough
def test_a_reader_of_old_messages_is_not_disturbed(shared_server: StartServer, open_chat: OpenChat) -> None:
    server = shared_server()
    with peer_of(server) as peer:
        for number in range(60):
            say(peer, f"message {number}", group="reading")
        page = open_chat(server, "reading")
        expect(page.locator(".chat-message")).to_have_count(60)
        wait_until(lambda: is_at_end(page))
        say(peer, "seen at once", group="reading")
        expect(page.get_by_text("seen at once")).to_be_visible()
        wait_until(lambda: is_at_end(page))
        expect(page).to_have_title("Chat")

        page.locator(LOG).focus()
        page.keyboard.press("Home")
        wait_until(lambda: scroll_position(page) == 0)
        say(peer, "not seen", group="reading")
        say(peer, "not seen either", group="reading")
        newer = page.get_by_role("button", name="2 new messages")
        expect(newer).to_be_visible()
        expect(page).to_have_title("(2) Chat")
        assert scroll_position(page) == 0
        newer.click()
        expect(newer).to_be_hidden()
        expect(page.locator(LOG)).to_be_focused()
        assert is_at_end(page)
        expect(page).to_have_title("Chat")

        page.eval_on_selector("#chat", "root => (root.hidden = true)")
        say(peer, "to a hidden panel", group="reading")
        expect(page).to_have_title("(1) Chat")
        page.eval_on_selector("#chat", "root => (root.hidden = false)")
        expect(page).to_have_title("Chat")
        assert is_at_end(page)
        write(page, "x" * (65536 + 1))
        expect(page.get_by_role("alert")).to_contain_text("The message is too long, with 65537 characters")
        assert len(page.get_by_role("textbox", name="Message").input_value()) == 65537, "nothing is lost"


@pytest.mark.thorough
def test_chat_works_without_a_secure_context(
    start_server: StartServer, open_chat: OpenChat, lan_address: str, tmp_path: Path
) -> None:
    server = relay(start_server, tmp_path / "data", lan_address)
    page = open_chat(server, name="Ann", host=lan_address)
    write(page, "not encrypted, but signed")
    expect(page.locator(".chat-message.own:not(.sending)")).to_contain_text("not encrypted, but signed")
    assert page.evaluate("[isSecureContext, typeof crypto.subtle]") == [False, "undefined"]
    with peer_of(server) as peer:
        assert [event["content"] for event in peer.ask({"kinds": [9]})] == ["not encrypted, but signed"]
