"""``teleglyph chat``: the text side of a room."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import click
from wcwidth import wcswidth

from teleglyph import directories
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.client.address import websocket_url
from teleglyph.client.chat import Chat
from teleglyph.errors import EventRefused
from teleglyph.events.client import NostrClient
from teleglyph.keys.nostr import load_nostr_key, npub_of

_HTTP_PORT = 27226
_KEY_FILE = "nostr.key"


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH_CHAT"})
@click.argument("room", default="lobby")
@click.option(
    "--relay",
    default="",
    metavar="ADDRESS",
    help="HOST or HOST:PORT of a server started with '--events', or the ws:// or wss:// URL of any Nostr relay.  "
    f"[default: this machine, port {_HTTP_PORT}]",
)
@click.option("--name", default="", help="What you want to be called; others see it.")
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with your Nostr key (nsec), made on first use.  [default: nostr.key in the configuration directory]",
)
@click.option("--history", type=click.IntRange(0, 500), default=50, show_default=True, help="Old messages to show.")
@click.pass_obj
def chat(logs: LogOptions, room: str, relay: str, name: str, key: Path | None, history: int) -> int:
    """Write to the people of ROOM; without a name it is the lobby, which every relay of ours has.

    What you type is a message; lines that begin with '/' do something else, '/help' says what. Without a terminal lines
    are read from standard input, and written to standard output.
    """
    logs.apply(console=False)
    secret = load_nostr_key(key or directories.configuration() / "teleglyph" / _KEY_FILE)
    print(f"* You are {npub_of(secret)}", file=sys.stderr)  # noqa: T201
    return run(lambda stop: _chat(websocket_url(relay, _HTTP_PORT, "/"), secret, room, name, history, stop))


def _show(line: str) -> None:
    # The line that is being typed is pushed down; the terminal keeps it.
    sys.stdout.write(f"\r\x1b[K{line}\n" if sys.stdout.isatty() else f"{line}\n")
    sys.stdout.flush()


def _forget(line: str) -> None:
    """Take a typed line off the screen: what becomes of it is shown."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        rows = max(1, -(-max(wcswidth(line), 0) // columns))
        sys.stdout.write("\x1b[A\r\x1b[K" * rows)
        sys.stdout.flush()


def _read_lines(take: Callable[[str | None], object]) -> None:
    """Read standard input, whatever it is, to its end; a thread, because files cannot be waited for."""
    rest = b""
    with contextlib.suppress(OSError, RuntimeError):  # it is gone, or we are
        while data := os.read(0, 1 << 16):
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                take(line.decode("utf-8", "replace"))
        if rest:
            take(rest.decode("utf-8", "replace"))
        take(None)


async def _chat(url: str, key: bytes, room: str, name: str, history: int, stop: asyncio.Event) -> int:
    loop = asyncio.get_running_loop()
    async with NostrClient(url, key) as client:
        talk = Chat(client, room, _show, history)
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        threading.Thread(
            target=_read_lines, args=(lambda line: loop.call_soon_threadsafe(lines.put_nowait, line),), daemon=True
        ).start()
        tasks = [loop.create_task(talk.listen()), loop.create_task(talk.be_present())]
        stopped = loop.create_task(stop.wait())
        try:
            with contextlib.suppress(EventRefused):
                await talk.introduce(name)
            while not stop.is_set():
                line = loop.create_task(lines.get())
                await asyncio.wait([line, stopped], return_when=asyncio.FIRST_COMPLETED)
                if not line.done():
                    line.cancel()
                    break
                typed = line.result()
                if typed is None:
                    break
                _forget(typed)
                if not await talk.say(typed):
                    break
        finally:
            for task in (*tasks, stopped):
                task.cancel()
            await asyncio.wait([*tasks, stopped])
    return 0
