"""One's own picture on one's own terminal: the path of a call without the network."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine

import numpy as np
from numpy.typing import NDArray

from teleglyph.client.terminal.capabilities import Terminal
from teleglyph.client.terminal.display import Display
from teleglyph.client.terminal.frame_writer import FrameWriter
from teleglyph.client.terminal.interface import Interface
from teleglyph.client.terminal.status_line import Field, compose_status
from teleglyph.errors import LocalError
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.frame_text import SafeFrame, paint_frame
from teleglyph.media.grid import Composition, Encoding, Grid, Painter, apply_update, compose, encode_updates
from teleglyph.media.layout import arrange
from teleglyph.media.pump import Pump
from teleglyph.media.source import VideoSource

_FIRST_PICTURE_SECONDS = 10.0
_TOLERANCE = 30
"""Colours that differ by no more stay as they are: about two levels in each channel."""


class Mirror:
    """Draws the newest picture of a source.

    Args:
        source: belongs to the mirror from now on.
        display: how to draw.
    """

    def __init__(self, source: VideoSource, display: Display) -> None:
        self.display = display
        self.description = source.description
        loop = asyncio.get_running_loop()
        self._fresh = asyncio.Event()
        self._pump = Pump(source, on_frame=lambda: loop.call_soon_threadsafe(self._fresh.set))
        self.lock = threading.Lock()
        self.grid: Grid | None = None
        """What is to be seen, in the terminal's colours."""
        self.number = 0
        self._canvas: Canvas | None = None
        self._style = display.style()
        self._painter = Painter()
        self._wanted = self._shown = Grid(1, 1)

    def change(self, display: Display) -> None:
        """Draw in another way from now on."""
        self.display = display
        self._style = display.style()
        self._canvas = None
        self._fresh.set()

    async def run(self, show: Callable[[Mirror], None]) -> None:
        """Draw until the source ends; ``show`` is called after each picture.

        Raises:
            LocalError: the source broke.
        """
        due = 0.0
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            newest = self._pump.latest()
            if newest is not None:
                self.draw(newest[1])
                show(self)
            if self._pump.ended:
                if self._pump.error is not None:
                    raise self._pump.error
                return
            now = time.monotonic()
            due = max(due + 1 / self.display.frame_rate, now)
            await asyncio.sleep(due - now)

    def draw(self, pixels: NDArray[np.uint8]) -> None:
        """Make the grid show a picture: on the way of a call, so that it looks the same."""
        is_new = self._canvas is None
        if self._canvas is None:
            size = self.display.columns, self.display.rows
            self._canvas = Canvas.of(*size, self._style)
            self._wanted, self._shown = Grid(*size), Grid(*size)
        canvas = self._canvas
        height, width = pixels.shape[:2]
        (place,) = arrange([width / height], canvas.columns, canvas.rows)
        canvas.clear()
        compose([Composition(self._wanted, canvas, [Draw(pixels, *place)], self._style)])
        (update,) = encode_updates([Encoding(self._wanted, self._shown, self._style, _TOLERANCE, is_new)])
        with self.lock:
            if is_new or self.grid is None:
                self.grid = Grid(canvas.columns, canvas.rows)
            apply_update(update.body, is_new, self.grid)
            self.number += 1

    def frame(self) -> SafeFrame:
        """The grid as rows of text; blank before the first picture."""
        return paint_frame(self._painter, self.grid or self._shown)

    def close(self) -> None:
        """Close the source."""
        self._pump.close()


async def watch_mirror(
    source: VideoSource, display: Display, fixed_size: tuple[int, int], terminal: Terminal, stop: asyncio.Event
) -> int:
    """Show a source on this terminal until it ends or the user leaves; returns the exit code.

    Raises:
        LocalError: the source broke.
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
            await _until_stopped(mirror.run(interface.screen.show_grid), stop)
    finally:
        mirror.close()
    return 0


async def pipe_mirror(source: VideoSource, display: Display, stop: asyncio.Event) -> int:
    """Write a source's frames to standard output, which is not a terminal.

    Raises:
        LocalError: the source broke.
        OutputClosedError: nobody reads the frames any more.
        OutputError: they cannot be written.
    """
    loop = asyncio.get_running_loop()
    mirror = Mirror(source, display)
    writer = FrameWriter(on_failure=lambda: loop.call_soon_threadsafe(stop.set))
    try:
        await _until_stopped(mirror.run(lambda mirror: writer.show(mirror.frame())), stop)
    finally:
        mirror.close()
        writer.close()
    writer.check()
    return 0


async def snapshot_mirror(source: VideoSource, display: Display, delay: float, stop: asyncio.Event) -> SafeFrame | None:
    """The frame ``delay`` seconds after the first, or the last of a source that ends sooner; None if the user left.

    Raises:
        LocalError: the source gives no picture.
    """
    mirror = Mirror(source, display)
    frames: list[SafeFrame] = []
    first = asyncio.Event()

    def keep(mirror: Mirror) -> None:
        frames[:] = [mirror.frame()]
        first.set()

    try:
        await _until_stopped(_some_frames(mirror, keep, first, delay), stop)
    finally:
        mirror.close()
    if stop.is_set():
        return None
    if not frames:
        raise LocalError(f"{mirror.description} gave no picture within {_FIRST_PICTURE_SECONDS:g} s")
    return frames[0]


async def _some_frames(mirror: Mirror, keep: Callable[[Mirror], None], first: asyncio.Event, delay: float) -> None:
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


async def _until_stopped(work: Coroutine[None, None, None], stop: asyncio.Event) -> None:
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        task.cancel()
        stopped.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)
