"""Encoding and decoding HEVC, and invalid streams."""

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from teleglyph.errors import MediaDecodeError
from teleglyph.media.hevc import HevcEncoder, hevc_available
from teleglyph.media.hevc_parameters import HevcGate
from teleglyph.media.pattern import TEST_PATTERNS
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.media.picture_decoder import PictureDecoder

Pixels = NDArray[np.uint8]


def encoded(pictures: list[Pixels], frame_rate: float = 30) -> tuple[HevcEncoder, list[bytes]]:
    height, width = pictures[0].shape[:2]
    encoder = HevcEncoder(width, height, frame_rate)
    outputs = []
    for picture in pictures:
        made = encoder.encode(picture)
        assert len(made) == 1, "without delay"
        assert made[0].keyframe == HevcGate.starts_with_keyframe(made[0].data)
        outputs.append(made[0].data)
    return encoder, outputs


def psnr(one: Pixels, other: Pixels) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def film(pictures: int, name: str = "face") -> list[Pixels]:
    return [TEST_PATTERNS[name](100 + number / 30) for number in range(pictures)]


def test_the_encoder_is_part_of_the_installation() -> None:
    assert hevc_available()


def test_decoded_pictures_resemble_the_originals() -> None:
    pictures = film(40)
    _, outputs = encoded(pictures)
    decoder = PictureDecoder(PictureCodec.HEVC)
    for picture, output in zip(pictures, outputs, strict=True):
        decoded = decoder.decode(output)
        assert decoded is not None
        assert decoded.shape == picture.shape
        assert decoded.flags.c_contiguous
        assert psnr(decoded, picture) > 24
    assert sum(map(len, outputs)) < sum(picture.nbytes for picture in pictures) / 20


@pytest.mark.parametrize(("size", "coded"), [((33, 47), (32, 46)), ((1, 1), (32, 32)), ((479, 270), (478, 270))])
def test_odd_and_tiny_pictures_are_encoded_in_the_size_that_the_encoder_reports(
    size: tuple[int, int], coded: tuple[int, int]
) -> None:
    encoder, outputs = encoded([np.full((size[1], size[0], 3), 200, np.uint8)])
    decoded = PictureDecoder(PictureCodec.HEVC).decode(outputs[0])
    assert decoded is not None
    assert (encoder.width, encoder.height) == coded
    assert decoded.shape == (coded[1], coded[0], 3)
    assert abs(float(decoded.mean()) - 200) < 4


def test_keyframes_are_about_once_per_second_and_on_request() -> None:
    _, outputs = encoded(film(65))
    assert [number for number, output in enumerate(outputs) if HevcGate.starts_with_keyframe(output)] == [0, 30, 60]
    encoder, _ = encoded(film(5))
    encoder.request_keyframe()
    assert encoder.encode(film(6)[5])[0].keyframe
    assert not encoder.encode(film(7)[6])[0].keyframe


def test_decoding_begins_at_any_keyframe() -> None:
    _, outputs = encoded(film(35))
    decoded = PictureDecoder(PictureCodec.HEVC).decode(outputs[30])
    assert decoded is not None
    assert psnr(decoded, film(31)[30]) > 24


def test_pictures_are_scaled_down_to_the_needed_size_but_never_up() -> None:
    _, outputs = encoded(film(1, "plasma"))
    smaller = PictureDecoder(PictureCodec.HEVC).decode(outputs[0], needed=(64, 64))
    assert smaller is not None
    assert smaller.shape == (64, 114, 3)
    same = PictureDecoder(PictureCodec.HEVC).decode(outputs[0], needed=(5000, 5000))
    assert same is not None
    assert same.shape == (108, 192, 3)


def test_a_picture_that_is_larger_than_allowed_is_refused() -> None:
    _, outputs = encoded([np.zeros((1088, 1920, 3), np.uint8)])
    with pytest.raises(MediaDecodeError):
        PictureDecoder(PictureCodec.HEVC, max_pixels=640 * 480).decode(outputs[0])
    assert PictureDecoder(PictureCodec.HEVC, max_pixels=1920 * 1088).decode(outputs[0]) is not None


@pytest.mark.parametrize("garbage", [b"\0", b"no start code", b"\0\0\1", b"\0\0\0\1\x40\1" + b"\xff" * 200])
def test_garbage_gives_neither_a_picture_nor_a_crash(garbage: bytes) -> None:
    try:
        assert PictureDecoder(PictureCodec.HEVC).decode(garbage) is None
    except MediaDecodeError as error:
        assert "HEVC" in str(error)


def test_damaged_streams_give_pictures_or_an_error_and_a_new_decoder_works() -> None:
    _, outputs = encoded(film(10))
    chance = random.Random(5)
    outcomes = {"picture": 0, "error": 0, "nothing": 0}
    for _ in range(150):
        decoder = PictureDecoder(PictureCodec.HEVC, max_pixels=1 << 20)
        for output in outputs:
            damaged = bytearray(output)
            for _ in range(chance.randrange(4)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            cut = chance.choice([len(damaged), chance.randrange(1, len(damaged))])
            try:
                picture = decoder.decode(bytes(damaged[:cut]))
            except MediaDecodeError:
                outcomes["error"] += 1
                break
            outcomes["nothing" if picture is None else "picture"] += 1
            assert picture is None or picture.size <= 3 << 20
    assert min(outcomes["picture"], outcomes["error"]) > 0, outcomes
    assert PictureDecoder(PictureCodec.HEVC).decode(outputs[0]) is not None
