"""Send a picture source (a camera, a file or a test pattern) over a connection."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from teleglyph.client.source import SourceOpener, open_source
from teleglyph.errors import LocalError, UserError
from teleglyph.media.pump import Pump
from teleglyph.media.source import VideoSource
from teleglyph.net import Connection
from teleglyph.wire.acip import HevcFrame, ImageFrame, PictureRequest, StreamKind, StreamStart, StreamStop, encode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from teleglyph.media.hevc import HevcEncoder

_log = logging.getLogger(__name__)

MAX_RATE = 30.0
"""Pictures per second; more makes no visible difference in characters."""

_KEYFRAME_SECONDS, _RARE_KEYFRAME_SECONDS = 1.0, 10.0
"""Between two keyframes; they can be rare if the receiver can request one."""
_POLL_SECONDS = 0.1
_REPEAT_SECONDS = 2.0
"""Between two sendings of an unchanged picture: a server that lost it has no other way to get it."""


class Codec(enum.Enum):
    """How pictures are encoded."""

    RAW = "raw"
    HEVC = "hevc"


class Uplink:
    """One picture source that can be switched on and off and outlives connections.

    Args:
        open_source: opens the camera, file or pattern; runs in a thread.
        codec: how pictures are encoded.

    Attributes:
        on_notice: called with a sentence when the source ends, fails or cannot be reopened.
    """

    def __init__(self, open_source: SourceOpener, codec: Codec) -> None:
        self.codec = codec
        self.on_notice: Callable[[str], None] = _log.warning
        self.description = ""
        self._open_source = open_source
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._fresh = asyncio.Event()
        self._has_picture = True
        self._source: VideoSource | None = None
        self._pump: Pump | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._encoder: HevcEncoder | None = None
        self._encoder_size = (0, 0)
        self._request: PictureRequest | None = None
        self._wants_keyframe = False
        self._is_resend_requested = False
        self._keyframe_seconds = _KEYFRAME_SECONDS

    @property
    def is_on(self) -> bool:
        """Whether pictures are sent, or would be over a connection."""
        return self._wanted.is_set() and self._has_picture

    def toggle(self) -> None:
        """Switch the picture off or on; a camera that is off is closed."""
        if self._wanted.is_set():
            self._wanted.clear()
            self._fresh.set()
        else:
            self._wanted.set()

    def joined(self, *, takes_requests: bool) -> None:
        """Prepare for a new connection; a Teleglyph server requests the pictures that it can use."""
        self._request = None
        self._keyframe_seconds = _RARE_KEYFRAME_SECONDS if takes_requests else _KEYFRAME_SECONDS

    def request(self, request: PictureRequest) -> None:
        """Limit size and rate to what the server can use."""
        size = (self._request.width, self._request.height) if self._request is not None else (0, 0)
        self._request = request
        self._wants_keyframe = self._wants_keyframe or request.keyframe
        self._is_resend_requested = (
            self._is_resend_requested or request.keyframe or size != (request.width, request.height)
        )
        self._fresh.set()

    async def open(self) -> None:
        """Open the source now, so that errors appear at the start.

        Raises:
            LocalError, UserError: the source cannot be opened.
        """
        source = await open_source(self._open_source)
        self.description = source.description
        self._has_picture = getattr(source, "has_picture", True)
        self._source = source

    def close(self) -> None:
        """Close the source."""
        self._close_source()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def send(self, connection: Connection) -> None:
        """Send pictures over a connection until cancelled."""
        self._encoder = None
        while True:
            await self._wanted.wait()
            if self._pump is None and self._source is None and not await self._reopen():
                continue
            self._start_pump()
            if await self._send_while_on(connection):
                # The last picture has to leave first: after the stop it would count as a new start.
                await connection.outbox.wait_until_frame_taken()
                connection.send(StreamStop(StreamKind.VIDEO))

    def _start_pump(self) -> None:
        """Start reading the source; a film starts now, when the others can see it."""
        source, self._source = self._source, None
        if source is not None:
            loop = asyncio.get_running_loop()
            self._pump = Pump(source, on_frame=lambda: loop.call_soon_threadsafe(self._fresh.set))

    async def _reopen(self) -> bool:
        try:
            await self.open()
        except (LocalError, UserError) as error:
            self._wanted.clear()
            self.on_notice(str(error))
            return False
        return True

    async def _send_while_on(self, connection: Connection) -> bool:
        """Send until the picture is switched off or ends; returns whether one was sent."""
        pump, seen, due, sent_at = self._pump, -1, 0.0, 0.0
        while self._wanted.is_set() and pump is not None:
            await self._wait_for_change(sent_at + _REPEAT_SECONDS if seen >= 0 and not pump.ended else None)
            newest = pump.latest()
            is_new = newest is not None and newest[0] != seen
            if newest is not None and (is_new or self._should_repeat(time.monotonic() - sent_at)):
                if seen < 0:
                    connection.send(StreamStart(StreamKind.VIDEO))
                seen = newest[0]
                self._is_resend_requested = False
                await self._send_picture(connection, newest[1])
                sent_at = time.monotonic()
                due = max(due + 1 / MAX_RATE, sent_at)
                await self._wait_until_due(due)
            if pump.ended and (newest is None or newest[0] == seen):
                break
        if pump is not None and pump.ended:
            self._wanted.clear()
            self.on_notice(str(pump.error) if pump.error else f"{self.description} has ended.")
        self._close_source()
        return seen >= 0

    async def _wait_for_change(self, until: float | None) -> None:
        """Wait for a picture, a request or a switch, but not beyond ``until``."""
        left = None if until is None else max(0.0, until - time.monotonic())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._fresh.wait()
        self._fresh.clear()

    def _should_repeat(self, since: float) -> bool:
        """Whether the server requested another size or a keyframe, or may have lost the unchanged picture."""
        return self._is_resend_requested or since >= _REPEAT_SECONDS

    async def _wait_until_due(self, due: float) -> None:
        """Wait until the next picture is due: later if the server wants few, at once if it sends a new request."""
        request, sent_at = self._request, due - 1 / MAX_RATE
        while self._wanted.is_set():
            is_unchanged = request is not None and request is self._request
            interval = request.interval / 1000 if request is not None and is_unchanged else 0.0
            left = max(due, sent_at + interval) - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, _POLL_SECONDS))

    def _shrunk(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture at the size that viewers see; twice that for HEVC, whose colours have half the resolution."""
        request = self._request
        if request is None or not request.width:
            return pixels
        from teleglyph.media.shrink import shrink

        scale = 1 if self.codec is Codec.RAW else 2
        return shrink(pixels, scale * request.width, scale * request.height)

    async def _send_picture(self, connection: Connection, pixels: NDArray[np.uint8]) -> None:
        await connection.outbox.wait_until_frame_taken()
        for packet in await asyncio.get_running_loop().run_in_executor(self._executor, self._encode, pixels):
            connection.outbox.queue_frame(packet)

    def _encode(self, pixels: NDArray[np.uint8]) -> list[bytes]:
        pixels = self._shrunk(pixels)
        height, width = pixels.shape[:2]
        if self.codec is Codec.RAW:
            return [encode(ImageFrame(width, height, pixels.tobytes()))]
        from teleglyph.media.hevc import HevcEncoder

        size = (width, height)
        has_new_size = self._encoder_size != size
        if self._encoder is None or has_new_size:
            self._encoder = HevcEncoder(width, height, MAX_RATE, self._keyframe_seconds)
            self._encoder_size = size
        encoder = self._encoder
        if self._wants_keyframe:
            self._wants_keyframe = False
            encoder.request_keyframe()
        return [
            encode(HevcFrame(encoder.width, encoder.height, picture.data, picture.keyframe, size_change=has_new_size))
            for picture in encoder.encode(pixels)
        ]

    def _close_source(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None
        if self._pump is not None:
            self._pump.close()
            self._pump = None
        self._encoder = None
