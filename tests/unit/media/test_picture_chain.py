"""Pictures become upright, opaque, correctly coloured and small."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from films import Played, encode_picture, four_corners, make_jpeg, make_png, make_timed_film
from teleglyph.media.picture_chain import fit_pixels

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
UPRIGHT = {
    # EXIF orientations: the quarters of the stored picture as they should be seen, in reading order.
    1: (RED, GREEN, BLUE, WHITE),
    2: (GREEN, RED, WHITE, BLUE),
    3: (WHITE, BLUE, GREEN, RED),
    4: (BLUE, WHITE, RED, GREEN),
    5: (RED, BLUE, GREEN, WHITE),
    6: (BLUE, RED, WHITE, GREEN),
    7: (WHITE, GREEN, BLUE, RED),
    8: (GREEN, WHITE, RED, BLUE),
}
MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def quarters(pixels: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """The colours in the middle of each quarter, in reading order, each channel 0 or 255."""
    height, width = pixels.shape[:2]
    places = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    places += [(3 * height // 4, column) for _, column in places]
    return tuple(tuple(int(value > 127) * 255 for value in pixels[place]) for place in places)


def check(played: Played, orientation: int) -> None:
    assert len(played.pictures) == 1
    pixels = played.pictures[0].pixels
    assert pixels.shape[:2] == ((32, 48) if orientation < 5 else (48, 32))
    assert pixels.flags.c_contiguous
    assert quarters(pixels) == UPRIGHT[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_and_mirrored_according_to_its_exif_data(tmp_path: Path, orientation: int) -> None:
    check(Played(make_jpeg(tmp_path / "photo.jpg", four_corners(), orientation)), orientation)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_png_is_turned_and_mirrored_according_to_its_exif_data(tmp_path: Path, orientation: int) -> None:
    check(Played(make_png(tmp_path / "photo.png", four_corners(), orientation=orientation)), orientation)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_a_film_is_turned_and_mirrored_according_to_its_matrix(tmp_path: Path, orientation: int, ending: str) -> None:
    path = tmp_path / f"film.{ending}"
    a, b, c, d = MATRICES[orientation]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(four_corners(), format="rgb24")))
        container.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    one = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    # The matrix of the track's header; the one of the film's header comes before it and stays.
    place = data.index(one, data.index(b"tkhd"))
    data[place : place + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    check(Played(path), orientation)


@pytest.mark.parametrize("limit", [(48, 32), (24, 24), (10, 100)])
def test_a_turned_picture_fits_into_the_limit_as_it_is_seen(tmp_path: Path, limit: tuple[int, int]) -> None:
    played = Played(make_jpeg(tmp_path / "photo.jpg", four_corners(480, 320), 6), max_size=limit)
    height, width = played.pictures[0].pixels.shape[:2]
    assert (width, height) == fit_pixels(320, 480, limit)
    assert quarters(played.pictures[0].pixels) == UPRIGHT[6]


def transparent() -> np.ndarray:
    """Left opaque light grey, in the middle half of that, right transparent with white that must not be seen."""
    picture = np.zeros((24, 48, 4), np.uint8)
    picture[:, :16] = (200, 200, 200, 255)
    picture[:, 16:32] = (200, 200, 200, 128)
    picture[:, 32:] = (255, 255, 255, 0)
    return picture


@pytest.mark.parametrize("pixel_format", ["rgba", "rgba64be", "ya8", "ya16be"])
def test_transparent_pictures_are_put_on_black(tmp_path: Path, pixel_format: str) -> None:
    pixels = Played(make_png(tmp_path / "shape.png", transparent(), pixel_format)).pictures[0].pixels.astype(int)
    assert np.abs(pixels[12, 8] - 200).max() <= 2
    assert np.abs(pixels[12, 24] - 100).max() <= 2
    assert pixels[12, 40].max() == 0


def test_invisible_pixels_do_not_bleed_when_a_picture_is_scaled_down(tmp_path: Path) -> None:
    picture = np.zeros((24, 48, 4), np.uint8)
    picture[:, ::2] = (200, 0, 0, 255)
    picture[:, 1::2] = (255, 255, 255, 0)
    pixels = Played(make_png(tmp_path / "lines.png", picture, "rgba"), max_size=(24, 12)).pictures[0].pixels.astype(int)
    assert np.abs(pixels[4:-4, 4:-4] - (100, 0, 0)).max() <= 3


def test_a_palette_with_a_transparent_entry_keeps_its_shape(tmp_path: Path) -> None:
    import zlib

    from films import png_chunk

    rows = b"".join(b"\0" + bytes([0] * 4 + [1] * 4) for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0)
    chunks: tuple[tuple[bytes, bytes], ...] = (
        (b"IHDR", head),
        (b"PLTE", bytes((255, 0, 0, 255, 255, 255))),
        (b"tRNS", b"\xff\0"),
    )
    chunks += ((b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    path = tmp_path / "palette.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks))
    pixels = Played(path).pictures[0].pixels
    assert np.abs(pixels[4, 1].astype(int) - RED).max() <= 2
    assert pixels[4, 6].max() == 0


@pytest.mark.parametrize("codec", [("libvpx-vp9", "yuva420p", "webm"), ("prores_ks", "yuva444p10le", "mov")])
def test_films_with_alpha_keep_their_shape_where_ffmpeg_decodes_it(tmp_path: Path, codec: tuple[str, str, str]) -> None:
    encoder, pixel_format, ending = codec
    if encoder not in av.codecs_available:
        pytest.skip(f"no encoder {encoder}")
    path = tmp_path / f"film.{ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=5)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 48, 24, pixel_format
        frame = av.VideoFrame.from_ndarray(transparent(), format="rgba").reformat(format=pixel_format)
        for number in range(2):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    pixels = Played(path).pictures[0].pixels.astype(int)
    assert pixels[12, 6].min() > 180
    if encoder == "prores_ks":
        assert pixels[12, 42].max() < 20


@pytest.mark.parametrize("size", [(1, 1), (1, 100), (1000, 1), (3, 3), (163, 121), (480, 271), (2, 5000)])
def test_pictures_of_any_shape_fit(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = np.full((size[1], size[0], 3), (200, 100, 50), np.uint8)
    pixels = Played(make_png(tmp_path / "odd.png", picture)).pictures[0].pixels
    assert (pixels.shape[1], pixels.shape[0]) == fit_pixels(*size, (480, 270))
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 2


def test_colours_follow_the_matrix_and_the_range_that_a_film_names(tmp_path: Path) -> None:
    wanted = (180, 60, 90)
    for matrix, color_range, filters in ((1, 1, "bt709"), (5, 1, "smpte170m"), (9, 1, "bt2020nc"), (1, 2, "bt709")):
        path = tmp_path / f"{filters}-{color_range}.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=5)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv444p"
            stream.codec_context.colorspace, stream.codec_context.color_range = matrix, color_range
            container.mux(stream.encode(yuv_frame(wanted, matrix, full=color_range == 2)))
            container.mux(stream.encode(None))
        assert np.abs(np.array(Played(path).colors[0]) - wanted).max() <= 2, path.name


def yuv_frame(color: tuple[int, int, int], matrix: int, *, full: bool) -> av.VideoFrame:
    """A plain frame, computed as ITU-R BT.601, 709 and 2020 say."""
    kr, kb = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    red, green, blue = (value / 255 for value in color)
    y = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - y) / (2 - 2 * kb), (red - y) / (2 - 2 * kr)
    planes = (y * 255, 128 + cb * 255, 128 + cr * 255) if full else (16 + y * 219, 128 + cb * 224, 128 + cr * 224)
    frame = av.VideoFrame.from_ndarray(
        np.stack([np.full((32, 32), round(plane), np.uint8) for plane in planes]), format="yuv444p"
    )
    frame.colorspace, frame.color_range, frame.pts = matrix, 2 if full else 1, 0
    return frame


def hdr_film(path: Path, signals: list[float], transfer: int) -> Path:
    """Grey bars of these signals, 0 to 1, in 10 bits and BT.2020."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 16 * len(signals), 16, "yuv444p10le"
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_trc, context.color_primaries = 9, 1, transfer, 9
        luma = np.repeat([round(64 + 876 * signal) for signal in signals], 16).astype(np.uint16)
        planes = np.full((3, 16, luma.size), 512, np.uint16)
        planes[0] = luma
        frame = av.VideoFrame(luma.size, 16, "yuv444p10le")
        for plane, values in zip(frame.planes, planes, strict=True):
            padded = np.zeros((16, plane.line_size // 2), np.uint16)
            padded[:, : luma.size] = values
            plane.update(padded.tobytes())
        frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 9, 1, transfer, 9
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("transfer", "signals", "expected"),
    [
        # PQ signals of 0, 10, 100, 203 and 1000 cd/m2.
        (16, [0.0, 0.3022, 0.5081, 0.5807, 0.7518], [0, 73, 188, 231, 255]),
        # HLG: black, a dark grey, the signal of white paper, the brightest light.
        (18, [0.0, 0.25, 0.75, 1.0], [0, 72, 231, 255]),
    ],
)
def test_hdr_films_are_mapped_so_that_white_is_white(
    tmp_path: Path, transfer: int, signals: list[float], expected: list[int]
) -> None:
    pixels = Played(hdr_film(tmp_path / "hdr.mkv", signals, transfer)).pictures[0].pixels
    greys = pixels[8, 8::16]
    assert np.abs(greys[:, 0].astype(int) - expected).max() <= 4, greys[:, 0]
    assert np.ptp(greys.astype(int), axis=1).max() <= 2, "grey stays grey"


def test_non_square_pixels_become_square_and_absurd_aspects_are_ignored(tmp_path: Path) -> None:
    for aspect, shape in ((Fraction(2, 1), (48, 128)), (Fraction(1, 2), (48, 32)), (Fraction(1000, 1), (48, 64))):
        path = tmp_path / "film.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=5)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.sample_aspect_ratio = min(aspect, Fraction(255, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(four_corners(64, 48), format="rgb24")))
            container.mux(stream.encode(None))
        assert Played(path).pictures[0].pixels.shape[:2] == shape


def test_interlaced_films_are_deinterlaced(tmp_path: Path) -> None:
    path = tmp_path / "film.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, options={"flags": "+ilme+ildct", "qscale": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(10):
            picture = np.zeros((64, 64, 3), np.uint8)
            picture[::2] = 0 if number % 2 else 255  # a flash that is over in the second field
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    played = Played(path)
    if len(played.pictures) != 10:
        pytest.fail(f"{len(played.pictures)} of 10 pictures came through")
    rows = played.pictures[4].pixels[16:48, 32, 0].astype(int)
    assert np.abs(np.diff(rows)).max() < 100, "the two fields are not combed into one picture"


def test_a_size_that_changes_in_the_middle_changes_the_picture(tmp_path: Path) -> None:
    parts = []
    for number, (size, color) in enumerate((((64, 48), RED), ((128, 64), GREEN), ((32, 96), BLUE))):
        film = make_timed_film(
            tmp_path / f"{number}.ts",
            [(index * 0.04, color) for index in range(10)],
            size=size,
            codec="mpeg2video",
        )
        parts.append(film.read_bytes())
    (tmp_path / "all.ts").write_bytes(b"".join(parts))
    played = Played(tmp_path / "all.ts")
    sizes = [picture.pixels.shape[1::-1] for picture in played.pictures]
    assert list(dict.fromkeys(sizes)) == [(64, 48), (128, 64), (32, 96)]
    assert len(played.pictures) >= 27, "at most one picture is lost at each change"
    assert played.times == sorted(played.times)


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    import resource
    import zlib

    from films import png_chunk
    from teleglyph.errors import MediaDecodeError

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    path = tmp_path / "huge.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MediaDecodeError, match="more than 134 million pixels"):
        Played(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_encoders_for_these_tests_are_correct() -> None:
    assert encode_picture(four_corners(), "png", "rgb24").startswith(b"\x89PNG")
