"""``teleglyph chat``: chats in a room."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import click

from teleglyph import directories
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.option_types import default_name
from teleglyph.client.address import ADDRESS_HELP, DEFAULT_PORT, parse_address, websocket_url
from teleglyph.client.chat.conversation import Chat
from teleglyph.client.chat.formatting import Message, PipeFormatter
from teleglyph.client.chat.people import NAME_COLUMNS, clean_name
from teleglyph.client.chat.view import ChatView
from teleglyph.client.terminal.capabilities import Terminal, detect
from teleglyph.console import echo, write_text
from teleglyph.events.client import NostrClient
from teleglyph.events.room_groups import call_group
from teleglyph.keys.nostr import load_nostr_key, npub_of
from teleglyph.room_name import LOBBY

_KEY_FILE = "nostr.key"
_HISTORY_FILE = "chat_history"
_READ_AHEAD = 100
"""Lines of standard input that may be queued."""
_UNSENT = 1
"""Exit code of a chat from a pipe whose relay did not accept every line."""


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH_CHAT"})
@click.argument("room", default="lobby")
@click.option(
    "--server",
    "--relay",
    "server",
    envvar=["TELEGLYPH_CHAT_SERVER", "TELEGLYPH_CHAT_RELAY"],
    metavar="ADDRESS",
    help=f"A Teleglyph server: {ADDRESS_HELP}, or the ws:// or wss:// URL of any Nostr relay.  "
    f"[default: this machine, port {DEFAULT_PORT}]",
)
@click.option("--name", help="Your name in the room.  [default: the name you last used there, or your user name]")
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with your Nostr key (nsec), created on first use.  [default: nostr.key in the configuration directory]",
)
@click.option(
    "--history", type=click.IntRange(0, 500), default=50, show_default=True, help="Number of old messages to show."
)
@click.pass_obj
def chat(logs: LogOptions, room: str, server: str | None, name: str | None, key: Path | None, history: int) -> int:
    """Chat in ROOM. The default is the lobby, which every server has. HOST/ROOM is the chat of a call room.

    Every line you type is sent as a message. Lines that start with '/' are commands; '/help' lists them. Without a
    terminal, messages are read from standard input and written to standard output.
    """
    if room.lower().startswith(("ws://", "wss://")):
        raise click.UsageError(f"'{room}' is the URL of a relay. Name it with --server.")
    if server is None and "/" in room:
        address = parse_address(room)
        server, room = str(address), call_group(address.room or LOBBY)
    url = websocket_url(server, "/")
    if name is not None and (not name.strip() or clean_name(name) != " ".join(name.split())):
        raise click.BadParameter(
            f"use at most {NAME_COLUMNS} columns, none of : ( ) < > [ ] * #, and do not start with npub1.",
            param_hint="--name",
        )
    logs.apply(console=False)
    secret = load_nostr_key(key or directories.configuration() / "teleglyph" / _KEY_FILE)
    terminal = detect(os.environ, ask=False)
    new_chat = partial(
        Chat, room=room, history=history, name=name or clean_name(default_name()), is_default_name=name is None
    )
    if not terminal.interactive or not terminal.has_keys or not terminal.cursor:
        echo(f"* You are {npub_of(secret)}", err=True)
        return run(lambda stop: _in_pipes(url, secret, partial(new_chat, waits_when_full=True), stop))
    return _on_terminal(url, secret, new_chat, terminal)


def _on_terminal(url: str, key: bytes, new_chat: Callable[..., Chat], terminal: Terminal) -> int:
    from teleglyph.client.chat.screen import ChatScreen

    chats: list[Chat] = []
    history: Path | None = None
    with contextlib.suppress(RuntimeError):  # without a home directory, the history stays in memory
        history = directories.state() / "teleglyph" / _HISTORY_FILE
    screen = ChatScreen(terminal, history, lambda: [name for chat in chats for name in chat.people.here()])
    return run(lambda stop: _chat(url, key, new_chat, screen, screen.lines(), stop, chats), screen.restore)


async def _in_pipes(url: str, key: bytes, new_chat: Callable[..., Chat], stop: asyncio.Event) -> int:
    chats: list[Chat] = []
    await _chat(url, key, new_chat, _Pipe(), _standard_input(), stop, chats)
    return _UNSENT if any(chat.unsent for chat in chats) else 0


async def _chat(
    url: str,
    key: bytes,
    new_chat: Callable[..., Chat],
    view: ChatView,
    lines: AsyncIterator[str],
    stop: asyncio.Event,
    chats: list[Chat],
) -> int:
    """Connect and chat; ``new_chat`` makes a chat of a client and a view, and ``chats`` gets it."""
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        connecting = loop.create_task(stack.enter_async_context(NostrClient(url, key)))
        stopped = loop.create_task(stop.wait())
        await asyncio.wait([connecting, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not connecting.done():
            connecting.cancel()
            await asyncio.wait([connecting])
            return 0
        chats.append(new_chat(connecting.result(), view=view))
        await chats[0].run(lines, stop)
    return 0


class _Pipe:
    """Writes a conversation to standard output, without the notices that only help at a terminal."""

    def __init__(self) -> None:
        self._text = PipeFormatter()

    def show_message(self, message: Message) -> None:
        write_text(self._text.format_message(message))

    def show_notice(self, text: str) -> None:
        write_text(self._text.format_notice(text))

    def show_arrival(self, text: str, at: float) -> None:
        pass


async def _standard_input() -> AsyncIterator[str]:
    """The lines of standard input.  A thread reads them, because an event loop cannot wait for files."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue(_READ_AHEAD)

    def on_line(line: str | None) -> None:
        asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()

    threading.Thread(target=_read_lines, args=(on_line,), daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line


def _read_lines(on_line: Callable[[str | None], object]) -> None:
    is_terminal = sys.stdin.isatty()
    rest = b""
    with contextlib.suppress(OSError, RuntimeError, asyncio.CancelledError):  # the input or the event loop has ended
        while data := os.read(0, 1 << 16):
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                on_line(_decode(line, is_terminal))
        if rest:
            on_line(_decode(rest, is_terminal))
        on_line(None)


def _decode(line: bytes, is_terminal: bool) -> str:
    text = line.decode("utf-8", "replace")
    # A terminal without a line editor also sends keys that are not part of the message.
    return "".join(letter for letter in text if letter >= " " and letter != "\x7f") if is_terminal else text
