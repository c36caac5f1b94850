"""Your own picture on your own terminal: the path of a call without the network."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from teleglyph.client.terminal.capabilities import Terminal
from teleglyph.client.terminal.display import Display
from teleglyph.client.terminal.frame_writer import FrameWriter
from teleglyph.client.terminal.interface import Interface
from teleglyph.client.terminal.status_line import Field, compose_status
from teleglyph.client.waiting import unless_stopped
from teleglyph.errors import LocalError
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.frame_text import SafeFrame, paint_frame
from teleglyph.media.grid import Composition, Encoding, Grid, Painter, apply_update, compose, encode_updates
from teleglyph.media.layout import arrange
from teleglyph.media.pump import Pump
from teleglyph.media.source import VideoSource

_FIRST_PICTURE_SECONDS = 10.0
_TOLERANCE = 30
"""Smaller colour differences are not redrawn: about two levels in each channel."""


class Mirror:
    """Draws the newest picture of a source into a grid.

    Args:
        source: the mirror closes it.
        display: how frames are drawn.
    """

    def __init__(self, source: VideoSource, display: Display) -> None:
        self.display = display
        self.description = source.description
        loop = asyncio.get_running_loop()
        self._fresh = asyncio.Event()
        self._pump = Pump(source, on_frame=lambda: loop.call_soon_threadsafe(self._fresh.set))
        self.lock = threading.Lock()
        self.grid: Grid | None = None
        """The screen in the terminal's colours."""
        self.number = 0
        """Counts the drawn pictures."""
        self._canvas: Canvas | None = None
        self._style = display.style()
        self._painter = Painter()
        self._composed = self._drawn = Grid(1, 1)

    def change(self, display: Display) -> None:
        """Change how frames are drawn."""
        self.display = display
        self._style = display.style()
        self._canvas = None
        self._fresh.set()

    async def run(self, on_drawn: Callable[[Mirror], None]) -> None:
        """Draw until the source ends; call ``on_drawn`` after each picture.

        Raises:
            LocalError: the source failed.
        """
        due = 0.0
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            newest = self._pump.latest()
            if newest is not None:
                self.draw(newest[1])
                on_drawn(self)
            if self._pump.ended:
                if self._pump.error is not None:
                    raise self._pump.error
                return
            now = time.monotonic()
            due = max(due + 1 / self.display.frame_rate, now)
            await asyncio.sleep(due - now)

    def draw(self, pixels: NDArray[np.uint8]) -> None:
        """Draw a picture into the grid as a call does, so that it looks the same."""
        is_new = self._canvas is None
        if self._canvas is None:
            size = self.display.columns, self.display.rows
            self._canvas = Canvas.of(*size, self._style)
            self._composed, self._drawn = Grid(*size), Grid(*size)
        canvas = self._canvas
        height, width = pixels.shape[:2]
        (place,) = arrange([width / height], canvas.columns, canvas.rows)
        canvas.clear()
        compose([Composition(self._composed, canvas, [Draw(pixels, *place)], self._style)])
        (update,) = encode_updates([Encoding(self._composed, self._drawn, self._style, _TOLERANCE, is_new)])
        with self.lock:
            if is_new or self.grid is None:
                self.grid = Grid(canvas.columns, canvas.rows)
            apply_update(update.body, is_new, self.grid)
            self.number += 1

    def frame(self) -> SafeFrame:
        """The grid as rows of text; blank before the first picture."""
        return paint_frame(self._painter, self.grid or self._drawn)

    def close(self) -> None:
        """Close the source."""
        self._pump.close()


async def watch_mirror(
    source: VideoSource, display: Display, fixed_size: tuple[int, int], terminal: Terminal, stop: asyncio.Event
) -> int:
    """Show a source on this terminal until it ends or the user leaves.

    Returns:
        The exit code.

    Raises:
        LocalError: the source failed.
    """
    mirror = Mirror(source, display)
    interface = Interface(
        terminal,
        display,
        fixed_size=fixed_size,
        stop=stop,
        on_display=mirror.change,
        actions={},
        status=lambda: compose_status(
            [Field(0, ("? help", "?")), Field(1, (mirror.description,)), Field(2, (mirror.display.describe(),))],
            interface.columns,
        ),
    )
    mirror.change(interface.display)
    try:
        async with interface:
            await unless_stopped(mirror.run(interface.screen.draw_grid), stop)
    finally:
        mirror.close()
    return 0


async def pipe_mirror(source: VideoSource, display: Display, stop: asyncio.Event) -> int:
    """Write a source's frames to standard output, which is not a terminal.

    Returns:
        The exit code.

    Raises:
        LocalError: the source failed.
        OutputClosedError: the reader closed the pipe.
        OutputError: writing failed.
    """
    loop = asyncio.get_running_loop()
    mirror = Mirror(source, display)
    writer = FrameWriter(on_failure=lambda: loop.call_soon_threadsafe(stop.set))
    try:
        await unless_stopped(mirror.run(lambda mirror: writer.write(mirror.frame())), stop)
    finally:
        mirror.close()
        writer.close()
    writer.check()
    return 0


async def snapshot_mirror(source: VideoSource, display: Display, delay: float, stop: asyncio.Event) -> SafeFrame | None:
    """Return the frame ``delay`` seconds after the first, or the last one of a source that ends sooner.

    Returns:
        The frame; None if the user left first.

    Raises:
        LocalError: the source sends no picture.
    """
    mirror = Mirror(source, display)
    frame: SafeFrame | None = None
    first = asyncio.Event()

    def keep(mirror: Mirror) -> None:
        nonlocal frame
        frame = mirror.frame()
        first.set()

    try:
        await unless_stopped(_run_for(delay, mirror, keep, first), stop)
    finally:
        mirror.close()
    if stop.is_set():
        return None
    if frame is None:
        raise LocalError(f"{mirror.description} sent no picture within {_FIRST_PICTURE_SECONDS:g} s.")
    return frame


async def _run_for(delay: float, mirror: Mirror, keep: Callable[[Mirror], None], first: asyncio.Event) -> None:
    """Draw until ``delay`` seconds after the first picture, or until the source ends."""
    drawing = asyncio.create_task(mirror.run(keep))
    started = asyncio.create_task(first.wait())
    try:
        await asyncio.wait({drawing, started}, timeout=_FIRST_PICTURE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if first.is_set():
            await asyncio.wait({drawing}, timeout=delay)
        if drawing.done():
            await drawing
    finally:
        drawing.cancel()
        started.cancel()
        await asyncio.gather(drawing, started, return_exceptions=True)
