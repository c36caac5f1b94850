"""``teleglyph demo``: a whole call on this machine, for looking at.

It is a real server and real participants over real sockets; only the people are drawn.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator

import click

from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.client.call import CallClient, Picture
from teleglyph.client.screen import Screen
from teleglyph.errors import PeerTimeout
from teleglyph.media.pattern import PATTERNS
from teleglyph.server.app import Server
from teleglyph.server.config import ServerConfig
from teleglyph.wire import Capabilities

_SNAPSHOT_SECONDS = 15.0
_TRUECOLOR, _COLORS_256, _COLORS_16, _NO_COLOR = 3, 2, 1, 0
_HALF_BLOCK, _FOREGROUND = 2, 0


def _color_level() -> int:
    """What the environment says about colours; https://no-color.org is honoured."""
    term, colorterm = os.environ.get("TERM", ""), os.environ.get("COLORTERM", "")
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or term == "dumb":
        return _NO_COLOR
    if colorterm in ("truecolor", "24bit"):
        return _TRUECOLOR
    return _COLORS_256 if "256color" in term else _COLORS_16


def _has_utf8() -> bool:
    """Whether the locale's character set is UTF-8."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if value := os.environ.get(name):
            return "utf-8" in value.lower() or "utf8" in value.lower()
    return False


def _terminal() -> Capabilities:
    columns, rows = shutil.get_terminal_size((80, 24))
    color, utf8 = _color_level(), _has_utf8()
    render = _HALF_BLOCK if utf8 and color >= _COLORS_256 else _FOREGROUND
    return Capabilities(width=max(1, columns), height=max(1, rows), color_level=color, render_mode=render, utf8=utf8)


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH"})
@click.pass_obj
def demo(logs: LogOptions) -> int:
    """Show a call with animated participants, on this machine only.

    Ends with q or Ctrl-C. Without a terminal on standard output it prints one picture of the call and ends.
    """
    interactive = sys.stdout.isatty()
    logs.apply(console=False)
    return run(_watch if interactive else _snapshot)


@contextlib.asynccontextmanager
async def _call() -> AsyncIterator[int]:
    """A running server with its animated participants; gives the port."""
    server = Server(ServerConfig(addresses=("127.0.0.1",), port=0, http_port=None, connections_per_minute=0))
    await server.start()
    port = server.bound[0][1]
    terminal = Capabilities(width=20, height=10, desired_fps=1)
    people = [
        asyncio.create_task(CallClient(terminal, name, Picture(paint)).run("127.0.0.1", port))
        for name, paint in PATTERNS.items()
    ]
    try:
        while len(server.default_room.sources) < len(people):  # noqa: ASYNC110 - the room has no event for this
            await asyncio.sleep(0.05)
        yield port
    finally:
        for person in people:
            person.cancel()
        await asyncio.gather(*people, return_exceptions=True)
        await server.stop()


async def _watch(stop: asyncio.Event) -> int:
    async with _call() as port:
        with Screen() as screen:
            viewer = CallClient(_terminal(), "you", None, screen.show, screen.clear)
            task = asyncio.create_task(viewer.run("127.0.0.1", port))
            loop = asyncio.get_running_loop()
            if sys.stdin.isatty():
                loop.add_reader(sys.stdin.fileno(), _on_key, stop)
            shown = _terminal()
            while not stop.is_set() and not task.done():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.1)
                if (now := _terminal()) != shown:
                    shown = now
                    viewer.resize(now)
                    screen.clear()
            if sys.stdin.isatty():
                loop.remove_reader(sys.stdin.fileno())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    return 0


def _on_key(stop: asyncio.Event) -> None:
    if os.read(sys.stdin.fileno(), 64).lower() in (b"q", b"\x1b", b""):
        stop.set()


async def _snapshot(_stop: asyncio.Event) -> int:
    async with _call() as port:
        found: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def take(text: bytes) -> None:
            if not found.done():
                found.set_result(text)

        viewer = CallClient(_terminal(), "you", None, take)
        task = asyncio.create_task(viewer.run("127.0.0.1", port))
        try:
            text = await asyncio.wait_for(found, _SNAPSHOT_SECONDS)
        except TimeoutError:
            raise PeerTimeout(f"No picture of the call within {_SNAPSHOT_SECONDS:g} s") from None
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    click.echo(text.decode())
    return 0
