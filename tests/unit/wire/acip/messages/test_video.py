"""IMAGE_FRAME, IMAGE_FRAME_H265 and ASCII_FRAME."""

from __future__ import annotations

import struct
import sys

import pytest

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip import AsciiFrame, DroppedFrame, HevcFrame, ImageFrame, encode, encode_ascii_frame
from teleglyph.wire.acip.messages.video import MAX_FRAME_TEXT
from teleglyph.wire.acip.packet import checksum

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

START = b"\0\0\0\1"
TEXT = "\x1b[38;2;1;2;3m█▀\x1b[0m\nrow".encode() * 50


def image(width: int, height: int, pixels: bytes, pixel_format: int = 1) -> bytes:
    return struct.pack(">IIIIII", width, height, pixel_format, 0xFFFFFFFF, 0xFFFFFFFF, 7) + pixels


def hevc(body: bytes, flags: int = 0, width: int = 480, height: int = 270) -> bytes:
    return struct.pack(">BHH", flags, width, height) + body


def ascii_frame(
    body: bytes = TEXT,
    width: int = 80,
    height: int = 24,
    size: int = len(TEXT),
    compressed: int = 0,
    crc: int = checksum(TEXT),
    flags: int = 0,
) -> bytes:
    return struct.pack(">IIIIII", width, height, size, compressed, crc, flags) + body


class TestImageFrame:
    @pytest.mark.parametrize("pixel_format", [1, 2, 3, 4])
    def test_pixels_are_rgb_with_any_format(self, pixel_format: int) -> None:
        frame = ImageFrame.decode_payload(image(2, 1, b"abcdef", pixel_format))
        assert frame == ImageFrame(2, 1, b"abcdef", pixel_format, 7)

    def test_surplus_bytes_are_cut(self) -> None:
        assert ImageFrame.decode_payload(image(1, 1, b"abcdef")).pixels == b"abc"

    @pytest.mark.parametrize(("width", "height"), [(8192, 1), (1, 8192), (849, 823)])
    def test_the_largest_pictures_are_accepted(self, width: int, height: int) -> None:
        frame = ImageFrame.decode_payload(image(width, height, bytes(3 * width * height)))
        assert (frame.width, frame.height) == (width, height)

    @pytest.mark.parametrize(
        ("width", "height", "pixels", "pixel_format"),
        [
            (0, 1, 3, 1),
            (1, 0, 3, 1),
            (8193, 1, 3 * 8193, 1),
            (1, 8193, 3 * 8193, 1),
            (1, 1, 3, 0),
            (1, 1, 3, 5),
            (2, 1, 5, 1),
            (8192, 8192, 100, 1),
            (0xFFFFFFFF, 0xFFFFFFFF, 100, 1),
        ],
    )
    def test_impossible_pictures_end_the_session_without_a_reason(
        self, width: int, height: int, pixels: int, pixel_format: int
    ) -> None:
        with pytest.raises(ProtocolError, match="IMAGE_FRAME") as caught:
            ImageFrame.decode_payload(image(width, height, bytes(pixels), pixel_format))
        assert not isinstance(caught.value, BadDataError)

    def test_a_picture_without_a_whole_header_is_refused(self) -> None:
        with pytest.raises(ProtocolError, match="payload size 23"):
            ImageFrame.decode_payload(bytes(23))

    def test_the_size_of_the_pixels_is_limited_with_a_reason(self) -> None:
        limit = 2 * 2**20 - 8
        assert ImageFrame.decode_payload(image(1, 1, bytes(limit - 1))).pixels == bytes(3)
        with pytest.raises(BadDataError, match="FRAME_STORAGE_BUFFER_TOO_SMALL"):
            ImageFrame.decode_payload(image(1, 1, bytes(limit)))


class TestHevcFrame:
    @pytest.mark.parametrize("code", [b"\0\0\1", START])
    @pytest.mark.parametrize("junk", [b"", b"x", b"\7" * 60])
    def test_the_bitstream_begins_at_the_first_start_code(self, code: bytes, junk: bytes) -> None:
        frame = HevcFrame.decode_payload(hevc(junk + code + b"\x40\1" + code + b"\x42\1"))
        assert frame.bitstream == code + b"\x40\1" + code + b"\x42\1"

    @pytest.mark.parametrize("size", [(480, 270), (1, 1), (256, 1), (1, 256), (8192, 8192)])
    @pytest.mark.parametrize("code", [b"\0\0\1", START])
    def test_a_second_header_is_skipped_and_its_flags_are_used(self, size: tuple[int, int], code: bytes) -> None:
        inner = hevc(code + b"\x26\1slice", 1, *size)
        assert HevcFrame.decode_payload(hevc(inner, 0, *size)) == HevcFrame(*size, code + b"\x26\1slice", keyframe=True)

    @pytest.mark.parametrize("flags", range(4))
    def test_flags_are_read(self, flags: int) -> None:
        frame = HevcFrame.decode_payload(hevc(START + b"\x40", flags))
        assert (frame.keyframe, frame.size_change) == (bool(flags & 1), bool(flags & 2))

    def test_an_empty_body_is_valid(self) -> None:
        assert HevcFrame.decode_payload(hevc(b"")) == HevcFrame(480, 270, b"")

    def test_a_body_without_a_start_code_nearby_counts_as_empty(self) -> None:
        assert HevcFrame.decode_payload(hevc(b"\7" * 100 + START + b"\x40")).bitstream == b""

    @pytest.mark.parametrize(("width", "height"), [(0, 1), (1, 0), (8193, 1), (1, 8193)])
    def test_impossible_dimensions_end_the_session(self, width: int, height: int) -> None:
        with pytest.raises(ProtocolError, match="out of range"):
            HevcFrame.decode_payload(hevc(START, 0, width, height))

    def test_a_packet_without_a_whole_header_is_refused(self) -> None:
        with pytest.raises(ProtocolError, match="payload size 4"):
            HevcFrame.decode_payload(bytes(4))


