"""What an H.264 stream may ask of its decoder."""

import av
import pytest

from bit_writer import BitWriter
from coded_pictures import encode_pictures, moving
from teleglyph.errors import MediaDecodeError
from teleglyph.media.bitstream import MAX_UNITS
from teleglyph.media.h264_parameters import H264Gate, read_h264_sps
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.media.picture_decoder import PictureDecoder

START = b"\0\0\0\1"
HIGH = {"preset": "medium", "tune": "", "profile": "high"}


def encoded(size: tuple[int, int] = (64, 48), pixel_format: str = "", **options: str) -> list[bytes]:
    settings = {name.replace("_", "-"): value for name, value in options.items()}
    return encode_pictures(PictureCodec.H264, moving(6, size), pixel_format=pixel_format, options=settings)


def units(stream: bytes) -> list[bytes]:
    return [unit.rstrip(b"\0") for unit in stream.split(b"\0\0\1")[1:]]


def unit_of(stream: bytes, kind: int) -> bytes:
    return next(unit for unit in units(stream) if unit[0] & 0x1F == kind)


def made_sps(
    *,
    profile: int = 66,
    number: int = 0,
    chroma: int = 1,
    depth: int = 8,
    order: int = 2,
    references: int = 1,
    width: int = 4,
    height: int = 3,
    progressive: bool = True,
    crop: tuple[int, int, int, int] | None = None,
    lists: bool = False,
) -> bytes:
    """A set with a size in macroblocks and cropping in pairs of pixels."""
    bits = BitWriter()
    bits.fixed(profile, 8)
    bits.fixed(30, 16)
    bits.golomb(number)
    if profile == 100:
        bits.golomb(chroma, depth - 8, depth - 8)
        bits.fixed(0, 1)
        bits.fixed(lists, 1)
        for entries in [16] * 6 + [64] * 2 if lists else []:
            bits.fixed(1, 1)
            bits.golomb(*[1] * entries)  # each factor is one larger
    bits.golomb(0, order)
    if order == 0:
        bits.golomb(4)
    if order == 1:
        bits.fixed(0, 1)
        bits.golomb(3, 5, 3, 1, 2, 3)
    bits.golomb(references)
    bits.fixed(0, 1)
    bits.golomb(width - 1, height - 1)
    bits.fixed(progressive, 1)
    if not progressive:
        bits.fixed(0, 1)
    bits.fixed(1, 1)
    bits.fixed(crop is not None, 1)
    bits.golomb(*(crop or ()))
    bits.fixed(0, 1)
    return bits.unit(0x67)


@pytest.mark.parametrize(
    "options",
    [
        {"profile": "baseline"},
        {"profile": "main"},
        {**HIGH, "x264-params": "ref=16:bframes=3:cqm=jvt"},
        {"x264-params": "slices=4"},
    ],
)
def test_every_progressive_8_bit_420_stream_of_x264_decodes_as_before(options: dict[str, str]) -> None:
    pictures = moving(12, (160, 90))
    outputs = encode_pictures(PictureCodec.H264, pictures, options=options)
    gate, one, other = H264Gate(), PictureDecoder(PictureCodec.H264), PictureDecoder(PictureCodec.H264)
    for output in outputs:
        passed, plain = one.decode(gate.check(output)), other.decode(output)
        assert (passed is None) == (plain is None)
        assert passed is None or plain is None or (passed == plain).all()
    sps = read_h264_sps(unit_of(outputs[0], 7))
    assert (sps.width, sps.height, sps.shown_width, sps.shown_height) == (160, 96, 160, 90)
    assert gate.buffer_bytes == sps.buffer_bytes


