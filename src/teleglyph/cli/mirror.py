"""``teleglyph mirror``: one's own picture, without a call."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.options import DisplayOptions, SourceOptions, display_options, file_argument, source_options
from teleglyph.client.mirror import pipe_mirror, snapshot_mirror, watch_mirror
from teleglyph.client.source import open_source
from teleglyph.client.terminal.capabilities import detect
from teleglyph.client.terminal.screen import restore_all
from teleglyph.client.waiting import unless_stopped
from teleglyph.console import write_frame


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH"})
@file_argument
@source_options
@display_options
@click.pass_obj
def mirror(logs: LogOptions, source_options: SourceOptions, display_options: DisplayOptions) -> int:
    """See your camera, a FILE or a test pattern as others would see it in a call.

    Keys: q quits, ? shows the others.
    """
    interactive = sys.stdout.isatty() and not display_options.snapshot
    logs.apply(console=not interactive)
    terminal = detect(os.environ, ask=interactive)
    if interactive:
        terminal.require_cursor()
    display = display_options.display(terminal, whole_screen=not interactive)

    async def show(stop: asyncio.Event) -> int:
        source = await unless_stopped(open_source(source_options.opener()), stop)
        if source is None:
            return 0
        if display_options.snapshot:
            frame = await snapshot_mirror(source, display, display_options.snapshot_delay, stop)
            if frame is not None:
                write_frame(frame)
            return 0
        if terminal.interactive:
            return await watch_mirror(source, display, display_options.fixed_size, terminal, stop)
        return await pipe_mirror(source, display, stop)

    return run(show, restore_all)
