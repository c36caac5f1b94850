"""Animated WebP: composing frames, and their durations."""

import struct
from pathlib import Path

import numpy as np
import pytest

from films import Played, encode_picture
from teleglyph.media.webp import is_animated


def three(value: int) -> bytes:
    return value.to_bytes(3, "little")


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def part(color: tuple[int, int, int, int], size: tuple[int, int], place: tuple[int, int], ms: int, flags: int) -> bytes:
    """One frame: a plain rectangle, without loss."""
    picture = np.full((size[1], size[0], 4), color, np.uint8)
    data = encode_picture(picture, "libwebp", "bgra", "rgba")[12:]
    if data.startswith(b"VP8X"):
        data = data[8 + 10 :]
    head = three(place[0] // 2) + three(place[1] // 2) + three(size[0] - 1) + three(size[1] - 1) + three(ms)
    return chunk(b"ANMF", head + bytes([flags]) + data)


def make_webp(path: Path, parts: list[bytes], size: tuple[int, int] = (32, 16)) -> Path:
    body = b"WEBP" + chunk(b"VP8X", bytes((0x12, 0, 0, 0)) + three(size[0] - 1) + three(size[1] - 1))
    body += chunk(b"ANIM", bytes(6)) + b"".join(parts)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


RED, GREEN, SEE_THROUGH = (255, 0, 0, 255), (0, 255, 0, 255), (255, 255, 255, 0)


def test_frames_are_shown_for_their_times_and_the_last_one_too(tmp_path: Path) -> None:
    frames = [part(RED, (32, 16), (0, 0), 3000, 0), part(GREEN, (32, 16), (0, 0), 500, 0)]
    path = make_webp(tmp_path / "slides.webp", frames)
    assert Played(path).times == [0.0, 3.0]
    assert Played(path, loop=True, max_pictures=5).times == [0.0, 3.0, 3.5, 6.5, 7.0]


@pytest.mark.parametrize(
    ("flags", "left", "right"), [((0, 0), RED, GREEN), ((1, 0), (0, 0, 0, 0), GREEN), ((0, 2), RED, GREEN)]
)
def test_frames_are_put_over_each_other(
    tmp_path: Path, flags: tuple[int, int], left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    frames = [part(RED, (32, 16), (0, 0), 100, flags[0]), part(GREEN, (16, 16), (16, 0), 100, flags[1])]
    pixels = Played(make_webp(tmp_path / "parts.webp", frames)).pictures[1].pixels
    assert np.abs(pixels[8, 4].astype(int) - left[:3]).max() < 30
    assert np.abs(pixels[8, 28].astype(int) - right[:3]).max() < 30


@pytest.mark.parametrize(("flags", "color"), [(0, (255, 0, 0)), (2, (0, 0, 0))])
def test_transparent_parts_show_pixels_below_or_black(tmp_path: Path, flags: int, color: tuple[int, int, int]) -> None:
    frames = [part(RED, (32, 16), (0, 0), 100, 0), part(SEE_THROUGH, (32, 16), (0, 0), 100, flags)]
    pixels = Played(make_webp(tmp_path / "clear.webp", frames)).pictures[1].pixels
    assert np.abs(pixels[8, 16].astype(int) - color).max() < 30


def test_a_damaged_frame_keeps_the_previous_picture(tmp_path: Path) -> None:
    broken = bytearray(part(GREEN, (32, 16), (0, 0), 100, 0))
    broken[8 + 16 + 8 :] = bytes(len(broken) - 32)
    path = make_webp(tmp_path / "broken.webp", [part(RED, (32, 16), (0, 0), 100, 0), bytes(broken)])
    assert all(np.abs(np.array(color) - (255, 0, 0)).max() < 30 for color in Played(path).colors)


def test_a_file_that_is_cut_or_too_large_ends(tmp_path: Path) -> None:
    from teleglyph.errors import TeleglyphError

    whole = make_webp(tmp_path / "whole.webp", [part(RED, (32, 16), (0, 0), 100, 0)] * 3).read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / "cut.webp").write_bytes(whole[:size])
        try:
            assert len(Played(tmp_path / "cut.webp").pictures) <= 3
        except TeleglyphError as error:
            assert str(error).endswith(".")
    huge = make_webp(tmp_path / "huge.webp", [part(RED, (32, 16), (0, 0), 100, 0)], (1 << 24, 1 << 24))
    with pytest.raises(TeleglyphError):
        Played(huge)


def test_a_still_webp_is_left_to_ffmpeg() -> None:
    assert not is_animated(encode_picture(np.zeros((8, 8, 3), np.uint8), "libwebp", "yuv420p"))
    assert not is_animated(b"RIFF")
