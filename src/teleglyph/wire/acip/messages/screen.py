"""Deltas instead of frames, and the messages that go with them (docs/protocol/screens.md).

Both sides must have agreed on them (docs/protocol/screens.md#agreement); ascii-chat's programs never do.  The body of
an update is encoded and decoded by :mod:`teleglyph.media.grid`.
"""

from __future__ import annotations

import enum
import struct
import zlib
from dataclasses import dataclass
from typing import ClassVar, Self

from isal import isal_zlib

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip.messages.base import Message, clip_text, decode_text, require_size
from teleglyph.wire.acip.messages.video import compress, decompress
from teleglyph.wire.acip.packet import pack_header
from teleglyph.wire.acip.packet_type import PacketType

MAX_SCREEN_SIDE = 4096
"""Columns or rows."""
MAX_UPDATE_BODY = 1 << 20
"""Bytes of an update's body before compression."""
MAX_PLACES = 255
"""Places of a grid that can be shown alone."""
MAX_NAME = 64
"""Bytes of a name in VIEW_STATE."""
AS_CAPABILITIES = 0xFF
"""Stands for the render mode of CLIENT_CAPABILITIES."""
_LAST_RENDER_MODE = 6

_UPDATE = struct.Struct(">IIHHBBHI")
_ACK = struct.Struct(">IB")
_SETTINGS = struct.Struct(">BBBxI")
_STATE = struct.Struct(">BB")
_REQUEST = struct.Struct(">HHHBx")
_FLAGS_OF_COMPRESSION = 0x03
_DEFLATE_LEVEL = 1
_RAW_DEFLATE = -15
"""A window of 32 KiB, without header and checksum."""


class Compression(enum.IntEnum):
    """How the body of an update is sent, as its flag in SCREEN_UPDATE."""

    NONE = 0x00
    ZSTD = 0x01
    DEFLATE = 0x02
    """Needs :attr:`~teleglyph.wire.acip.Feature.DEFLATE`: browsers cannot decompress zstd."""

    def compress(self, body: bytes) -> bytes:
        """Compress a body, at a level that is fast enough for every frame."""
        if self is Compression.ZSTD:
            return compress(body)
        if self is Compression.DEFLATE:
            return isal_zlib.compress(body, _DEFLATE_LEVEL, _RAW_DEFLATE)
        return body

    def decompress(self, packed: bytes, size: int) -> bytes | None:
        """Decompress a body; None if it is damaged or has more bytes than ``size``."""
        if self is Compression.ZSTD:
            return decompress(packed, size)
        return _inflate(packed, size) if self is Compression.DEFLATE else packed


def _inflate(packed: bytes, size: int) -> bytes | None:
    decoder = zlib.decompressobj(_RAW_DEFLATE)
    try:
        body = decoder.decompress(packed, size + 1)
    except zlib.error:
        return None
    return body if decoder.eof and not decoder.unused_data else None


_COMPRESSIONS = {int(one): one for one in Compression}


class UpdateLevel(enum.IntFlag):
    """The state of a viewer's rate control, in the ``level`` of an update."""

    TOLERANCE = 0x0F
    """How coarse the screen is: 0 is the finest."""
    CHEAPER = 0x10
    """The screen is drawn in a cheaper mode than requested."""


@dataclass(frozen=True, slots=True)
class ScreenUpdate(Message):
    """A delta: the changed cells of a screen.

    Attributes:
        number: of the screen after it, from 1 on.
        base: number of the screen that it changes; 0 for a whole one.
        columns, rows: size of the screen, 1 to 4096.
        body: the changes, at most 1 MiB; not checked here.
        level: bits of :class:`UpdateLevel`.
        rate: frames per second that the server aims at.
        compression: of the body as it is sent.
    """

    type: ClassVar = PacketType.SCREEN_UPDATE
    number: int
    base: int
    columns: int
    rows: int
    body: bytes
    level: int = 0
    rate: int = 0
    compression: Compression = Compression.NONE

    def encode_payload(self) -> bytes:
        return b"".join((self._head(), self.compression.compress(self.body)))

    def encode_packet(self, packed: bytes) -> bytes:
        """The complete unencrypted packet, with a body that is compressed already.

        Args:
            packed: the body as it is sent.
        """
        head = self._head()
        return b"".join((pack_header(self.type, head, packed), head, packed))

    def _head(self) -> bytes:
        return _UPDATE.pack(
            self.number, self.base, self.columns, self.rows, self.compression, self.level, self.rate, len(self.body)
        )

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) < _UPDATE.size:
            raise ProtocolError(f"SCREEN_UPDATE payload size {len(payload)} (at least {_UPDATE.size})")
        number, base, columns, rows, flags, level, rate, size = _UPDATE.unpack_from(payload)
        if not (1 <= columns <= MAX_SCREEN_SIDE and 1 <= rows <= MAX_SCREEN_SIDE):
            raise ProtocolError(f"SCREEN_UPDATE of {columns}x{rows} characters (valid: 1-{MAX_SCREEN_SIDE})")
        if number == 0 or size > MAX_UPDATE_BODY:
            raise ProtocolError(f"SCREEN_UPDATE {number} has a body of {size} bytes (at most {MAX_UPDATE_BODY})")
        if (compression := _COMPRESSIONS.get(flags & _FLAGS_OF_COMPRESSION)) is None:
            raise ProtocolError(f"SCREEN_UPDATE {number} has two compressions")
        body = compression.decompress(payload[_UPDATE.size :], size)
        if body is None or len(body) != size:
            raise ProtocolError(f"SCREEN_UPDATE {number} does not hold a body of {size} bytes")
        return cls(number, base, columns, rows, body, level, rate, compression)


