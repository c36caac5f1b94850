"""Checks a JPEG file's demands on its decoder before the decoder sees it (ITU-T T.81, annex B)."""

from __future__ import annotations

import re

from teleglyph.errors import MediaDecodeError
from teleglyph.media.bitstream import check_size, padded_pixels
from teleglyph.media.gate import PictureGate

_START, _END = b"\xff\xd8", b"\xff\xd9"
_SOF0, _SOF1, _DHT, _EOI, _SOS, _DQT, _DRI, _COM = 0xC0, 0xC1, 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xFE
_FRAMES = (_SOF0, _SOF1)
_TABLES = (_DHT, _DQT, _DRI)
_DROPPED = frozenset({*range(0xE0, 0xF0), _COM})
"""Thumbnails, metadata and comments."""
_MAX_TABLES, _MAX_SEGMENTS = 32, 200
_FILL = re.compile(rb"\xff{2,}")
"""Any number of these bytes may come before a marker."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""Ends the coded data of a scan: neither an escaped byte nor a restart."""
_SAMPLINGS = (0x11, 0x21, 0x12, 0x22)
_BLOCK_PIXELS, _BLOCKS_PER_BYTE = 64, 4
"""A block takes at least two bits: its difference and its end."""
_HELD_PICTURES = 3
_BYTES_PER_PIXEL = 3
_BYTES_PER_STREAM = 1 << 20


class JpegGate(PictureGate):
    """Reduces one sender's files to what their decoder needs; use one gate per decoder.

    Progressive files are refused: they cost time and memory in proportion to a number of scans that the sender chooses.
    """

    @staticmethod
    def starts_with_keyframe(bitstream: bytes) -> bool:
        """Whether this looks like a JPEG file, each of which can be decoded by itself."""
        return bitstream.startswith(_START)

    def check(self, bitstream: bytes) -> bytes:
        """The file without metadata.

        Raises:
            MediaDecodeError: it is malformed, demands too much, or is not a baseline file.
        """
        if not self.starts_with_keyframe(bitstream):
            raise MediaDecodeError("the picture is not a JPEG file")
        parts, position, tables, scans, components = [_START], 2, 0, 0, 0
        for _ in range(_MAX_SEGMENTS):
            if (fill := _FILL.match(bitstream, position)) is not None:
                position = fill.end() - 1
            if position + 2 > len(bitstream) or bitstream[position] != 0xFF:
                raise MediaDecodeError("a JPEG file is damaged or ends too early")
            marker = bitstream[position + 1]
            if marker == _EOI:
                break
            length = int.from_bytes(bitstream[position + 2 : position + 4], "big")
            end = position + 2 + length
            if length < 2 or end > len(bitstream):
                raise MediaDecodeError("a JPEG file is damaged or ends too early")
            if marker in _FRAMES and not components:
                components = self._check_frame(bitstream[position + 4 : end], len(bitstream))
            elif marker == _SOS and scans < components:
                scans += 1
                found = _MARKER.search(bitstream, end)
                end = found.start() if found is not None else len(bitstream)
            elif marker in _TABLES and tables < _MAX_TABLES:
                tables += 1
            elif marker not in _DROPPED:
                raise MediaDecodeError(f"only baseline JPEG with one scan per component is supported ({marker:#x})")
            if marker not in _DROPPED:
                parts.append(bitstream[position:end])
            position = end
        else:
            raise MediaDecodeError(f"a JPEG file has more than {_MAX_SEGMENTS} segments")
        if not scans:
            raise MediaDecodeError("a JPEG file contains no picture")
        return b"".join((*parts, _END))

    def _check_frame(self, header: bytes, size: int) -> int:
        """Check a frame header (B.2.2) of a file with so many bytes, and return the number of components."""
        if len(header) < 6 or header[5] not in (1, 3) or len(header) != 6 + 3 * header[5]:
            raise MediaDecodeError("only JPEG in gray or with three components is supported")
        if header[0] != 8:
            raise MediaDecodeError(f"only JPEG with 8 bits is supported, and this file has {header[0]}")
        height, width = (int.from_bytes(header[at : at + 2], "big") for at in (1, 3))
        check_size(width, height, self._max_pixels)
        if -(-width // 8) * -(-height // 8) > size * _BLOCKS_PER_BYTE:
            raise MediaDecodeError(f"{size} bytes of JPEG are too few for {width}x{height} pixels")
        components = header[6:]
        luma, *chroma = components[1::3]
        if luma not in _SAMPLINGS or len(set(chroma)) > 1 or not {*chroma} <= {*_coarser(luma)}:
            raise MediaDecodeError("only JPEG with 4:2:0, 4:2:2, 4:4:0 or 4:4:4 is supported")
        if components[0::3] == b"RGB":
            raise MediaDecodeError("only JPEG with luma and chroma is supported, and this file has RGB")
        memory = _HELD_PICTURES * _BYTES_PER_PIXEL * padded_pixels(width, height) + _BYTES_PER_STREAM
        self.buffer_bytes = max(self.buffer_bytes, memory)
        return header[5]


def _coarser(sampling: int) -> list[int]:
    """The samplings that are at most as fine in both directions."""
    return [one for one in _SAMPLINGS if one >> 4 <= sampling >> 4 and one & 0x0F <= sampling & 0x0F]
