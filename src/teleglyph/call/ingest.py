"""Compressed pictures of one participant: a bounded queue, one decoder, one decode at a time.

Pictures depend on the ones before them, so they cannot simply be replaced by newer ones: when too many wait, all of
them go and decoding starts again at the next keyframe.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

from teleglyph.call.limits import CallLimits
from teleglyph.call.picture import PictureSlot
from teleglyph.call.statistics import ParticipantCounters
from teleglyph.errors import MediaDecodeError
from teleglyph.media.hevc import HevcDecoder
from teleglyph.media.hevc_parameters import StreamGate, starts_with_keyframe

_log = logging.getLogger(__name__)

SizeLimit = Callable[[], "tuple[int, int] | None"]
"""Gives the largest width and height in pixels that any viewer can show; None when nobody watches."""


class HevcIngest:
    """Decodes one participant's HEVC stream into its picture slot.

    Args:
        slot: where decoded pictures go.
        pool: threads for decoding.
        on_picture: called on the event loop after a new picture was put.
        on_lost: called when nothing can be decoded before the next keyframe.
    """

    def __init__(
        self,
        slot: PictureSlot,
        counters: ParticipantCounters,
        limits: CallLimits,
        pool: Executor,
        size_limit: SizeLimit,
        on_picture: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._slot = slot
        self._counters = counters
        self._limits = limits
        self._pool = pool
        self._size_limit = size_limit
        self._on_picture = on_picture
        self._on_lost = on_lost
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._waiting_for_keyframe = True
        self._decoder: HevcDecoder | None = None
        self._gate = StreamGate(limits.max_picture_pixels)
        self._task: asyncio.Task[None] | None = None

    def put(self, bitstream: bytes) -> None:
        """Queue one encoder output; starts the decoding task when none runs."""
        if not bitstream:
            return
        if self._waiting_for_keyframe:
            if not starts_with_keyframe(bitstream):
                self._counters.pictures_skipped += 1
                self._on_lost()
                return
            self._waiting_for_keyframe = False
        self._queue.append(bitstream)
        self._queued_bytes += len(bitstream)
        if self._queued_bytes > self._limits.decode_queue_bytes or len(self._queue) > self._limits.decode_queue_packets:
            self._start_over()
        elif self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="hevc decoder")

    async def close(self) -> None:
        """Stop decoding and release the decoder."""
        self._queue.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._decoder = None

    def _start_over(self) -> None:
        self._counters.pictures_skipped += len(self._queue)
        self._queue.clear()
        self._queued_bytes = 0
        self._waiting_for_keyframe = True
        self._on_lost()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            bitstream = self._queue.popleft()
            self._queued_bytes -= len(bitstream)
            decoder = self._decoder or HevcDecoder(max_pixels=self._limits.max_picture_pixels)
            self._decoder = decoder
            try:
                bitstream = self._gate.check(bitstream)
                if not bitstream:
                    continue
                pixels = await loop.run_in_executor(self._pool, decoder.decode, bitstream, self._size_limit())
            except MediaDecodeError as error:
                self._counters.pictures_undecodable += 1
                self._decoder = None
                self._gate = StreamGate(self._limits.max_picture_pixels)
                self._start_over()
                _log.debug("a picture could not be decoded: %s", error)
                continue
            if pixels is not None:
                self._counters.pictures_in += 1
                self._slot.put(pixels)
                self._on_picture()
