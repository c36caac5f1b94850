"""What a client's terminal can show (spec acip-wire 5.2)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from teleglyph.errors import BadDataError
from teleglyph.wire.acip.messages.base import Message, clip_text, decode_padded
from teleglyph.wire.acip.packet_type import PacketType

MAX_COLUMNS = MAX_ROWS = 4096
MAX_FPS = 144

_LAYOUT = struct.Struct(">IIIIHH32s32sBII64sBBBII")
_FIELDS = (
    *("terminal_flags", "color_level", "color_count", "render_mode", "width", "height"),
    *("term_type", "colorterm", "detection_reliable", "utf8", "palette_type", "palette_custom"),
    *("desired_fps", "color_filter", "wants_padding", "video_codecs", "audio_codecs"),
)
"""The attributes in the order of the layout."""
_TEXT_SIZES = {"term_type": 32, "colorterm": 32, "palette_custom": 64}
_FLAGS = ("detection_reliable", "utf8", "wants_padding")


class PaletteType(enum.IntEnum):
    """The palettes that CLIENT_CAPABILITIES can name."""

    UNSET = 0
    STANDARD = 1
    BLOCKS = 2
    DIGITAL = 3
    MINIMAL = 4
    COOL = 5
    CUSTOM = 6


@dataclass(frozen=True, slots=True)
class Capabilities(Message):
    """A client's terminal and wishes; must be its first message, and comes again when the terminal changes.

    Attributes:
        width, height: columns and rows, 1 to 4096.
        color_level: 0 none, 1 the 16 ANSI colours, 2 the 256 colours, 3 truecolor.
        render_mode: 0 foreground, 1 background, 2 half-block.
        utf8: the terminal shows UTF-8.  Any non-zero value counts, since ascii-chat's client writes it in its
            machine's byte order.
        desired_fps: frames per second, 1 to 144.
        wants_padding: centre the picture with spaces.
        palette_type: 0 unset (use the standard one), 1 standard, 2 blocks, 3 digital, 4 minimal, 5 cool, 6
            custom. Custom is allowed here, though ascii-chat's server refuses it.
        palette_custom: the glyphs from dark to light, at most 64 bytes of UTF-8.
        terminal_flags: 0x01 16 colours, 0x02 256 colours, 0x04 truecolor, 0x08 UTF-8, 0x10 background
            colours.
        color_filter: any byte; ascii-chat's client leaves it uninitialised.
        video_codecs: 0x01 raw RGB, 0x02 H.265, 0x04 JPEG.
        audio_codecs: 0x01 raw, 0x02 Opus.
    """

    type: ClassVar = PacketType.CLIENT_CAPABILITIES
    width: int
    height: int
    color_level: int = 0
    render_mode: int = 0
    utf8: bool = True
    desired_fps: int = 60
    wants_padding: bool = True
    palette_type: int = 1
    palette_custom: str = ""
    terminal_flags: int = 0
    color_count: int = 0
    term_type: str = ""
    colorterm: str = ""
    detection_reliable: bool = True
    color_filter: int = 0
    video_codecs: int = 0x03
    audio_codecs: int = 0x03

    def encode_payload(self) -> bytes:
        values = {name: getattr(self, name) for name in _FIELDS}
        for name, size in _TEXT_SIZES.items():
            values[name] = clip_text(values[name], size)
        return _LAYOUT.pack(*values.values())

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) != _LAYOUT.size:
            raise BadDataError(f"CLIENT_CAPABILITIES payload size {len(payload)} (expected {_LAYOUT.size})")
        values = dict(zip(_FIELDS, _LAYOUT.unpack(payload), strict=True))
        for name in _TEXT_SIZES:
            values[name] = decode_padded(values[name])
        for name in _FLAGS:
            values[name] = bool(values[name])
        message = cls(**values)
        message._check_ranges()
        return message

    def _check_ranges(self) -> None:
        for name, size in (("width", self.width), ("height", self.height)):
            if size == 0:
                raise BadDataError(f"CLIENT_CAPABILITIES {name} cannot be zero")
        for name, value, low, high in (
            ("width", self.width, 1, MAX_COLUMNS),
            ("height", self.height, 1, MAX_ROWS),
            ("color_level", self.color_level, 0, 3),
            ("render_mode", self.render_mode, 0, 2),
            ("palette_type", self.palette_type, 0, PaletteType.CUSTOM),
            ("desired_fps", self.desired_fps, 1, MAX_FPS),
        ):
            if not low <= value <= high:
                raise BadDataError(f"CLIENT_CAPABILITIES {name} out of range: {value} (valid: {low}-{high})")
