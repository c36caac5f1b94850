"""``teleglyph play``: four in a row between two terminals, on a room of the relay."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.client.address import websocket_url
from teleglyph.client.play import Table
from teleglyph.client.screen import restore_all
from teleglyph.client.terminal import Terminal, detect
from teleglyph.errors import TerminalError
from teleglyph.rooms.client import Guest, Host

GAME = "four"
_HTTP_PORT = 27226


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH_PLAY"})
@click.argument("room")
@click.option("--host", "hosts", is_flag=True, help="Make the room and wait for somebody; without it you join.")
@click.option(
    "--server",
    default="",
    metavar="ADDRESS",
    help=f"HOST or HOST:PORT of a server started with '--game {GAME}', or wss://HOST:PORT of one with a certificate.  "
    f"[default: this machine, port {_HTTP_PORT}]",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=30.0,
    show_default=True,
    help="Patience in seconds with a lost connection.",
)
@click.pass_obj
def play(logs: LogOptions, room: str, hosts: bool, server: str, wait: float) -> int:
    """Play four in a row with somebody at another terminal.

    ROOM is a name that both of you know: one says --host, the other joins. A lost connection is made again, and the
    game goes on where it was.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise TerminalError("A game needs a terminal: run it without redirection")
    logs.apply(console=False)
    url = websocket_url(server, _HTTP_PORT, "/rooms")
    terminal = detect(os.environ, ask=True)
    return run(lambda stop: _play(url, room, hosts, wait, terminal, stop), restore_all)


async def _play(url: str, room: str, hosts: bool, wait: float, terminal: Terminal, stop: asyncio.Event) -> int:
    kind = Host if hosts else Guest
    async with kind(url, GAME, room, patience=wait) as seat:
        await Table(seat, terminal, stop).play()
    return 0
