"""A viewer of our own without a terminal, a sender whose pictures tell the time, and a slow link for either."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass, field

import numpy as np

from conftest import ServerProcess
from reference_renderer import PALETTE_256
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
    ViewSettings,
    encode,
)

BITS = 20
"""Of the milliseconds that a picture tells."""
WIDTH, HEIGHT = BITS * 8, 90
BACKGROUND, HALF_BLOCK, TRUECOLOR = 1, 2, 3


class SlowLink:
    """A TCP proxy that limits bytes per second toward the client, and sometimes stalls.

    Args:
        port: of the server.
        rate: bytes per second.
        stall: seconds without a byte, every ``stall_every`` seconds.

    Attributes:
        overslept: seconds by which each nap was too long; the link forwarded nothing then.
    """

    def __init__(self, port: int, rate: float, stall: float = 0.0, stall_every: float = 3.0) -> None:
        self.port = 0
        self.rate = rate
        self.overslept: list[float] = []
        self._target = port
        self._stall, self._stall_every = stall, stall_every
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> SlowLink:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Small buffers on the way, so that the link's queue is what the sender puts there.
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._target))
        up_reader, up_writer = await asyncio.open_connection(sock=sock, limit=2048)
        self._writers += [writer, up_writer]
        self._tasks = {
            asyncio.create_task(self._pass_slowly(up_reader, writer)),
            asyncio.create_task(_pass(reader, up_writer)),
        }

    async def _pass_slowly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        started = due = time.monotonic()
        next_stall = started + self._stall_every
        while data := await reader.read(1024):
            now = time.monotonic()
            if self._stall and now > next_stall:
                await asyncio.sleep(self._stall)
                due = now = time.monotonic()
                next_stall = now + self._stall_every
            due = max(due, now - 0.01) + len(data) / self.rate
            await asyncio.sleep(max(0.0, due - now))
            self.overslept.append(max(0.0, time.monotonic() - due - 0.01))
            writer.write(data)
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@dataclass
class Viewer:
    """Joins, stores its frames, and records how old each one was.

    Attributes:
        ages: of each screen in seconds, with the moment of its arrival.
    """

    port: int
    name: str = "viewer"
    columns: int = 160
    rows: int = 48
    render_mode: int = HALF_BLOCK
    settings: ViewSettings | None = None
    acknowledges: bool = True
    screen: ReceivedScreen = field(default_factory=ReceivedScreen)
    updates: list[ScreenUpdate] = field(default_factory=list)
    ages: list[tuple[float, float]] = field(default_factory=list)
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    tells_time: bool = True

    def __post_init__(self) -> None:
        self.capabilities = Capabilities(
            self.columns, self.rows, color_level=TRUECOLOR, render_mode=min(self.render_mode, HALF_BLOCK)
        )
        self.client = CallClient(
            Address("127.0.0.1", self.port),
            Credentials(self.name),
            self.capabilities,
            events=CallEvents(joined=lambda _: self.joined.set(), screen=self._on_screen),
            settings=self.settings or ViewSettings(self.render_mode),
        )
        self.task = asyncio.create_task(self.client.run())

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def sees(self, condition: object, seconds: float = 10) -> None:
        """Wait until a condition of this viewer holds.

        Counts naps instead of seconds: on a busy machine everything is slow, and naps are, too.
        """
        naps = round(seconds / 0.02)
        while not condition(self):  # type: ignore[operator]
            assert naps, self.text()
            naps -= 1
            await asyncio.sleep(0.02)

    def text(self) -> str:
        """The screen's glyphs, row by row."""
        grid = self.screen.grid
        if grid is None:
            return ""
        glyphs = "".join(chr(glyph) if glyph else "" for _, _, glyph in grid.characters())
        return "\n".join(glyphs[at : at + grid.columns] for at in range(0, len(glyphs), grid.columns))

    def rate(self, since: float) -> float:
        """Screens per second since a moment."""
        seen = [at for at, _ in self.ages if at >= since]
        return len(seen) / (time.monotonic() - since)

    def age(self, part: float, since: float) -> float:
        """The age of the screen in seconds that was not exceeded for this share of the time since a moment."""
        samples: list[float] = []
        for (at, age), (until, _) in zip(self.ages, [*self.ages[1:], (time.monotonic(), 0.0)], strict=True):
            if at >= since:
                samples += [age + step * 0.005 for step in range(max(1, int((until - at) / 0.005)))]
        samples.sort()
        return samples[int(part * (len(samples) - 1))]

    def _on_screen(self, update: ScreenUpdate) -> None:
        fits = self.screen.apply(update)
        self.updates.append(update)
        if self.acknowledges:
            self.client.acknowledge(self.screen.number, wants_full=not fits)
        if fits and self.tells_time:
            now = time.monotonic()
            if (sent := self._time_shown(now)) is not None:
                self.ages.append((now, now - sent))

    def _time_shown(self, now: float) -> float | None:
        """The time shown by a picture that fills the screen's width."""
        grid = self.screen.grid
        if grid is None or grid.columns < BITS:
            return None
        characters = grid.characters()
        row = next((y for y in range(grid.rows) if characters[y * grid.columns + grid.columns // 2][1]), None)
        if row is None:
            return None
        value = 0
        for bit in range(BITS):
            column = int((bit + 0.5) * grid.columns / BITS)
            value |= int(_green(characters[(row + 1) * grid.columns + column][1]) > 128) << bit
        return now - ((int(now * 1000) - value) % (1 << BITS)) / 1000


def _green(color: int) -> int:
    """The green channel of a grid's colour, which may be a palette colour."""
    return PALETTE_256[color & 0xFF][1] if color >> 24 == 0x01 else color >> 8 & 0xFF


def time_picture(now: float, generator: np.random.Generator, moving: float = 1.0) -> np.ndarray:
    """A picture whose upper fifth tells the time; part of the rest moves."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture[..., 0] = 128 + 100 * np.sin(xx / 9)
    picture[..., 1] = 128 + 100 * np.sin(yy / 7)
    end = int(WIDTH * moving)
    shift = now * 40
    picture[:, :end, 2] = (128 + 100 * np.sin((xx + yy * 2) / 5 + shift / 6))[:, :end]
    noise = generator.integers(-6, 7, picture.shape)
    picture = np.clip(picture.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    bits = [int(now * 1000) >> bit & 1 for bit in range(BITS)]
    picture[: HEIGHT // 5] = np.repeat(np.array(bits, np.uint8) * 255, WIDTH // BITS)[None, :, None]
    return picture  # type: ignore[no-any-return]


class Sender:
    """Sends pictures that tell the time, 30 per second."""

    def __init__(self, server: ServerProcess, moving: float = 1.0, name: str = "sender") -> None:
        self.moving = moving
        self.is_sending = True
        self._joined = asyncio.Event()
        self.client = CallClient(
            Address("127.0.0.1", server.port),
            Credentials(name),
            Capabilities(20, 5, desired_fps=1),
            events=CallEvents(joined=lambda _: self._joined.set()),
        )
        self._tasks = [asyncio.create_task(self.client.run()), asyncio.create_task(self._send())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send(self) -> None:
        await self._joined.wait()
        await asyncio.sleep(0.05)
        connection = self.client._connection
        assert connection is not None
        connection.outbox.queue_control(encode(StreamStart(StreamKind.VIDEO)))
        generator = np.random.default_rng(1)
        due = time.monotonic()
        while True:
            if self.is_sending:
                picture = time_picture(time.monotonic(), generator, self.moving)
                connection.outbox.queue_frame(encode(ImageFrame(WIDTH, HEIGHT, picture.tobytes())))
            due += 1 / 30
            await asyncio.sleep(max(0.0, due - time.monotonic()))
