"""Pictures that tell the time at which they were sent, and a viewer without a terminal that reads them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.clip import make_clip
from teleglyph.client.address import Address
from teleglyph.client.call.client import CallClient, CallEvents
from teleglyph.client.call.connection import Credentials
from teleglyph.client.call.received_screen import ReceivedScreen
from teleglyph.wire.acip import (
    Capabilities,
    ImageFrame,
    ScreenUpdate,
    StreamKind,
    StreamStart,
    ViewFlag,
    ViewSettings,
    encode,
)

BITS = 20
"""Of the milliseconds that a picture tells."""
RATE = 30
WIDTH, HEIGHT = 320, 180
_BAND = HEIGHT // 5
"""Rows of the picture with the bits, white or black."""
_HALF_BLOCK, _TRUECOLOR = 2, 3
_SMALL = 10
"""Rows of a screen that cannot show the time."""


def stamp(picture: NDArray[np.uint8], milliseconds: int) -> None:
    """Write the time into the upper part of a picture."""
    bits = np.array([milliseconds >> bit & 1 for bit in range(BITS)], np.uint8) * 255
    picture[:_BAND] = np.repeat(bits, WIDTH // BITS)[None, :, None]


def read(greens: Sequence[int]) -> int:
    """The time that the green components of the cells show, from left to right."""
    return sum((green > 128) << bit for bit, green in enumerate(greens))


class TimedSender:
    """Sends a talking picture that tells the time, 30 times per second.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._clip = make_clip(WIDTH, HEIGHT, RATE)
        self._joined = asyncio.Event()
        self._client = CallClient(
            Address("127.0.0.1", port),
            Credentials("sender"),
            Capabilities(20, 5, desired_fps=1),
            events=CallEvents(joined=lambda _: self._joined.set()),
        )
        self._tasks = [asyncio.create_task(self._client.run()), asyncio.create_task(self._send())]

    async def stop(self) -> None:
        """Leave the call."""
        await _end(self._tasks)

    async def _send(self) -> None:
        await self._joined.wait()
        await asyncio.sleep(0.05)
        connection = self._client._connection
        assert connection is not None
        connection.outbox.queue_control(encode(StreamStart(StreamKind.VIDEO)))
        due = time.monotonic()
        while True:
            for picture in self._clip:
                stamp(picture, int(time.time() * 1000))
                connection.outbox.queue_frame(encode(ImageFrame(WIDTH, HEIGHT, picture.tobytes())))
                due += 1 / RATE
                await asyncio.sleep(max(0.0, due - time.monotonic()))


class TimedViewer:
    """A client without a terminal that applies screens and notes how old pictures are, in milliseconds.

    Args:
        port: of the server.
        columns, rows: of its screen.
        on_age: called for some of the pictures, when they are first seen.
    """

    def __init__(self, port: int, columns: int, rows: int, on_age: Callable[[int], None]) -> None:
        self._screen = ReceivedScreen()
        self._on_age = on_age
        self._last = -1
        self._updates = 0
        self._client = CallClient(
            Address("127.0.0.1", port),
            Credentials("terminal" if rows > _SMALL else "small"),
            Capabilities(columns, rows, color_level=_TRUECOLOR, render_mode=_HALF_BLOCK, desired_fps=60),
            events=CallEvents(screen=self._on_screen),
            settings=ViewSettings(_HALF_BLOCK, ViewFlag.NAMES | ViewFlag.WITHOUT_SELF),
        )
        self._tasks = [asyncio.create_task(self._client.run())]

    async def stop(self) -> None:
        """Leave the call."""
        await _end(self._tasks)

    def _on_screen(self, update: ScreenUpdate) -> None:
        fits = self._screen.apply(update)
        now = int(time.time() * 1000)
        self._client.acknowledge(self._screen.number, wants_full=not fits)
        self._updates += 1
        grid = self._screen.grid
        # Reading a grid from Python takes long, so two neighbours of twenty are looked at: is the second one new?
        if not fits or grid is None or grid.rows <= _SMALL or self._updates % 20 > 1:
            return
        characters = grid.characters()
        middle = grid.columns // 2
        row = next((y for y in range(grid.rows) if characters[y * grid.columns + middle][1]), None)
        if row is None:
            return
        line = characters[(row + 1) * grid.columns : (row + 2) * grid.columns]
        shown = [column for column, character in enumerate(line) if character[1]]
        left, width = shown[0], shown[-1] + 1 - shown[0]
        columns = (left + int((bit + 0.5) * width / BITS) for bit in range(BITS))
        told = read([line[column][1] >> 8 & 0xFF for column in columns])
        if self._updates % 20 == 1 and told != self._last:
            self._on_age((now - told) % (1 << BITS))
        self._last = told


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