@dataclass(frozen=True, slots=True)
class ScreenAck(Message):
    """The screen of this number is on the viewer's terminal.

    Attributes:
        number: of the newest screen; 0 for none.
        wants_whole: the next update must be a whole screen.
    """

    type: ClassVar = PacketType.SCREEN_ACK
    number: int
    wants_whole: bool = False

    def encode_payload(self) -> bytes:
        return _ACK.pack(self.number, self.wants_whole)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("SCREEN_ACK", payload, _ACK.size)
        number, flags = _ACK.unpack(payload)
        return cls(number, bool(flags & 1))


class ViewFlag(enum.IntFlag):
    """Flags of VIEW_SETTINGS."""

    DITHERED = 0x01
    """Dither 16 and 256 colours."""
    WITHOUT_SELF = 0x02
    """Leave the viewer's own picture out."""
    MIRRORED_SELF = 0x04
    """Mirror the viewer's own picture."""
    NAMES = 0x08
    """Show names, also of participants without a picture."""
    SEND_STATE = 0x10
    """Send VIEW_STATE when it changes."""


@dataclass(frozen=True, slots=True)
class ViewSettings(Message):
    """A viewer's preferences beyond CLIENT_CAPABILITIES; allowed at any time, also before them.

    Attributes:
        render_mode: 0 to 6, or :data:`AS_CAPABILITIES`.
        flags: of :class:`ViewFlag`.
        spotlight: 1 to 255 shows that place of the grid alone, 0 shows all.
        max_bitrate: bits per second for screens; 0 for no limit.
    """

    type: ClassVar = PacketType.VIEW_SETTINGS
    render_mode: int = AS_CAPABILITIES
    flags: ViewFlag = ViewFlag(0)
    spotlight: int = 0
    max_bitrate: int = 0

    def encode_payload(self) -> bytes:
        return _SETTINGS.pack(self.render_mode, self.flags, self.spotlight, self.max_bitrate)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("VIEW_SETTINGS", payload, _SETTINGS.size)
        render_mode, flags, spotlight, max_bitrate = _SETTINGS.unpack(payload)
        if render_mode > _LAST_RENDER_MODE and render_mode != AS_CAPABILITIES:
            raise BadDataError(f"VIEW_SETTINGS render_mode out of range: {render_mode} (valid: 0-{_LAST_RENDER_MODE})")
        known = sum(ViewFlag)
        return cls(render_mode, ViewFlag(flags & known), spotlight, max_bitrate)


@dataclass(frozen=True, slots=True)
class PictureRequest(Message):
    """How large and how often a sender's picture is seen.

    Attributes:
        width, height: pixels of the largest place that shows it; 0 if nobody sees it.
        interval: milliseconds between pictures; more often makes no difference.
        keyframe: the next picture must be a keyframe.
    """

    type: ClassVar = PacketType.PICTURE_REQUEST
    width: int
    height: int
    interval: int
    keyframe: bool = False

    def encode_payload(self) -> bytes:
        return _REQUEST.pack(self.width, self.height, self.interval, self.keyframe)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("PICTURE_REQUEST", payload, _REQUEST.size)
        width, height, interval, flags = _REQUEST.unpack(payload)
        return cls(width, height, interval, bool(flags & 1))


@dataclass(frozen=True, slots=True)
class ViewState(Message):
    """Whose picture a viewer sees, for viewers that set :attr:`ViewFlag.SEND_STATE`.

    Attributes:
        place: the place of the grid that is shown alone; 0 for all.
        places: how many places there are, at most 255.
        name: of the participant who is shown alone.
    """

    type: ClassVar = PacketType.VIEW_STATE
    place: int
    places: int
    name: str = ""

    def encode_payload(self) -> bytes:
        return _STATE.pack(self.place, self.places) + clip_text(self.name, MAX_NAME)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if not _STATE.size <= len(payload) <= _STATE.size + MAX_NAME:
            raise ProtocolError(
                f"VIEW_STATE payload size {len(payload)} (expected {_STATE.size} to {_STATE.size + MAX_NAME})"
            )
        place, places = _STATE.unpack_from(payload)
        if place > places:
            raise ProtocolError(f"VIEW_STATE place {place} of {places}")
        return cls(place, places, decode_text(payload[_STATE.size :]))
