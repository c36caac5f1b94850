"""Checking compressed pictures of every codec before their decoder sees them, and decoding what passes."""

import contextlib
import random
from functools import cache

import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from hypothesis import given
from hypothesis import strategies as st

from coded_pictures import encode_pictures, moving, plain
from teleglyph.errors import MediaDecodeError
from teleglyph.media.bitstream import MAX_PIXELS, MAX_UNITS
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.media.picture_decoder import PictureDecoder, available_codecs
from teleglyph.media.picture_gate import open_gate, starts_with_keyframe
from teleglyph.wire.acip import Codec

VP8, VP9, AV1, H264, JPEG = (PictureCodec(number) for number in range(1, 6))
BROWSERS = (VP8, VP9, AV1, H264, JPEG)
PIXELS = 640 * 480
"""The largest picture of the tests with damage."""
COLORS = ((200, 40, 30), (30, 180, 60), (40, 60, 210), (128, 128, 128), (250, 250, 250), (5, 5, 5))


@cache
def stream(codec: PictureCodec, count: int = 8, size: tuple[int, int] = (64, 48)) -> tuple[bytes, ...]:
    """Pictures with a keyframe at the beginning and one in the middle."""
    return tuple(encode_pictures(codec, moving(count, size), keyframe_interval=count // 2))


def test_the_numbers_of_codecs_are_those_of_the_packet() -> None:
    assert {codec.name: int(codec) for codec in BROWSERS} == {codec.name: int(codec) for codec in Codec}


def test_this_installation_decodes_every_codec() -> None:
    assert available_codecs() == frozenset(PictureCodec)


@pytest.mark.parametrize("codec", PictureCodec)
@pytest.mark.parametrize("size", [(64, 48), (66, 50), (65, 49), (130, 34), (640, 360), (1280, 720)])
def test_pictures_of_any_size_pass_and_keep_their_size(codec: PictureCodec, size: tuple[int, int]) -> None:
    if codec in (PictureCodec.HEVC, H264):
        size = size[0] & ~1, size[1] & ~1  # their encoders need even sides
    pictures = moving(4, size)
    gate, decoder = open_gate(codec, MAX_PIXELS), PictureDecoder(codec)
    for picture, output in zip(pictures, encode_pictures(codec, pictures), strict=True):
        decoded = decoder.decode(gate.check(output))
        assert decoded is not None
        assert decoded.shape == picture.shape
        assert np.mean(np.abs(decoded.astype(int) - picture)) < 40
    assert size[0] * size[1] * 3 <= gate.buffer_bytes < 64 << 20


@pytest.mark.parametrize("codec", PictureCodec)
def test_keyframes_are_found_in_the_bitstream(codec: PictureCodec) -> None:
    found = [starts_with_keyframe(codec, output) for output in stream(codec)]
    assert found == ([True] * 8 if codec is JPEG else [True, False, False, False] * 2)
    for other in BROWSERS:
        if other is not codec:
            assert not any(starts_with_keyframe(other, output) for output in stream(codec)), other


@pytest.mark.parametrize("codec", PictureCodec)
def test_decoding_can_begin_at_a_later_keyframe(codec: PictureCodec) -> None:
    gate, decoder = open_gate(codec, MAX_PIXELS), PictureDecoder(codec)
    decoded = decoder.decode(gate.check(stream(codec)[4]))
    assert decoded is not None
    assert decoded.shape == (48, 64, 3)


@pytest.mark.parametrize("codec", PictureCodec)
def test_a_picture_that_is_too_large_is_refused_by_the_gate_and_by_the_decoder(codec: PictureCodec) -> None:
    (output,) = encode_pictures(codec, moving(1, (320, 240)))
    assert open_gate(codec, 320 * 240).check(output)
    with pytest.raises(MediaDecodeError, match="320x240"):
        open_gate(codec, 320 * 240 - 1).check(output)
    with pytest.raises(MediaDecodeError):
        PictureDecoder(codec, 320 * 239).decode(output)


@pytest.mark.parametrize("codec", BROWSERS)
@pytest.mark.parametrize(
    ("matrix", "color_range"),
    [(None, None), (Colorspace.ITU709, None), (Colorspace.ITU709, ColorRange.JPEG), (Colorspace.ITU601, None)],
    ids=["untagged", "BT.709", "BT.709 full", "BT.601"],
)
def test_colours_survive(codec: PictureCodec, matrix: Colorspace | None, color_range: ColorRange | None) -> None:
    if codec in (VP8, JPEG):
        matrix, color_range = None, None  # these formats have no other colours
    for color in COLORS:
        outputs = encode_pictures(codec, [plain(color)], matrix=matrix, color_range=color_range)
        for needed in (None, (32, 24)):
            decoded = PictureDecoder(codec).decode(outputs[0], needed)
            assert decoded is not None
            assert np.abs(decoded.reshape(-1, 3).astype(int) - color).max() <= 6, (color, decoded[0, 0])


@pytest.mark.parametrize("codec", [codec for codec in PictureCodec if not codec.is_independent])
def test_a_stream_without_a_keyframe_announces_no_memory(codec: PictureCodec) -> None:
    gate = open_gate(codec, MAX_PIXELS)
    with contextlib.suppress(MediaDecodeError):
        gate.check(stream(codec)[1])
    assert gate.buffer_bytes == 0


@pytest.mark.parametrize("codec", PictureCodec)
def test_memory_is_that_of_the_largest_picture_so_far(codec: PictureCodec) -> None:
    small, large = encode_pictures(codec, moving(1)), encode_pictures(codec, moving(1, (640, 480)))
    gate = open_gate(codec, MAX_PIXELS)
    gate.check(small[0])
    first = gate.buffer_bytes
    gate.check(large[0])
    second = gate.buffer_bytes
    assert second > first
    gate.check(small[0])
    assert gate.buffer_bytes == second, "the decoder may still hold the large ones"


def damaged(output: bytes, chance: random.Random) -> bytes:
    """An output with some bytes changed, most of them in the headers, or cut."""
    changed = bytearray(output)
    for _ in range(chance.randrange(1, 5)):
        position = chance.randrange(min(len(changed), chance.choice([16, 64, 1 << 20])))
        changed[position] = chance.randrange(256)
    return bytes(changed[: chance.choice([len(changed), len(changed), chance.randrange(1, len(changed) + 1)])])


@pytest.mark.parametrize("codec", PictureCodec)
def test_damaged_streams_give_pictures_or_an_error_and_a_new_decoder_works(codec: PictureCodec) -> None:
    chance = random.Random(7)
    outcomes = {"refused": 0, "undecodable": 0, "decoded": 0}
    for _ in range(60):
        gate, decoder = open_gate(codec, PIXELS), PictureDecoder(codec, PIXELS)
        for output in stream(codec):
            try:
                passed = gate.check(damaged(output, chance) if chance.random() < 0.7 else output)
            except MediaDecodeError:
                outcomes["refused"] += 1
                break
            if not gate.buffer_bytes or not passed:
                break
            try:
                picture = decoder.decode(passed)
            except MediaDecodeError:
                outcomes["undecodable"] += 1
                break
            assert picture is None or picture.size <= 3 * PIXELS
            outcomes["decoded"] += 1
    assert outcomes["refused"] > 0, outcomes
    assert outcomes["decoded"] > 0, outcomes
    assert PictureDecoder(codec).decode(open_gate(codec, PIXELS).check(stream(codec)[0])) is not None


@given(
    st.sampled_from(list(PictureCodec)),
    st.integers(0, 7),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=8),
    st.integers(0, 100),
)
def test_any_damage_is_refused_or_within_the_bounds(
    codec: PictureCodec, number: int, changes: list[tuple[int, int]], cut: int
) -> None:
    output = bytearray(stream(codec)[number])
    for position, value in changes:
        output[position % len(output)] = value
    _check_bounds(codec, bytes(output[: max(0, len(output) - cut)]))


@given(st.sampled_from(list(PictureCodec)), st.binary(max_size=300))
def test_any_bytes_are_refused_or_within_the_bounds(codec: PictureCodec, data: bytes) -> None:
    _check_bounds(codec, data)


@pytest.mark.parametrize("codec", PictureCodec)
@pytest.mark.parametrize("byte", [b"\0", b"\1", b"\xff", b"\xc7", b"\x12\0", b"\xff\0", b"\0\0\1", b"\0\0\1\x65\x80"])
def test_a_megabyte_of_repetitions_is_refused_or_within_the_bounds(codec: PictureCodec, byte: bytes) -> None:
    _check_bounds(codec, byte * ((1 << 20) // len(byte)))
    _check_bounds(codec, stream(codec)[0] + byte * ((1 << 20) // len(byte)))


def _check_bounds(codec: PictureCodec, data: bytes) -> None:
    starts_with_keyframe(codec, data)
    gate = open_gate(codec, PIXELS)
    with contextlib.suppress(MediaDecodeError):
        # A short start code becomes a long one, at most once for each unit.
        assert len(gate.check(data)) <= len(data) + MAX_UNITS
    assert gate.buffer_bytes <= 64 * PIXELS + (32 << 20)
