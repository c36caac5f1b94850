"""The pictures of one participant, raw or compressed, from its peer to the picture slot."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from teleglyph.call.decoding import Decoding
from teleglyph.call.demand import UNSEEN, Demand
from teleglyph.call.ingest import PictureIngest
from teleglyph.call.limits import CallLimits
from teleglyph.call.picture import PictureSlot
from teleglyph.call.scene import NO_PICTURE_ASPECT, Tile
from teleglyph.call.statistics import SenderCounters
from teleglyph.errors import BadDataError
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.net import Connection, TokenBucket
from teleglyph.wire.acip import CodedPicture, HevcFrame, ImageFrame, PictureRequest

STREAM_START_SECONDS, JOIN_SECONDS, CAPABILITIES_SECONDS = 3.0, 1.0, 0.5
"""How long a first picture is expected: after STREAM_START, after CLIENT_JOIN with video (which clients that only watch
send as well), and after the capabilities, which STREAM_START follows."""
FIRST_PICTURE_SECONDS = STREAM_START_SECONDS + CAPABILITIES_SECONDS
"""How long a new viewer may wait for a first picture."""
FROZEN_SECONDS = 1.5
"""A picture that is on, seen, and older than this is frozen."""
_KEYFRAME_SECONDS = 1.0
"""How long a requested keyframe may be under way."""


class Sender:
    """Receives one participant's pictures.

    Args:
        connection: requests go into its outbox.
        decoding: decodes compressed pictures.
        on_first_picture: called when the first picture has arrived since the video is on.
        on_picture: called after every picture.
        takes_requests: the peer understands PICTURE_REQUEST.

    Attributes:
        picture: the newest one.
        is_on: the participant sends video, though perhaps no picture has come.
    """

    def __init__(
        self,
        connection: Connection,
        limits: CallLimits,
        decoding: Decoding,
        on_first_picture: Callable[[], None],
        on_picture: Callable[[], None],
        *,
        takes_requests: bool,
    ) -> None:
        self.picture = PictureSlot()
        self.counters = SenderCounters()
        self.is_on = False
        self._connection = connection
        self._limits = limits
        self._takes_requests = takes_requests
        self._on_first_picture = on_first_picture
        self._on_picture = on_picture
        self._rate = TokenBucket(limits.frames_per_second, limits.frames_per_second / 4)
        self._ingest = PictureIngest(
            self.picture,
            self.counters,
            limits,
            decoding,
            self._largest_size,
            self._picture_arrived,
            self._require_keyframe,
        )
        self._demand = UNSEEN
        self._requested: PictureRequest | None = None
        self._requested_at = 0.0
        self._needs_keyframe = False
        self._keyframe_requested_at = -_KEYFRAME_SECONDS
        self._had_picture = False
        self._picture_at = 0.0
        self._expected_until = 0.0
        self._was_announced = False

    # --- state ----------------------------------------------------------------------------------------

    @property
    def has_picture(self) -> bool:
        """Video is on, and a picture has arrived."""
        return self.is_on and self.picture.pixels is not None

    @property
    def expected_until(self) -> float:
        """Until when the first picture is expected, in monotonic seconds; in the past if none is."""
        return 0.0 if self.has_picture else self._expected_until

    @property
    def is_frozen(self) -> bool:
        """Video is on and somebody watches, but no picture has come for a while."""
        if not self.has_picture:
            return False
        seconds = FROZEN_SECONDS
        if self._requested is not None:
            # Few pictures were requested, so few pictures come.
            seconds = max(seconds, 2 * self._requested.interval / 1000)
        return time.monotonic() - max(self._picture_at, self._requested_at) > seconds

    def expect_picture(self, seconds: float) -> None:
        """Expect the first picture, unless a stream was announced before.

        That counts once, so that nobody can keep the viewers waiting again and again.
        """
        if not self._was_announced:
            self._expected_until = max(self._expected_until, time.monotonic() + seconds)

    def start(self, *, is_announced: bool) -> None:
        """Turn video on, by STREAM_START or by a picture."""
        self.is_on = True
        if is_announced:
            self.expect_picture(STREAM_START_SECONDS)
            self._was_announced = True

    def stop(self) -> None:
        """Turn video off."""
        self.is_on = False
        self._expected_until = 0.0
        self.picture.clear()
        self._had_picture = False

    async def close(self) -> None:
        """Stop decoding and drop the picture."""
        self.is_on = False
        await self._ingest.close()
        self.picture.clear()
        self._on_first_picture = _ignore  # it belongs to the participant, which holds this sender

    # --- requests -------------------------------------------------------------------------------------

    def request_picture(self, demand: Demand) -> None:
        """Request what is seen of the pictures, if that has changed or a keyframe is needed."""
        self._demand = demand
        if not self._takes_requests:
            return
        now = time.monotonic()
        request = PictureRequest(*demand)
        # Pictures that left before a request arrived are undecodable as well: no reason to ask again.
        keyframe = self._needs_keyframe and now - self._keyframe_requested_at > _KEYFRAME_SECONDS
        if request == self._requested and not keyframe:
            return
        if self._requested is None or request.interval != self._requested.interval:
            self._requested_at = now
        self._requested = request
        if keyframe:
            self._needs_keyframe, self._keyframe_requested_at = False, now
        self._connection.send(PictureRequest(*demand, keyframe))

    def _largest_size(self) -> tuple[int, int] | None:
        return (self._demand.width, self._demand.height) if self._demand.width else None

    # --- pictures -------------------------------------------------------------------------------------

    def check_size(self, width: int, height: int) -> None:
        """Refuse pictures that are too large.

        Raises:
            BadDataError: this one is.
        """
        if width * height > self._limits.max_picture_pixels:
            raise BadDataError(f"A picture of {width}x{height} pixels is too large.")

    def receive(self, message: ImageFrame | HevcFrame | CodedPicture) -> None:
        """Store a raw picture, or decode a compressed one.

        Raises:
            BadDataError: this sender's pictures have ended the decoder too often.
        """
        if not self._rate.allow(time.monotonic()):
            self.counters.pictures_over_rate += 1
            if not isinstance(message, ImageFrame):
                self._ingest.record_loss()
        elif isinstance(message, ImageFrame):
            pixels = np.frombuffer(message.pixels, np.uint8)
            self.counters.pictures_in += 1
            self.picture.store(pixels.reshape(message.height, message.width, 3))
            self._picture_arrived()
        else:
            codec = PictureCodec.HEVC if isinstance(message, HevcFrame) else PictureCodec(message.codec)
            self._ingest.queue(codec, bytes(message.bitstream))

    def _picture_arrived(self) -> None:
        if not self.is_on:
            return
        self._picture_at = time.monotonic()
        self._needs_keyframe = False
        if not self._had_picture:
            self._had_picture = True
            self._on_first_picture()
        self._on_picture()

    def _require_keyframe(self) -> None:
        self._needs_keyframe = True

    def tile(self, number: int, name: str, *, is_speaking: bool) -> Tile:
        """The participant's part of the scene."""
        if not self.has_picture:
            return Tile(number, name, None, 0, NO_PICTURE_ASPECT, is_speaking, False)
        picture = self.picture
        return Tile(number, name, picture.pixels, picture.version, picture.aspect, is_speaking, self.is_frozen)

    def report(self) -> dict[str, int | float]:
        """Counters as plain values."""
        counters = self.counters
        return {
            "pictures_in": counters.pictures_in,
            "pictures_over_rate": counters.pictures_over_rate,
            "pictures_undecodable": counters.pictures_undecodable,
            "pictures_skipped": counters.pictures_skipped,
            "decoder_deaths": counters.decoder_deaths,
            "decode_seconds": counters.decode_seconds,
        }


def _ignore() -> None:
    """Stands in for the participant after it has left."""
