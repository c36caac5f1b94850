"""Data channels between Chromium, with a small page, and a host."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Awaitable, Callable, Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from data_channels import LOOPS, Server, receive, send
from served_files import served
from teleglyph.net.data_channel import LABEL, PAGE, DataChannelAnswer
from teleglyph.net.sctp import WINDOW
from turn_server import PASSWORD, USER, turn_server

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
Scenario = Callable[[Page, DataChannelAnswer, socket.socket], Awaitable[None]]


class Handler(SimpleHTTPRequestHandler):
    """An empty page with the module beside it."""

    def translate_path(self, path: str) -> str:
        return str(Path(__file__).parent / path.partition("?")[0].lstrip("/"))

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        body = (
            b"<!doctype html><title>channel</title><link rel=icon href=data:,><script type=module>"
            b"window.channel = await import('/data_channel_page.js')</script>"
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(Handler) as port:
        yield f"http://127.0.0.1:{port}/"


def pattern(count: int) -> bytes:
    """What the page sends and expects."""
    return (bytes(range(251)) * (count // 251 + 1))[:count]


def in_chromium(address: str, scenario: Scenario, *, server: Server | None = None, protocol: str = PAGE) -> None:
    """Open a channel from a page to a host of this process, and run a scenario with both ends."""

    async def main() -> None:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            )
            try:
                page = await browser.new_page()
                await page.goto(address)
                await page.wait_for_function("window.channel")
                servers = []
                if server is not None:
                    servers = [{"urls": server.url, "username": server.username, "credential": server.credential}]
                text = await page.evaluate("x => channel.offer(...x)", [LABEL, protocol, servers])
                answer = DataChannelAnswer()
                reply = await answer.create(text)
                _, (sock, carried) = await asyncio.gather(
                    page.evaluate("sdp => channel.accept(sdp)", reply), answer.open()
                )
                assert carried == protocol
                with sock:
                    await scenario(page, answer, sock)
                await answer.wait_closed()
            finally:
                await browser.close()

    with asyncio.Runner(loop_factory=LOOPS["asyncio"]) as runner:
        runner.run(main())


def test_a_page_and_a_host_exchange_bytes(address: str) -> None:
    """Chromium hides its addresses behind names that need multicast; it is found by its own checks nevertheless."""
    count = 2_000_000

    async def scenario(page: Page, answer: DataChannelAnswer, sock: socket.socket) -> None:
        assert answer.way == "direct"
        there, _, right, _ = await asyncio.gather(
            receive(sock, count),
            page.evaluate("x => channel.send(...x)", [count, 16_384]),
            page.evaluate("count => channel.receive(count)", count),
            send(sock, pattern(count)),
        )
        assert there == pattern(count)
        assert right is True

    in_chromium(address, scenario)


@pytest.mark.thorough
def test_the_largest_message_of_a_page(address: str) -> None:
    async def scenario(page: Page, answer: DataChannelAnswer, sock: socket.socket) -> None:
        await page.evaluate("x => channel.send(...x)", [600_000, 65_536])
        assert await receive(sock, 600_000) == pattern(600_000)

    in_chromium(address, scenario)


def test_a_page_that_nobody_reads_is_slowed_down(address: str) -> None:
    """Chromium obeys the window, and continues when it opens."""
    count = 5_000_000

    async def scenario(page: Page, answer: DataChannelAnswer, sock: socket.socket) -> None:
        assert answer._stack is not None
        side = answer._stack._association
        sending = asyncio.ensure_future(page.evaluate("x => channel.send(...x)", [count, 16_384]))
        unread = 0
        for _ in range(400):
            await asyncio.sleep(0.05)
            unread = WINDOW - side._advertised_rwnd
            assert unread <= WINDOW + 65_536
            if unread > WINDOW - 20_000:
                break
        assert unread > WINDOW - 20_000
        await asyncio.sleep(0.5)
        assert WINDOW - side._advertised_rwnd <= WINDOW + 65_536
        assert not sending.done()
        assert await receive(sock, count) == pattern(count)
        await sending

    in_chromium(address, scenario)


@pytest.mark.thorough
def test_either_side_may_close(address: str) -> None:
    async def host_closes(page: Page, answer: DataChannelAnswer, sock: socket.socket) -> None:
        await send(sock, pattern(100_000))
        sock.close()
        assert await page.evaluate("channel.receive(100000)") is True
        await page.evaluate("channel.end()")

    async def page_closes(page: Page, answer: DataChannelAnswer, sock: socket.socket) -> None:
        await page.evaluate("channel.close()")
        assert await receive(sock, 1) == b""

    in_chromium(address, host_closes)
    in_chromium(address, page_closes)


@pytest.mark.thorough
def test_a_page_that_sends_text_is_disconnected(address: str) -> None:
    async def scenario(page: Page, answer: DataChannelAnswer, sock: socket.socket) -> None:
        await page.evaluate("channel.text()")
        assert await receive(sock, 1) == b""
        await page.evaluate("channel.end()")

    in_chromium(address, scenario)


def test_a_page_behind_a_relay(address: str, tmp_path: Path) -> None:
    async def scenario(page: Page, answer: DataChannelAnswer, sock: socket.socket) -> None:
        assert answer.way == "relayed"
        await page.evaluate("x => channel.send(...x)", [100_000, 16_384])
        assert await receive(sock, 100_000) == pattern(100_000)
        await send(sock, pattern(100_000))
        assert await page.evaluate("channel.receive(100000)") is True

    with turn_server(tmp_path) as relay:
        in_chromium(address, scenario, server=Server(relay.server().url, USER, PASSWORD))
