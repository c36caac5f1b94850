"""What a VP9 stream may ask of its decoder."""

import pytest

from bit_writer import BitWriter
from coded_pictures import encode_pictures, moving
from teleglyph.errors import MediaDecodeError
from teleglyph.media.bitstream import MAX_PIXELS
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.media.picture_decoder import PictureDecoder
from teleglyph.media.vp9_header import Vp9Gate

SMALL, LARGE = (64, 48), (4096, 4096)


def header(
    *,
    key: bool = False,
    shown: bool = True,
    intra_only: bool = False,
    found: int | None = None,
    size: tuple[int, int] = SMALL,
    profile: int = 0,
    colors: int = 1,
    sync: int = 0x498342,
) -> bytes:
    """A frame header up to the size, and some bytes after it; ``found`` is the reference whose size applies."""
    bits = BitWriter()
    bits.fixed(2, 2)
    bits.fixed((profile & 1) << 1 | profile >> 1, 2)
    bits.fixed(0, 1)
    bits.fixed(not key, 1)
    bits.fixed(shown, 1)
    bits.fixed(0, 1)
    if key:
        bits.fixed(sync, 24)
        bits.fixed(colors, 3)
        bits.fixed(0, 1)
    else:
        if not shown:
            bits.fixed(intra_only, 1)
        bits.fixed(0, 2)
        if intra_only:
            bits.fixed(sync, 24)
            bits.fixed(1, 8)
        else:
            bits.fixed(0, 8 + 12)
            for number in range(3 if found is None else found + 1):
                bits.fixed(number == found, 1)
    if found is None:
        bits.fixed(size[0] - 1, 16)
        bits.fixed(size[1] - 1, 16)
    return bits.data() + bytes(20)


def superframe(*frames: bytes, sizes: list[int] | None = None) -> bytes:
    marker = bytes([0xC0 | 1 << 3 | len(frames) - 1])
    index = b"".join(size.to_bytes(2, "little") for size in sizes or map(len, frames))
    return b"".join(frames) + marker + index + marker


def test_every_frame_that_has_a_size_of_its_own_counts() -> None:
    for frame in (
        header(key=True, size=(640, 480)),
        header(shown=False, intra_only=True, size=(640, 480)),
        header(size=(640, 480)),
    ):
        gate = Vp9Gate()
        gate.check(header(key=True))
        before = gate.buffer_bytes
        assert gate.check(frame) == frame
        assert gate.buffer_bytes > 3 * before
        before = gate.buffer_bytes
        gate.check(header(found=2))
        gate.check(header(found=0))
        assert gate.buffer_bytes == before


@pytest.mark.parametrize(
    "frame",
    [
        header(key=True, size=LARGE),
        header(shown=False, intra_only=True, size=LARGE),
        header(size=LARGE),
        superframe(header(key=True, shown=False), header(size=LARGE)),
    ],
    ids=["keyframe", "intra only", "scaled references", "superframe"],
)
def test_a_frame_that_is_too_large_is_refused_wherever_its_size_is(frame: bytes) -> None:
    gate = Vp9Gate(MAX_PIXELS)
    gate.check(header(key=True))
    with pytest.raises(MediaDecodeError, match="4096x4096"):
        gate.check(frame)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (header(key=True, profile=1), "profile 0"),
        (header(key=True, profile=2), "profile 0"),
        (header(key=True, colors=7), "RGB"),
        (header(key=True, sync=0x498343), "start code"),
        (header(shown=False, intra_only=True, sync=0), "start code"),
        (header(key=True)[:6], "ends too early"),
        (b"", "empty"),
    ],
)
def test_other_kinds_of_pictures_are_refused(frame: bytes, reason: str) -> None:
    with pytest.raises(MediaDecodeError, match=reason):
        Vp9Gate().check(frame)


def test_a_superframe_has_one_visible_picture() -> None:
    hidden = header(key=True, shown=False)
    Vp9Gate().check(superframe(*[hidden] * 7, header(found=0)))
    with pytest.raises(MediaDecodeError, match="more than one visible picture"):
        Vp9Gate().check(superframe(hidden, header(found=0), header(found=0)))
    with pytest.raises(MediaDecodeError, match="more than one visible picture"):
        Vp9Gate().check(superframe(header(key=True), b"\x88"))  # shows an existing one


@pytest.mark.parametrize("sizes", [[0, 40], [30, 60_000], [60_000, 1]])
def test_a_superframe_with_a_damaged_index_is_refused(sizes: list[int]) -> None:
    frame = header(key=True)
    with pytest.raises(MediaDecodeError, match="index"):
        Vp9Gate().check(superframe(frame, frame, sizes=sizes))


def test_a_picture_that_is_hidden_first_is_decoded_when_it_is_shown() -> None:
    keyframe = bytearray(encode_pictures(PictureCodec.VP9, moving(1))[0])
    expected = PictureDecoder(PictureCodec.VP9).decode(bytes(keyframe))
    assert expected is not None
    keyframe[0] &= ~2  # show_frame
    hidden, show = bytes(keyframe), b"\x88"
    for outputs in ([hidden, show], [superframe(hidden, show)]):
        gate, decoder = Vp9Gate(), PictureDecoder(PictureCodec.VP9)
        assert Vp9Gate.starts_with_keyframe(outputs[0])
        shown = [decoder.decode(gate.check(output)) for output in outputs]
        assert shown[-1] is not None
        assert (shown[-1] == expected).all()
        assert all(picture is None for picture in shown[:-1])
