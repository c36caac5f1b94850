"""``teleglyph demo``: a whole call on this machine, for looking at.

It is a real server and real participants over real sockets; only the people are drawn.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from functools import partial

import click

from teleglyph.cli.client import SoundOptions, open_sound, open_uplink
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.options import DisplayOptions, SourceOptions, display_options
from teleglyph.client.address import Address
from teleglyph.client.call.connection import CallClient, Credentials
from teleglyph.client.call.interactive import watch_call
from teleglyph.client.call.session import CallOptions, snapshot_call
from teleglyph.client.call.sound import FRAME, CallSound
from teleglyph.client.call.uplink import Codec, Uplink
from teleglyph.client.terminal.capabilities import Terminal, detect
from teleglyph.client.terminal.screen import restore_all
from teleglyph.console import write_frame
from teleglyph.media.opus import SAMPLE_RATE
from teleglyph.media.pattern import PATTERNS
from teleglyph.media.source import DAY_SECONDS, open_pattern
from teleglyph.media.tune import TUNES, Tune
from teleglyph.net import CostLimits
from teleglyph.server.app import Server
from teleglyph.server.config import ServerConfig
from teleglyph.wire.acip import Capabilities

_HOST = "127.0.0.1"
_CAMERA = SourceOptions(file=None, loop=False, pattern=None, camera=None)
_BLOCK_SECONDS = FRAME / SAMPLE_RATE
_LATE_SECONDS = 0.1
"""Sound that is later than this is left out."""


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH"})
@click.option("--audio/--no-audio", default=True, show_default=True, help="Speak and listen.")
@click.option("--sound-test", is_flag=True, hidden=True, help="A sound card that is only a clock.")
@display_options
@click.pass_obj
def demo(logs: LogOptions, audio: bool, sound_test: bool, display_options: DisplayOptions) -> int:
    """Show a call with animated participants, on this machine only.

    You take part yourself if there is a camera, and hear and speak if there is a sound card. Keys: q quits, ? shows
    the others. Without a terminal on standard output it prints one picture of the call and ends.
    """
    interactive = sys.stdout.isatty() and not display_options.snapshot
    logs.apply(console=False)
    terminal = detect(os.environ, ask=interactive)
    if interactive:
        terminal.require_cursor()
    sound = SoundOptions(None, None, False, silent=sound_test) if audio and interactive else None
    return run(partial(_run, display_options, terminal, interactive, sound), restore_all)


async def _run(
    display_options: DisplayOptions,
    terminal: Terminal,
    interactive: bool,
    sound_options: SoundOptions | None,
    stop: asyncio.Event,
) -> int:
    async with _call() as address:
        sound, _ = await open_sound(sound_options)
        options = CallOptions(
            address,
            Credentials("you"),
            display_options.display(terminal, whole_screen=not interactive),
            display_options.fixed_size,
            sound=sound,
        )
        uplink, _ = await open_uplink(_CAMERA, "auto")
        try:
            if interactive:
                return await watch_call(options, terminal, uplink, stop)
            delay = display_options.snapshot_delay if display_options.snapshot else 0.5
            frame = await snapshot_call(options, uplink, delay, stop)
        finally:
            if sound is not None:
                sound.close()
            if uplink is not None:
                uplink.close()
    if frame is not None:
        write_frame(frame)
    return 0


@contextlib.asynccontextmanager
async def _call() -> AsyncIterator[Address]:
    """A running server with its animated participants; gives its address."""
    server = Server(
        ServerConfig(
            addresses=(_HOST,),
            port=0,
            http_port=None,
            connections_per_minute=0,
            connections_per_address=0,
            costs=CostLimits(peer_share=0.0),
        )
    )
    await server.start()
    address = Address(_HOST, server.bound[0][1])
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        for name in PATTERNS:
            await stack.enter_async_context(_participant(address, name))
        while len(server.default_room.senders) < len(PATTERNS):  # noqa: ASYNC110 - the room has no event for this
            await asyncio.sleep(0.05)
        yield address


@contextlib.asynccontextmanager
async def _participant(address: Address, name: str) -> AsyncIterator[None]:
    """A participant whose picture is drawn by the pattern of its name, and who sounds like it.

    It looks at the call once a second.
    """
    uplink = Uplink(partial(open_pattern, name), Codec.RAW)
    await uplink.open()
    terminal = Capabilities(width=20, height=10, desired_fps=1)
    sound = CallSound()
    tasks = [
        asyncio.create_task(CallClient(address, Credentials(name), terminal, uplink, sound=sound).run()),
        asyncio.create_task(_say(sound, TUNES[name])),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        uplink.close()


async def _say(sound: CallSound, tune: Tune) -> None:
    """Speak as a microphone would, at the time of day that the pictures show."""
    day = time.time() % DAY_SECONDS - time.monotonic()
    due = time.monotonic()
    while True:
        sound.captured(tune(day + due, FRAME))
        due = max(due + _BLOCK_SECONDS, time.monotonic() - _LATE_SECONDS)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
