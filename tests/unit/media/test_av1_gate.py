"""What an AV1 stream may ask of its decoder."""

import pytest

from bit_writer import BitWriter
from coded_pictures import encode_pictures, moving
from teleglyph.errors import MediaDecodeError
from teleglyph.media.av1_gate import Av1Gate
from teleglyph.media.av1_header import FrameType, read_frame_header, read_sequence_header
from teleglyph.media.bitstream import MAX_PIXELS, MAX_UNITS
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.media.picture_decoder import PictureDecoder

SEQUENCE, DELIMITER, FRAME_HEADER, TILES, METADATA, FRAME, PADDING = 1, 2, 3, 4, 5, 6, 15
SMALL, LARGE = (64, 48), (4096, 4096)


def obu(kind: int, payload: bytes, layer: int | None = None) -> bytes:
    extension = b"" if layer is None else bytes([layer << 3])
    assert len(payload) < 128
    return bytes([kind << 3 | (layer is not None) << 2 | 2]) + extension + bytes([len(payload)]) + payload


def sequence(
    *,
    size: tuple[int, int] = SMALL,
    profile: int = 0,
    points: tuple[int, ...] = (0,),
    bits_per_side: int = 16,
    deep: bool = False,
    rgb: bool = False,
    model: bool = False,
    ids: bool = False,
    timing: bool = False,
    reduced: bool = False,
) -> bytes:
    """A sequence header; ``points`` are the layers of each operating point."""
    bits = BitWriter()
    bits.fixed(profile, 3)
    bits.fixed(reduced, 1)
    bits.fixed(reduced, 1)
    if reduced:
        bits.fixed(0, 5)
    else:
        bits.fixed(timing, 1)
        if timing:
            bits.fixed(1, 64)
            bits.fixed(1, 1)
            bits.fixed(0b00101, 5)
            bits.fixed(model, 1)
        bits.fixed(1, 1)
        bits.fixed(len(points) - 1, 5)
        for layers in points:
            bits.fixed(layers, 12)
            bits.fixed(8, 5)
            bits.fixed(0, 1)
            bits.fixed(1, 1)
            bits.fixed(3, 4)
    bits.fixed(bits_per_side - 1, 4)
    bits.fixed(bits_per_side - 1, 4)
    for side in size:
        bits.fixed(side - 1, bits_per_side)
    if not reduced:
        bits.fixed(ids, 1)
        if ids:
            bits.fixed(12, 4)
            bits.fixed(0, 3)
    bits.fixed(0, 3)
    if not reduced:
        bits.fixed(0, 4)
        bits.fixed(0b100, 3)  # frames have an order
        bits.fixed(1, 1)
        bits.fixed(1, 1)
        bits.fixed(6, 3)
    bits.fixed(0, 3)
    bits.fixed(deep, 1)
    bits.fixed(0, 1)
    bits.fixed(rgb, 1)
    if rgb:
        for value in (1, 13, 0):
            bits.fixed(value, 8)
    bits.fixed(0, 3)
    return bits.data() + b"\x80"


def frame(
    kind: FrameType = FrameType.KEY,
    *,
    shown: bool = True,
    resilient: bool = False,
    size: tuple[int, int] | None = None,
    found: int | None = None,
    short: bool = False,
    ids: bool = False,
    refreshed: int = 1,
) -> bytes:
    """A frame header for the sequence header above, up to the size."""
    bits = BitWriter()
    bits.fixed(0, 1)
    bits.fixed(kind, 2)
    bits.fixed(shown, 1)
    if not shown:
        bits.fixed(0, 1)
    is_key, is_switch = kind is FrameType.KEY, kind is FrameType.SWITCH
    is_intra = is_key or kind is FrameType.INTRA_ONLY
    if not is_switch and not (is_key and shown):
        bits.fixed(resilient, 1)
    resilient = resilient or is_switch or (is_key and shown)
    bits.fixed(0, 1)
    bits.fixed(0b10, 2)  # screen content tools, and integer motion
    bits.fixed(0, 15 if ids else 0)
    has_size = size is not None or found is not None
    if not is_switch:
        bits.fixed(has_size, 1)
    bits.fixed(0, 7)
    if not is_intra and not resilient:
        bits.fixed(0, 3)
    if not is_switch and not (is_key and shown):
        bits.fixed(refreshed, 8)
    if (not is_intra or refreshed != 0xFF) and resilient and not (is_key and shown):
        bits.fixed(0, 8 * 7)
    if not is_intra:
        bits.fixed(short, 1)
        if short:
            bits.fixed(0, 6)
        for _ in range(7):
            if not short:
                bits.fixed(0, 3)
            bits.fixed(0, 14 if ids else 0)
        if has_size and not resilient:
            for number in range(7 if found is None else found + 1):
                bits.fixed(number == found, 1)
    if size is not None:
        bits.fixed(size[0] - 1, 16)
        bits.fixed(size[1] - 1, 16)
    return bits.data() + bytes(8)


