"""Checking HEVC streams before the decoder sees them."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bit_writer import BitWriter
from teleglyph.errors import MediaDecodeError
from teleglyph.media.bitstream import MAX_UNITS
from teleglyph.media.hevc import HevcEncoder
from teleglyph.media.hevc_parameters import HevcGate, read_sps
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.media.picture_decoder import PictureDecoder

START = b"\0\0\1"
VPS, SPS, PPS = 32, 33, 34
MANY_REFERENCES = "ref=16:bframes=0:allow-non-conformance=1"


def packets(
    width: int, height: int, pixel_format: str = "yuv420p", parameters: str = "", pictures: int = 3
) -> list[bytes]:
    """Noise encoded by libx265, as an Annex B stream."""
    context = av.CodecContext.create("libx265", "w")
    context.width, context.height, context.pix_fmt = width, height, pixel_format
    context.time_base = Fraction(1, 30)
    settings = ["log-level=none", "repeat-headers=1", "pools=1", *([parameters] if parameters else [])]
    context.options = {"preset": "ultrafast", "x265-params": ":".join(settings)}
    chance = np.random.default_rng(1)
    outputs = []
    for number in range(pictures):
        frame = av.VideoFrame.from_ndarray(chance.integers(0, 256, (height, width, 3), np.uint8), format="rgb24")
        frame = frame.reformat(format=pixel_format)
        frame.pts, frame.time_base = number, context.time_base
        outputs += context.encode(frame)
    return [bytes(packet) for packet in [*outputs, *context.encode(None)]]


def encoded(width: int, height: int, pixel_format: str = "yuv420p", parameters: str = "") -> bytes:
    return b"".join(packets(width, height, pixel_format, parameters))


def decoded(outputs: list[bytes]) -> list[bytes]:
    context = av.CodecContext.create("hevc", "r")
    context.thread_count = 1
    frames = [frame for output in outputs for frame in context.decode(av.Packet(output))]
    return [frame.to_ndarray(format="rgb24").tobytes() for frame in [*frames, *context.decode(None)]]


def units(stream: bytes) -> list[bytes]:
    return [unit.rstrip(b"\0") for unit in stream.split(START)[1:]]


def kind(unit: bytes) -> int:
    return unit[0] >> 1


def sps_of(stream: bytes) -> bytes:
    return next(unit for unit in units(stream) if kind(unit) == SPS)


def made_sps(
    number: int = 0, chroma: int = 1, width: int = 640, height: int = 360, depth: int = 8, pictures: int = 2
) -> bytes:
    writer = BitWriter()
    writer.fixed(0, 4 + 3 + 1)
    writer.fixed(0, 88 + 8)
    writer.golomb(number, chroma)
    if chroma == 3:
        writer.fixed(0, 1)
    writer.golomb(width, height)
    writer.fixed(0, 1)
    writer.golomb(depth - 8, depth - 8, 4)
    writer.fixed(1, 1)
    writer.golomb(pictures - 1, 0, 0, 0, 3)
    writer.golomb(0, 2, 0, 0)
    return writer.unit(SPS << 1, 1)


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (160, 90), (480, 270), (638, 358), (1280, 720), (1920, 1080)])
def test_our_own_clients_streams_pass_the_gate_and_decode_as_before(size: tuple[int, int]) -> None:
    encoder = HevcEncoder(*size, 30)
    gate, decoder = HevcGate(), PictureDecoder(PictureCodec.HEVC)
    for number in range(3):
        picture = np.full((size[1], size[0], 3), 60 * number, np.uint8)
        (output,) = encoder.encode(picture)
        shown = decoder.decode(gate.check(output.data))
        assert shown is not None
        assert shown.shape == picture.shape
    assert size[0] * size[1] * 1.5 * 17 <= gate.buffer_bytes < 200 << 20


@pytest.mark.parametrize(
    "parameters",
    ["", MANY_REFERENCES, "bframes=3", "profile=mainstillpicture", "ctu=16:min-cu-size=8", "temporal-layers=3"],
)
def test_every_8_bit_420_stream_of_x265_passes(parameters: str) -> None:
    outputs = packets(320, 240, parameters=parameters, pictures=1 if "still" in parameters else 6)
    sps = read_sps(sps_of(outputs[0]))
    assert (sps.width, sps.height, sps.number) == (320, 240, 0)
    assert 1 <= sps.pictures <= 16
    gate = HevcGate()
    passed = [gate.check(output) for output in outputs]
    assert {kind(unit) for unit in units(passed[0])} >= {VPS, SPS, PPS}
    assert decoded(passed) == decoded(outputs)


@pytest.mark.parametrize(
    ("pixel_format", "reason"),
    [
        ("yuv444p", "4:2:0"),
        ("yuv422p", "4:2:0"),
        ("gray", "4:2:0"),
        ("yuv420p10le", "8 bits"),
        ("yuv420p12le", "8 bits"),
        ("yuv444p12le", "4:2:0"),
    ],
)
def test_other_kinds_of_pictures_are_refused_before_decoding(pixel_format: str, reason: str) -> None:
    if pixel_format not in {f.name for f in av.Codec("libx265", "w").video_formats or []}:
        pytest.skip(f"this libx265 does not write {pixel_format}")
    with pytest.raises(MediaDecodeError, match=reason):
        HevcGate().check(encoded(64, 64, pixel_format, MANY_REFERENCES))


def test_the_memory_of_a_stream_does_not_depend_on_its_claims() -> None:
    modest, greedy = read_sps(made_sps(pictures=1)), read_sps(made_sps(pictures=16))
    assert (modest.pictures, greedy.pictures) == (1, 16)
    assert modest.buffer_bytes == greedy.buffer_bytes


@pytest.mark.parametrize(
    "fields",
    [
        {"number": 16},
        {"chroma": 0},
        {"chroma": 3},
        {"depth": 10},
        {"pictures": 17},
        {"width": 8192, "height": 8192},
        {"width": 1 << 30, "height": 8},
        {"width": 0},
        {"width": 644},
    ],
)
def test_a_parameter_set_with_excessive_values_is_refused(fields: dict[str, int]) -> None:
    assert read_sps(made_sps()).width == 640
    with pytest.raises(MediaDecodeError):
        read_sps(made_sps(**fields))


def test_every_set_in_a_stream_is_read_and_the_largest_counts() -> None:
    gate = HevcGate()
    gate.check(START + made_sps())
    small = gate.buffer_bytes
    gate.check(START + made_sps(number=1, width=1280, height=720) + b"\0" + START + made_sps(number=2))
    large = gate.buffer_bytes
    assert large > 2 * small
    gate.check(START + made_sps())
    assert gate.buffer_bytes == large, "the decoder may still hold the large ones"
    with pytest.raises(MediaDecodeError):
        gate.check(START + made_sps() + START + b"\x02\1\x80" + START + made_sps(number=3, chroma=3))


def test_higher_layers_messages_and_unknown_units_are_dropped() -> None:
    slice_, message, unknown = b"\x02\1\x80", bytes([39 << 1, 1, 5]), bytes([50 << 1, 1, 5])
    second_layer = bytes([SPS << 1, 1 << 3 | 1]) + made_sps(chroma=3)[2:]
    stream = b"".join(START + unit for unit in (message, second_layer, slice_, unknown))
    assert HevcGate().check(stream) == START + slice_
    assert HevcGate().check(START + message) == b""


@pytest.mark.parametrize(
    "unit",
    [b"\x02", b"\x82\1\x80", b"\x02\0\x80", bytes([VPS << 1, 1, 0x0C, 0x10, 1]), bytes([VPS << 1, 1])],
    ids=["no header", "forbidden bit", "no temporal layer", "two layers", "nothing in it"],
)
def test_damaged_units_are_refused(unit: bytes) -> None:
    with pytest.raises(MediaDecodeError):
        HevcGate().check(START + unit)


def test_the_number_of_units_is_bounded() -> None:
    HevcGate().check((START + b"\x02\1\x80") * MAX_UNITS)
    with pytest.raises(MediaDecodeError, match="units"):
        HevcGate().check((START + b"\x02\1\x80") * (MAX_UNITS + 1))


@pytest.mark.parametrize("inside", [b"\0\0\2", b"\0\0\3\4"])
def test_sequences_that_decoders_read_differently_are_refused(inside: bytes) -> None:
    with pytest.raises(MediaDecodeError):
        read_sps(made_sps() + inside)


_REAL = [sps_of(encoded(64, 64)), made_sps(), made_sps(width=4096, height=2160, pictures=16)]


@given(
    st.sampled_from(_REAL), st.lists(st.tuples(st.integers(2, 60), st.integers(0, 255)), max_size=6), st.integers(0, 60)
)
def test_a_damaged_set_is_refused_or_within_the_bounds(sps: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(sps)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    _check_bounds(bytes(damaged[: len(damaged) - cut]))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_within_the_bounds(data: bytes) -> None:
    _check_bounds(bytes([SPS << 1, 1]) + data)


def _check_bounds(unit: bytes) -> None:
    try:
        sps = read_sps(unit)
    except MediaDecodeError:
        return
    assert 0 < sps.width * sps.height <= 4096 * 2160
    assert sps.number <= 15
    assert 1 <= sps.pictures <= 16


@given(st.binary(max_size=300))
def test_any_stream_is_refused_or_passed_on_in_parts(data: bytes) -> None:
    try:
        passed = HevcGate().check(data)
    except MediaDecodeError:
        return
    assert len(passed) <= len(data)
    for unit in units(passed):
        assert unit in data
