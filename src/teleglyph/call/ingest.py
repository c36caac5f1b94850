"""The compressed pictures of one sender: a bounded queue, one decoder, one decode at a time.

Pictures depend on earlier ones, so a newer one cannot simply replace them.  When too many wait, all are dropped and
decoding starts again at the next keyframe.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from teleglyph.call.decoding import DecoderDiedError, Decoding, DecodingError
from teleglyph.call.limits import CallLimits
from teleglyph.call.picture import PictureSlot, Pixels
from teleglyph.call.statistics import SenderCounters
from teleglyph.errors import BadDataError, MediaDecodeError
from teleglyph.media.gate import PictureGate
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.media.picture_gate import open_gate, starts_with_keyframe
from teleglyph.net import TokenBucket

_log = logging.getLogger(__name__)

SizeLimit = Callable[[], "tuple[int, int] | None"]
"""Gives the largest width and height in pixels that any viewer can show; None if nobody watches."""


class PictureIngest:
    """Decodes one sender's compressed pictures into its picture slot.

    The codec may change at any keyframe.  The decoder of the old codec is then closed before a new one is opened.

    Args:
        slot: receives the decoded pictures.
        decoding: the decoders of the whole server.
        on_picture: called on the event loop after each picture.
        on_lost: called when nothing can be decoded before the next keyframe; not for codecs with keyframes only.
    """

    def __init__(
        self,
        slot: PictureSlot,
        counters: SenderCounters,
        limits: CallLimits,
        decoding: Decoding,
        size_limit: SizeLimit,
        on_picture: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._slot = slot
        self._counters = counters
        self._limits = limits
        self._decoding = decoding
        self._size_limit = size_limit
        self._on_picture = on_picture
        self._on_lost = on_lost
        self._queue: deque[tuple[PictureCodec, bytes]] = deque()
        self._queued_bytes = 0
        self._waiting_for_keyframe = True
        self._codec = PictureCodec.HEVC
        """Of the newest picture in the queue."""
        self._time = TokenBucket(limits.decoder_share, limits.decoder_burst)
        self._quick_time = TokenBucket(limits.quick_decoder_share, limits.quick_decoder_burst)
        self._is_slow = False
        self._stream: int | None = None
        self._stream_codec = PictureCodec.HEVC
        self._gate = self._new_gate()
        self._task: asyncio.Task[None] | None = None

    def queue(self, codec: PictureCodec, bitstream: bytes) -> None:
        """Queue one encoder output, and start decoding.

        Raises:
            BadDataError: this sender's pictures have ended the decoder too often.
        """
        if self._counters.decoder_deaths >= self._limits.decoder_deaths:
            raise BadDataError(f"Your pictures ended the decoder {self._counters.decoder_deaths} times.")
        if not bitstream:
            return
        if self._waiting_for_keyframe or codec is not self._codec:
            if not starts_with_keyframe(codec, bitstream) or self._is_over_time():
                self._counters.pictures_skipped += 1
                self._require_keyframe(codec)
                return
            self._waiting_for_keyframe, self._codec = False, codec
        self._queue.append((codec, bitstream))
        self._queued_bytes += len(bitstream)
        if self._queued_bytes > self._limits.decode_queue_bytes or len(self._queue) > self._limits.decode_queue_packets:
            self.start_over()
        elif self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="picture decoder")

    async def close(self) -> None:
        """Stop decoding, and release the decoder and the sender."""
        self._queue.clear()
        self._queued_bytes = 0
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._close_stream()
        self._size_limit, self._on_picture, self._on_lost = _unseen, _ignore, _ignore

    def start_over(self) -> None:
        """Drop the queue and the decoder, and continue at the next keyframe."""
        self._counters.pictures_skipped += len(self._queue)
        self._queue.clear()
        self._queued_bytes = 0
        self._waiting_for_keyframe = True
        self._close_stream()
        self._require_keyframe(self._codec)

    def record_loss(self) -> None:
        """Note that a compressed picture was dropped, on which later ones may depend."""
        if not self._codec.is_independent:
            self.start_over()

    def _require_keyframe(self, codec: PictureCodec) -> None:
        if not codec.is_independent:
            self._on_lost()

    def _new_gate(self) -> PictureGate:
        return open_gate(self._stream_codec, self._limits.max_picture_pixels)

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._decoding.close_stream(self._stream)
            self._stream = None
        self._decoding.memory.release(self)
        self._gate = self._new_gate()

    def _is_over_time(self) -> bool:
        return self._time.consume(0.0, time.monotonic()) > 0

    def _charge(self, cpu: float) -> None:
        self._counters.decode_seconds += cpu
        for bucket in (self._time, self._quick_time):
            bucket.consume(cpu, time.monotonic())

    async def _run(self) -> None:
        while self._queue:
            if self._is_over_time():
                self.start_over()
                continue
            if not self._is_slow and self._quick_time.consume(0.0, time.monotonic()) > 0:
                self._is_slow = True
                self._close_stream()
                if not starts_with_keyframe(*self._queue[0]):
                    self.start_over()
                    continue
            codec, bitstream = self._queue.popleft()
            if codec is not self._stream_codec:
                self._stream_codec = codec
                self._close_stream()
            self._queued_bytes -= len(bitstream)
            try:
                pixels = await self._decode(bitstream)
            except MediaDecodeError as error:
                if isinstance(error, DecodingError):
                    self._charge(error.cpu)
                self._counters.pictures_undecodable += 1
                self.start_over()
                _log.debug("Cannot decode a picture: %s", error)
                continue
            except DecoderDiedError as error:
                self._counters.pictures_undecodable += 1
                self._counters.decoder_deaths += error.is_guilty
                self._is_slow = self._is_slow or error.is_guilty
                self.start_over()
                continue
            if pixels is not None:
                self._counters.pictures_in += 1
                self._slot.store(pixels)
                self._on_picture()

    async def _decode(self, bitstream: bytes) -> Pixels | None:
        before = self._gate.buffer_bytes
        started = time.thread_time()
        try:
            bitstream = self._gate.check(bitstream)
        finally:
            self._charge(time.thread_time() - started)
        if self._gate.buffer_bytes > before:
            self._decoding.memory.reserve(self, self._gate.buffer_bytes, self.start_over)
        if not bitstream:  # to a decoder it would mean the end
            return None
        if not self._gate.buffer_bytes:
            raise MediaDecodeError(
                f"A picture came before the first keyframe of the {self._stream_codec.label} stream."
            )
        if self._stream is None:
            self._stream = self._decoding.open_stream(self._stream_codec, self._is_slow)
        decoded = await self._decoding.decode(self._stream, bitstream, self._size_limit())
        self._charge(decoded.cpu)
        return decoded.picture


def _ignore() -> None:
    """Stands in for the sender after it has left."""


def _unseen() -> None:
    """Stands in for the sender after it has left."""
