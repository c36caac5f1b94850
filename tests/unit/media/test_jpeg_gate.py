"""What a JPEG file may ask of its decoder."""

import struct

import numpy as np
import pytest

from coded_pictures import encode_pictures, plain
from teleglyph.errors import MediaDecodeError
from teleglyph.media.jpeg_header import JpegGate
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.media.picture_decoder import PictureDecoder

RED = (200, 40, 30)


def file(size: tuple[int, int] = (64, 48), pixel_format: str = "yuvj420p") -> bytes:
    return encode_pictures(PictureCodec.JPEG, [plain(RED, size)], pixel_format=pixel_format)[0]


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(data)) + data


def position(data: bytes | bytearray, marker: int) -> int:
    return data.index(bytes([0xFF, marker]))


def test_metadata_and_what_follows_the_picture_are_dropped() -> None:
    plain_file = file()
    thumbnail = segment(0xE1, b"Exif\0\0" + file((16, 16)))
    extra = plain_file[:2] + thumbnail + segment(0xEE, b"Adobe\0d\0\0\0\0\0") + segment(0xFE, b"words") + plain_file[2:]
    passed = JpegGate().check(extra + b"\xff\xd8 and more")
    assert passed == JpegGate().check(plain_file)
    assert b"Exif" not in passed
    assert b"words" not in passed
    assert position(passed, 0xC0) > 0


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuvj422p", "yuvj444p"])
def test_every_subsampling_has_the_right_colours(pixel_format: str) -> None:
    decoded = PictureDecoder(PictureCodec.JPEG).decode(JpegGate().check(file((65, 49), pixel_format)))
    assert decoded is not None
    assert decoded.shape == (49, 65, 3)
    assert np.abs(decoded.reshape(-1, 3).astype(int) - RED).max() <= 6


@pytest.mark.parametrize("kind", [0xC2, 0xC3, 0xC5, 0xC6, 0xC9, 0xCA, 0xF7])
def test_progressive_and_other_kinds_of_files_are_refused(kind: int) -> None:
    data = bytearray(file())
    data[position(data, 0xC0) + 1] = kind
    with pytest.raises(MediaDecodeError, match="baseline"):
        JpegGate().check(bytes(data))


def test_the_number_of_scans_is_bounded() -> None:
    data = file()
    scan = data[position(data, 0xDA) : -2]
    JpegGate().check(data[:-2] + 2 * scan + data[-2:])
    with pytest.raises(MediaDecodeError, match="one scan per component"):
        JpegGate().check(data[:-2] + 3 * scan + data[-2:])


def test_the_number_of_tables_and_frames_is_bounded() -> None:
    data = file()
    start = position(data, 0xC0)
    frame = data[start : start + 19]
    with pytest.raises(MediaDecodeError, match="segments"):
        JpegGate().check(data[:start] + segment(0xE0, b"") * 1000 + data[start:])
    assert JpegGate().check(data[:start] + b"\xff" * 1000 + data[start:]) == JpegGate().check(data)
    for extra in (segment(0xDD, b"\0\0") * 40, frame, frame[:1] + b"\xc1" + frame[2:]):
        with pytest.raises(MediaDecodeError, match="baseline"):
            JpegGate().check(data[: start + 19] + extra + data[start + 19 :])


def changed_frame(offset: int, value: bytes) -> bytes:
    data = bytearray(file())
    start = position(data, 0xC0) + 4 + offset
    data[start : start + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (0, b"\x0c", "12"),
        (1, struct.pack(">HH", 65_535, 65_535), "65535x65535"),
        (1, struct.pack(">HH", 0, 64), "64x0"),
        (1, struct.pack(">HH", 2000, 2000), "too few"),
        (5, b"\4", "three components"),
        (7, b"\x41", "4:2:0"),
        (10, b"\x21", "4:2:0"),
    ],
    ids=["12 bits", "bomb", "no height", "hardly any data", "components", "4:1:1", "chroma as fine as luma"],
)
def test_a_frame_header_that_demands_too_much_is_refused(offset: int, value: bytes, reason: str) -> None:
    with pytest.raises(MediaDecodeError, match=reason):
        JpegGate().check(changed_frame(offset, value))


def test_rgb_and_files_without_a_picture_are_refused() -> None:
    data = bytearray(file())
    start = position(data, 0xC0) + 10
    for number, name in enumerate(b"RGB"):
        data[start + 3 * number] = name
    with pytest.raises(MediaDecodeError, match="RGB"):
        JpegGate().check(bytes(data))
    with pytest.raises(MediaDecodeError, match="no picture"):
        JpegGate().check(b"\xff\xd8\xff\xd9")
    with pytest.raises(MediaDecodeError, match="too early"):
        JpegGate().check(file()[:-2])