def test_an_encoder_without_reordering_gives_a_picture_at_once() -> None:
    gate, decoder = H264Gate(), PictureDecoder(PictureCodec.H264)
    assert all(decoder.decode(gate.check(output)) is not None for output in encoded())


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("lists", [False, True])
def test_sizes_are_read_behind_everything_that_may_come_before(order: int, lists: bool) -> None:
    sps = read_h264_sps(
        made_sps(profile=100, order=order, lists=lists, references=5, width=80, height=45, number=7, crop=(1, 2, 3, 4))
    )
    assert sps == (7, 1280, 720, 1280 - 6, 720 - 14, 5)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"profile": 88}, "profile 88"),
        ({"profile": 118}, "profile 118"),
        ({"profile": 100, "chroma": 3}, "4:2:0"),
        ({"profile": 100, "chroma": 0}, "4:2:0"),
        ({"profile": 100, "depth": 10}, "8 bits"),
        ({"progressive": False}, "interlaced"),
        ({"references": 17}, "references"),
        ({"number": 32}, "number"),
        ({"width": 512, "height": 512}, "8192x8192"),
        ({"width": 1 << 24}, "width"),
        ({"crop": (16, 16, 0, 0)}, "crops"),
        ({"crop": (0, 0, 0, 24)}, "crops"),
    ],
)
def test_a_parameter_set_that_demands_too_much_is_refused(fields: dict[str, int], reason: str) -> None:
    with pytest.raises(MediaDecodeError, match=reason):
        H264Gate().check(START + made_sps(**fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv422p", "gray", "yuv420p10le"])
def test_other_kinds_of_pictures_of_an_encoder_are_refused(pixel_format: str) -> None:
    assert pixel_format in {one.name for one in av.Codec("libx264", "w").video_formats or []}
    with pytest.raises(MediaDecodeError):
        H264Gate().check(encoded((64, 48), pixel_format)[0])


def test_every_set_counts_and_references_cost_memory() -> None:
    gate = H264Gate()
    gate.check(START + made_sps())
    small = gate.buffer_bytes
    gate.check(START + made_sps(number=1, references=16) + START + made_sps(number=2))
    many = gate.buffer_bytes
    assert many > small
    gate.check(START + made_sps(number=3, width=80, height=45))
    assert gate.buffer_bytes > 3 * many


def test_messages_layers_and_partitions_are_dropped() -> None:
    slice_ = b"\x41\x9a\1"
    others = b"".join(START + bytes([kind]) + b"\x80\1" for kind in (2, 3, 4, 6, 14, 15, 19, 20, 21, 31))
    assert H264Gate().check(others + START + slice_ + others) == START + slice_
    assert H264Gate().check(others) == b""


def test_an_access_unit_has_one_picture() -> None:
    first, second = encoded()[:2]
    with pytest.raises(MediaDecodeError, match="more than one picture"):
        H264Gate().check(first + second)


def test_the_numbers_of_units_and_of_picture_parameter_sets_are_bounded() -> None:
    H264Gate().check((START + b"\x41\x12\1") * MAX_UNITS)
    with pytest.raises(MediaDecodeError, match="units"):
        H264Gate().check((START + b"\x41\x12\1") * (MAX_UNITS + 1))
    for count, unit in ((2, made_sps()), (16, b"\x68\xce\x38\x80")):
        H264Gate().check((START + unit) * count)
        with pytest.raises(MediaDecodeError, match="too many parameter sets"):
            H264Gate().check((START + unit) * (count + 1))
    for number, is_allowed in ((15, True), (16, False)):
        bits = BitWriter()
        bits.golomb(number, 0)
        if is_allowed:
            H264Gate().check(START + bits.unit(0x68))
            continue
        with pytest.raises(MediaDecodeError, match="parameter set"):
            H264Gate().check(START + bits.unit(0x68))


def test_a_keyframe_needs_parameters_before_its_first_slice() -> None:
    keyframe = encoded()[0]
    assert H264Gate.starts_with_keyframe(keyframe)
    without = b"".join(START + unit for unit in units(keyframe) if unit[0] & 0x1F != 7)
    assert not H264Gate.starts_with_keyframe(without)
    assert not H264Gate.starts_with_keyframe(START + b"\x41\x9a" + keyframe)
    assert not H264Gate.starts_with_keyframe(START + made_sps())
