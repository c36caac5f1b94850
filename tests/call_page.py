"""The page of a call in a real browser, as its user and its developer see it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, WebSocket

from teleglyph.wire.acip import PacketType
from teleglyph.wire.acip.packet import Packet, parse_packet, split_packets

DEADLINE = 30.0
SERVER = ("--http", "--max-load", "100")
"""Options of a server with a page that does not mind a busy machine."""
_IMPORT = "const { app } = await import(document.querySelector('script[type=module]').src);"


class CallPage:
    """A tab with the page of a server.

    Args:
        page: an empty tab.
        allows: regular expressions of errors that the test causes on purpose; any other is in ``errors``.

    Attributes:
        requests: addresses of everything that the tab has requested, WebSockets included.
        sent: packets that it has sent to calls.
        received: types of the packets that it has received from calls.
        errors: of the console and of scripts.
    """

    def __init__(self, page: Page, allows: Sequence[str] = ()) -> None:
        self.page = page
        self.requests: list[str] = []
        self.sent: list[Packet] = []
        self.received: set[int] = set()
        self.errors: list[str] = []
        self._allows = allows
        page.on("console", self._log)
        page.on("pageerror", lambda error: self._add(str(error)))
        page.on("request", self._note)
        page.on("websocket", self._watch)

    def run(self, body: str, argument: object = None) -> Any:
        """Run JavaScript in the page, with the running page as ``app`` and an argument as ``a``."""
        return self.page.evaluate(f"async (a) => {{ {_IMPORT} {body} }}", argument)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Return once the condition holds."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, f"{what}\n{self.errors}\n{self.page.inner_text('body')}"
            self.page.wait_for_timeout(50)

    def join(self, name: str) -> None:
        """Fill in the name and press the button."""
        self.page.fill("input[name=name]", name)
        self.page.click("button[type=submit]")

    def joined(self, name: str) -> None:
        """Join, and wait for the first picture."""
        self.join(name)
        self.page.wait_for_selector(".call")
        self.until(lambda: self.run("return app.stage?.frames ?? 0") > 0, "nothing was painted")

    def wait(self, body: str, what: str) -> None:
        """Wait until an expression about ``app`` is true."""
        self.until(lambda: self.run(f"return {body}"), what)

    def has_sent(self, kind: PacketType) -> list[bytes]:
        """Payloads of all packets of a type that the page has sent."""
        return [packet.payload for packet in self.sent if packet.type == kind]

    @property
    def people(self) -> list[str]:
        """Names of everybody in the call, as the server lists them."""
        return list(self.run("return app._roster.map((one) => one.name)"))

    @property
    def status(self) -> Locator:
        """The sentence over the picture."""
        return self.page.locator(".status")

    @property
    def notices(self) -> Locator:
        """What the lobby tells."""
        return self.page.locator(".notices")

    def close(self) -> None:
        """Close the tab; errors of the page that the test did not expect fail it."""
        self.page.context.close()
        assert self.errors == [], self.errors

    def _log(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._add(f"{message.text} ({message.location.get('url', '')})")

    def _note(self, request: Request) -> None:
        self.requests.append(request.url)

    def _watch(self, socket: WebSocket) -> None:
        self.requests.append(socket.url)
        if socket.url.endswith("/call"):
            socket.on("framesent", lambda payload: self.sent.extend(_packets(payload)))
            socket.on("framereceived", lambda payload: self.received.update(one.type for one in _packets(payload)))

    def _add(self, error: str) -> None:
        if not any(re.search(allowed, error) for allowed in self._allows):
            self.errors.append(error)


def _packets(message: bytes | str) -> list[Packet]:
    assert isinstance(message, bytes)
    return [parse_packet(packet) for packet in split_packets(message)]
