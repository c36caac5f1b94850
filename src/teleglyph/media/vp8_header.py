"""Checks a VP8 stream's demands on its decoder before the decoder sees it (RFC 6386, 9.1)."""

from __future__ import annotations

from teleglyph.errors import MediaDecodeError
from teleglyph.media.bitstream import check_size, padded_pixels
from teleglyph.media.gate import PictureGate

_TAG, _KEYFRAME_HEADER = 3, 10
_START_CODE = b"\x9d\x01\x2a"
_MAX_VERSION = 3
_SIDE = 0x3FFF
_HELD_PICTURES = 8
"""FFmpeg has places for five; then there is one on its way, and buffers that are not in use."""
_BYTES_PER_PIXEL = 2
"""1.5 for the planes, the rest for what is kept for each block of 16x16 pixels."""
_BYTES_PER_STREAM = 1 << 20


class Vp8Gate(PictureGate):
    """Checks one sender's stream for its decoder; use one gate per decoder.

    Only keyframes have a size, which is valid up to the next one.
    """

    @staticmethod
    def starts_with_keyframe(bitstream: bytes) -> bool:
        """Whether decoding can begin here."""
        return bitstream[_TAG : _TAG + len(_START_CODE)] == _START_CODE and not bitstream[0] & 1

    def check(self, bitstream: bytes) -> bytes:
        """The frame, unchanged.

        Raises:
            MediaDecodeError: its header is malformed or demands too much.
        """
        if len(bitstream) < _TAG:
            raise MediaDecodeError("a VP8 frame has a damaged header")
        tag = int.from_bytes(bitstream[:_TAG], "little")
        is_keyframe, version, partition = not tag & 1, tag >> 1 & 7, tag >> 5
        header = _KEYFRAME_HEADER if is_keyframe else _TAG
        if version > _MAX_VERSION or not 0 < partition <= len(bitstream) - header:
            raise MediaDecodeError("a VP8 frame has a damaged header")
        if is_keyframe:
            if not self.starts_with_keyframe(bitstream):
                raise MediaDecodeError("a VP8 keyframe has no start code")
            width, height = (int.from_bytes(bitstream[at : at + 2], "little") & _SIDE for at in (6, 8))
            check_size(width, height, self._max_pixels)
            pixels = padded_pixels(width, height)
            self.buffer_bytes = max(self.buffer_bytes, _HELD_PICTURES * _BYTES_PER_PIXEL * pixels + _BYTES_PER_STREAM)
        return bitstream