FRAMES = {
    "keyframe": lambda size: frame(size=size),
    "hidden keyframe": lambda size: frame(shown=False, size=size),
    "intra only": lambda size: frame(FrameType.INTRA_ONLY, shown=False, size=size),
    "intra only, resilient": lambda size: frame(FrameType.INTRA_ONLY, shown=False, resilient=True, size=size),
    "inter": lambda size: frame(FrameType.INTER, size=size),
    "inter, resilient": lambda size: frame(FrameType.INTER, resilient=True, size=size),
    "inter, short": lambda size: frame(FrameType.INTER, short=True, size=size),
    "switch": lambda size: frame(FrameType.SWITCH, size=size),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_with_a_size_of_its_own_counts_and_may_not_be_too_large(name: str) -> None:
    gate = Av1Gate(MAX_PIXELS)
    gate.check(obu(SEQUENCE, sequence()) + obu(FRAME, frame()))
    before = gate.buffer_bytes
    gate.check(obu(FRAME, FRAMES[name]((640, 480))))
    assert gate.buffer_bytes > 2 * before
    with pytest.raises(MediaDecodeError, match="4096x4096"):
        gate.check(obu(FRAME_HEADER, FRAMES[name](LARGE)))


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("timing", [False, True])
def test_sizes_are_read_behind_everything_that_may_come_before(ids: bool, timing: bool) -> None:
    header = read_sequence_header(sequence(size=(1280, 720), ids=ids, timing=timing, points=(0x103, 0x101)))
    assert (header.width, header.height, header.id_bits, header.order_bits) == (1280, 720, 15 * ids, 7)
    sizes = [
        read_frame_header(frame(FrameType.INTER, size=(320, 200), ids=ids), header).size,
        read_frame_header(frame(FrameType.INTER, found=6, ids=ids), header).size,
        read_frame_header(frame(FrameType.INTER, found=0, short=True, ids=ids), header).size,
        read_frame_header(frame(FrameType.INTER, ids=ids), header).size,
    ]
    assert sizes == [(320, 200), None, None, (1280, 720)]


def test_still_pictures_with_short_headers_pass() -> None:
    gate = Av1Gate()
    still = obu(SEQUENCE, sequence(size=(640, 480), reduced=True)) + obu(FRAME, bytes(20))
    assert Av1Gate.starts_with_keyframe(still)
    gate.check(still)
    assert gate.buffer_bytes > 640 * 480 * 30


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (sequence(profile=1), "4:2:0"),
        (sequence(profile=2), "4:2:0"),
        (sequence(deep=True), "8 bits"),
        (sequence(rgb=True), "RGB"),
        (sequence(timing=True, model=True), "decoder model"),
        (sequence(points=(0x301, 0x101)), "spatial layers"),
        (sequence(points=(0x101, 0x201)), "spatial layers"),
        (sequence(size=LARGE), "4096x4096"),
        (sequence()[:8], "ends too early"),
    ],
)
def test_other_kinds_of_streams_are_refused(header: bytes, reason: str) -> None:
    with pytest.raises(MediaDecodeError, match=reason):
        Av1Gate(MAX_PIXELS).check(obu(SEQUENCE, header) + obu(FRAME, frame()))


def test_only_what_the_decoder_needs_passes() -> None:
    start, picture = obu(SEQUENCE, sequence()), obu(FRAME, frame(), layer=0)
    noise = obu(METADATA, b"\1") + obu(PADDING, b"\0" * 50) + obu(7, b"\0") + obu(8, b"\0") + obu(9, b"\0")
    delimiter = obu(DELIMITER, b"")
    assert Av1Gate().check(delimiter + noise + start + noise + picture + noise) == delimiter + start + picture
    assert Av1Gate().check(delimiter + noise) == b""


def test_a_temporal_unit_shows_one_picture() -> None:
    start, hidden = obu(SEQUENCE, sequence()), obu(FRAME, frame(shown=False))
    show = obu(FRAME_HEADER, b"\x80")
    Av1Gate().check(start + 7 * hidden + show)
    for units in (9 * hidden, obu(FRAME, frame()) + obu(DELIMITER, b"") + obu(FRAME, frame()), show + show):
        with pytest.raises(MediaDecodeError, match="several pictures"):
            Av1Gate().check(start + units)


@pytest.mark.parametrize(
    "data",
    [b"\x92\0", b"\x13\0", b"\x10", b"\x12\5", b"\x12" + b"\xff" * 12, b"\x12", obu(FRAME, frame(), layer=1)],
    ids=["forbidden bit", "reserved bit", "no size", "too short", "long size", "only a header", "upper layer"],
)
def test_damaged_units_and_upper_layers_are_refused(data: bytes) -> None:
    with pytest.raises(MediaDecodeError):
        Av1Gate().check(obu(SEQUENCE, sequence()) + data)


def test_the_number_of_units_is_bounded() -> None:
    tiles = obu(TILES, b"\0")
    Av1Gate().check(tiles * MAX_UNITS)
    with pytest.raises(MediaDecodeError, match="units"):
        Av1Gate().check(tiles * (MAX_UNITS + 1))
    start = obu(SEQUENCE, sequence())
    Av1Gate().check(2 * start)
    with pytest.raises(MediaDecodeError, match="too many sequence headers"):
        Av1Gate().check(3 * start)


def test_hidden_pictures_of_an_encoder_that_looks_ahead_are_decoded() -> None:
    options = {"svtav1-params": "pred-struct=2:lookahead=16"}
    outputs = encode_pictures(PictureCodec.AV1, moving(20, (160, 96)), options=options)
    gate, decoder = Av1Gate(), PictureDecoder(PictureCodec.AV1)
    assert min(map(len, outputs)) < 10, "no picture was hidden before it was shown"
    shown = [decoder.decode(gate.check(output)) for output in outputs]
    assert sum(picture is not None for picture in shown) == 20
