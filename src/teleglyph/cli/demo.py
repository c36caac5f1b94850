"""``teleglyph demo``: a sample call on this machine.

The server, the participants and their sockets are real; only the people are drawn.
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

from teleglyph.cli.client_options import AudioOptions
from teleglyph.cli.display_options import DisplayOptions
from teleglyph.cli.inputs import SoundDevices, open_sound, open_uplink
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.option_groups import with_options
from teleglyph.cli.source_options import Source
from teleglyph.client.address import Address
from teleglyph.client.call.client import CallClient
from teleglyph.client.call.connection import Credentials
from teleglyph.client.call.interactive import watch_call
from teleglyph.client.call.options import CallOptions
from teleglyph.client.call.snapshot import snapshot_call
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
_BLOCK_SECONDS = FRAME / SAMPLE_RATE
_LATE_SECONDS = 0.1
"""Sound that is later than this is dropped."""


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH"})
@with_options(sound=AudioOptions, display=DisplayOptions)
@click.pass_obj
def demo(logs: LogOptions, sound: AudioOptions, display: DisplayOptions) -> int:
    """Show a call with animated participants, on this machine only.

    You take part with your camera and sound card, if there are any. Press q to quit and ? to see the other keys. If
    standard output is not a terminal, one frame of the call is printed.
    """
    interactive = sys.stdout.isatty() and not display.snapshot
    logs.apply(console=False)
    terminal = detect(os.environ, ask=interactive)
    if interactive:
        terminal.require_cursor()
    devices = SoundDevices(is_silent=sound.sound_test) if sound.audio and interactive else None
    return run(partial(_run, display, terminal, interactive, devices), restore_all)


async def _run(
    display: DisplayOptions,
    terminal: Terminal,
    interactive: bool,
    devices: SoundDevices | None,
    stop: asyncio.Event,
) -> int:
    async with _call() as address:
        sound, _ = await open_sound(devices)
        options = CallOptions(
            address,
            Credentials("you"),
            display.display(terminal, whole_screen=not interactive),
            display.fixed_size,
            sound=sound,
        )
        uplink, _ = await open_uplink(Source(), "auto")
        try:
            if interactive:
                return await watch_call(options, terminal, uplink, stop)
            delay = display.delay if display.snapshot else 0.5
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
    """Run a server with animated participants, and yield its address."""
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
        while len(server.lobby.senders) < len(PATTERNS):  # noqa: ASYNC110 - the room has no event for this
            await asyncio.sleep(0.05)
        yield address


@contextlib.asynccontextmanager
async def _participant(address: Address, name: str) -> AsyncIterator[None]:
    """Run a participant with the picture and the tune of its name.

    It watches the call at one frame per second.
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
    """Send a tune as a microphone would, in time with the pictures."""
    day = time.time() % DAY_SECONDS - time.monotonic()
    due = time.monotonic()
    while True:
        sound.capture(tune(day + due, FRAME))
        due = max(due + _BLOCK_SECONDS, time.monotonic() - _LATE_SECONDS)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
