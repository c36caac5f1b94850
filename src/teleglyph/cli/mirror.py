"""``teleglyph mirror``: shows your own video, without a call."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from teleglyph.cli.display_options import DisplayOptions
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.option_groups import with_options
from teleglyph.cli.source_options import FILE_ARGUMENT, SourceOptions
from teleglyph.client.mirror import pipe_mirror, snapshot_mirror, watch_mirror
from teleglyph.client.source import open_source
from teleglyph.client.terminal.capabilities import detect
from teleglyph.client.terminal.screen import restore_all
from teleglyph.client.waiting import unless_stopped
from teleglyph.console import write_frame


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH"})
@click.argument(FILE_ARGUMENT, default="", metavar="[FILE]")
@with_options(sources=SourceOptions, shown=DisplayOptions)
@click.pass_obj
def mirror(logs: LogOptions, file_argument: str, sources: SourceOptions, shown: DisplayOptions) -> int:
    """See your camera, a FILE or a test pattern as others would see it in a call.

    Press q to quit and ? to see the other keys.
    """
    chosen = sources.source(file_argument)
    interactive = sys.stdout.isatty() and not shown.snapshot
    logs.apply(console=not interactive)
    terminal = detect(os.environ, ask=interactive)
    if interactive:
        terminal.require_cursor()
    display = shown.display(terminal, whole_screen=not interactive)

    async def watch(stop: asyncio.Event) -> int:
        source = await unless_stopped(open_source(chosen.opener()), stop)
        if source is None:
            return 0
        if shown.snapshot:
            frame = await snapshot_mirror(source, display, shown.delay, stop)
            if frame is not None:
                write_frame(frame)
            return 0
        if terminal.interactive:
            return await watch_mirror(source, display, shown.fixed_size, terminal, stop)
        return await pipe_mirror(source, display, stop)

    return run(watch, restore_all)
