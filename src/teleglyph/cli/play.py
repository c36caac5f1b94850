"""``teleglyph play``: four in a row between two terminals, in a relay room."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.option_types import Number, ask_passphrase
from teleglyph.client.address import ADDRESS_HELP, DEFAULT_PORT, websocket_url
from teleglyph.client.play.saved_seats import SeatFile, seats_directory
from teleglyph.client.play.seating import MAX_NAME_BYTES, Seating
from teleglyph.client.play.table import Table
from teleglyph.client.play.table_address import TableAddress
from teleglyph.client.terminal.capabilities import Terminal, detect
from teleglyph.client.terminal.screen import restore_all
from teleglyph.console import echo
from teleglyph.errors import TerminalError
from teleglyph.keys import load_identity
from teleglyph.wire.acip import Identity

GAME = "four"


def _check_name(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    if not name or not name.isprintable() or len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise click.BadParameter(f"use 1 to {MAX_NAME_BYTES} bytes of printable characters.")
    return name


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH_PLAY"})
@click.argument("room", callback=_check_name)
@click.option(
    "--host", "hosts", is_flag=True, help="Create the room and wait for the other player. Without it, you join."
)
@click.option(
    "--server",
    metavar="ADDRESS",
    help=f"A server started with '--game {GAME}': {ADDRESS_HELP}, or a ws:// or wss:// URL.  "
    f"[default: this machine, port {DEFAULT_PORT}]",
)
@click.option(
    "--wait",
    type=Number(0, 3600),
    default=30.0,
    show_default=True,
    help="Seconds to try to restore a lost connection.",
)
@click.option(
    "-K",
    "--key",
    metavar="FILE",
    help="Your private Ed25519 key, to sign your results in the server's records. Create one with 'teleglyph keygen'.",
)
@click.pass_obj
def play(logs: LogOptions, room: str, hosts: bool, server: str | None, wait: float, key: str | None) -> int:
    """Play four in a row with someone at another terminal.

    ROOM is a name that you both know: one of you uses --host, the other joins. If the connection is lost, it is
    restored and the game continues. If the program or its terminal was closed, run the same command again within the
    server's grace period (30 s by default).
    """
    url = websocket_url(server, "/rooms")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise TerminalError("A game needs a terminal. Run it without redirecting its input or output.")
    detect(os.environ, ask=False).require_cursor("a game", "")
    logs.apply(console=False)
    identity = load_identity(key, ask_passphrase) if key else None
    terminal = detect(os.environ, ask=True)
    address = TableAddress(url, GAME, room, hosts)
    return run(lambda stop: _play(address, wait, identity, terminal, stop), restore_all)


async def _play(
    address: TableAddress, wait: float, identity: Identity | None, terminal: Terminal, stop: asyncio.Event
) -> int:
    file = SeatFile(seats_directory(), address.url, address.game, address.room, address.role)
    file.open()
    try:
        seating = Seating(address, file, wait, identity)
        seat = await seating.take_seat()
        table = Table(seating, seat, terminal, stop)
        await table.play()
        if table.kept_for is not None:
            echo(f"Your seat is kept for {table.kept_for:.0f} s. Run the same command again to continue.", err=True)
    finally:
        file.close()
    return 0
