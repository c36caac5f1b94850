"""What every gate between a sender and a decoder has; :mod:`teleglyph.media.picture_gate` opens them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from teleglyph.media.bitstream import MAX_PIXELS


class PictureGate(ABC):
    """Checks one sender's stream for its decoder; use one gate per decoder.

    Args:
        max_pixels: largest area of a coded picture.

    Attributes:
        buffer_bytes: the most memory that the decoder may hold for the stream so far; 0 before a keyframe.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        self.buffer_bytes = 0

    @staticmethod
    @abstractmethod
    def starts_with_keyframe(bitstream: bytes) -> bool:
        """Whether decoding can begin with this encoder output."""

    @abstractmethod
    def check(self, bitstream: bytes) -> bytes:
        """The parts of one encoder output that the decoder needs.

        Raises:
            MediaDecodeError: it is malformed, demands too much, or is of a kind whose demands have no bound.
        """