class TestAsciiFrame:
    def test_a_frame_is_accepted_with_its_flags(self) -> None:
        frame = AsciiFrame.decode_payload(ascii_frame(flags=0x01 | 0x08))
        assert frame == AsciiFrame(80, 24, TEXT, color=True, stretched=True)

    @pytest.mark.parametrize("text", [TEXT, b"", b"x" * 100_000])
    def test_a_compressed_frame_survives_encoding(self, text: bytes) -> None:
        frame = AsciiFrame(80, 24, text, compress=True)
        assert AsciiFrame.decode_payload(frame.encode_payload()) == frame

    def test_the_fast_path_makes_the_same_packets(self) -> None:
        for compress in (False, True):
            packet = encode_ascii_frame(80, 24, TEXT, compress=compress)
            assert packet == encode(AsciiFrame(80, 24, TEXT, compress=compress))

    def test_the_compression_flag_without_a_size_is_ignored(self) -> None:
        assert AsciiFrame.decode_payload(ascii_frame(flags=2)) == AsciiFrame(80, 24, TEXT)

    @pytest.mark.parametrize(("width", "height"), [(1, 1), (16384, 16384)])
    def test_dimensions_are_accepted_up_to_their_limits(self, width: int, height: int) -> None:
        frame = AsciiFrame.decode_payload(ascii_frame(width=width, height=height))
        assert frame == AsciiFrame(width, height, TEXT)

    @pytest.mark.parametrize(("width", "height"), [(0, 1), (1, 0), (16385, 1), (1, 16385)])
    def test_impossible_dimensions_end_the_session(self, width: int, height: int) -> None:
        with pytest.raises(ProtocolError, match="out of range"):
            AsciiFrame.decode_payload(ascii_frame(width=width, height=height))

    def test_a_packet_without_a_whole_header_is_refused(self) -> None:
        with pytest.raises(ProtocolError, match="payload size 23"):
            AsciiFrame.decode_payload(bytes(23))

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (ascii_frame(crc=1), "checksum"),
            (ascii_frame(TEXT[:-1]), "does not hold"),
            (ascii_frame(TEXT + b"x"), "does not hold"),
            (ascii_frame(b"a\0b", size=3, crc=checksum(b"a\0b")), "contains NUL"),
            (ascii_frame(size=MAX_FRAME_TEXT + 1), "exceeds"),
            (ascii_frame(b"no zstd", compressed=7, flags=2), "does not hold"),
        ],
    )
    def test_a_damaged_frame_is_dropped_with_the_reason(self, payload: bytes, reason: str) -> None:
        dropped = AsciiFrame.decode_payload(payload)
        assert isinstance(dropped, DroppedFrame)
        assert reason in dropped.reason

    @pytest.mark.parametrize(
        ("body", "size", "announced"),
        [
            (zstd.compress(TEXT), len(TEXT) - 1, 0),
            (zstd.compress(TEXT), len(TEXT) + 1, 0),
            (zstd.compress(TEXT), len(TEXT), 1),
            (zstd.compress(TEXT)[:-1], len(TEXT), 0),
            (zstd.compress(TEXT) + b"x", len(TEXT), 0),
            (zstd.compress(TEXT[:10]) + zstd.compress(TEXT[10:]), len(TEXT), 0),
        ],
        ids=["longer", "shorter", "another body size", "cut", "tail", "two frames"],
    )
    def test_a_compressed_body_that_is_not_exactly_the_text_is_dropped(
        self, body: bytes, size: int, announced: int
    ) -> None:
        payload = ascii_frame(body, size=size, compressed=announced or len(body), flags=2)
        assert isinstance(AsciiFrame.decode_payload(payload), DroppedFrame)

    def test_the_receiver_limits_the_text(self) -> None:
        payload = AsciiFrame(80, 24, TEXT, compress=True).encode_payload()
        assert AsciiFrame.decode_payload(payload, len(TEXT)) == AsciiFrame(80, 24, TEXT, compress=True)
        assert isinstance(AsciiFrame.decode_payload(payload, len(TEXT) - 1), DroppedFrame)

    def test_a_small_packet_that_would_decompress_to_much_is_dropped(self) -> None:
        bomb = zstd.compress(bytes(64 * 2**20))
        payload = ascii_frame(bomb, size=1000, compressed=len(bomb), flags=2)
        assert isinstance(AsciiFrame.decode_payload(payload), DroppedFrame)
