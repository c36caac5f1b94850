"""Pictures out of real files."""

import itertools
import math
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from films import make_film, make_film_with_sound
from teleglyph.errors import MediaDecodeError, MediaFileNotFound, MediaOpenError, UserError
from teleglyph.media.file import open_file

RED, GREEN = (220, 30, 30), (30, 200, 40)


def beginnings(values: list[tuple[float, float]], threshold: float) -> list[float]:
    """When a value rose above a threshold."""
    pairs = itertools.pairwise([(0.0, 0.0), *values])
    return [moment for (_, before), (moment, now) in pairs if now > threshold >= before]


def is_near(pixels: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixels.reshape(-1, 3).mean(0) - color).max() < 12)


def test_a_film_gives_its_pictures_in_order_and_then_ends(tmp_path: Path) -> None:
    source = open_file(str(make_film(tmp_path / "film.mp4", [RED, RED, GREEN])))
    pictures = [source.read() for _ in range(4)]
    assert pictures[3] is None
    for pixels, color in zip(pictures[:3], [RED, RED, GREEN], strict=True):
        assert pixels is not None
        assert (pixels.shape, pixels.dtype, pixels.flags.c_contiguous) == ((48, 64, 3), np.uint8, True)
        assert is_near(pixels, color)
    assert source.description == "film.mp4"
    source.close()


def test_a_looped_film_begins_again(tmp_path: Path) -> None:
    source = open_file(str(make_film(tmp_path / "film.mp4", [RED, GREEN])), loop=True)
    for color in [RED, GREEN] * 4:
        pixels = source.read()
        assert pixels is not None
        assert is_near(pixels, color)
    source.close()


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [
        ((640, 360), (480, 270), (480, 270)),
        ((360, 640), (480, 270), (152, 270)),
        ((64, 48), (480, 270), (64, 48)),
        ((640, 64), (64, 64), (64, 6)),
    ],
)
def test_pictures_are_scaled_down_in_their_shape_and_never_up(
    tmp_path: Path, size: tuple[int, int], limit: tuple[int, int], expected: tuple[int, int]
) -> None:
    source = open_file(str(make_film(tmp_path / "film.mp4", [RED], size)), max_size=limit)
    pixels = source.read()
    source.close()
    assert pixels is not None
    assert (pixels.shape[1], pixels.shape[0]) == expected


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    source = open_file(str(make_film(tmp_path / "film.mp4", [RED], (64, 64), aspect=Fraction(2, 1))))
    pixels = source.read()
    source.close()
    assert pixels is not None
    assert pixels.shape == (64, 128, 3)


def test_a_still_picture_stays(tmp_path: Path) -> None:
    (tmp_path / "still.ppm").write_bytes(b"P6 4 2 255\n" + bytes(RED) * 8)
    source = open_file(str(tmp_path / "still.ppm"))
    for _ in range(3):
        pixels = source.read()
        assert pixels is not None
        assert is_near(pixels, RED)
    source.close()
    assert source.read() is None


def test_closing_ends_a_read_that_waits(tmp_path: Path) -> None:
    import threading

    source = open_file(str(make_film(tmp_path / "slow.mp4", [RED, GREEN], rate=1)), loop=True)
    assert source.read() is not None
    results: list[object] = []
    reader = threading.Thread(target=lambda: results.append(source.read()))
    reader.start()
    source.close()
    reader.join(20)
    assert not reader.is_alive()
    source.close()


def test_a_films_sound_comes_with_its_pictures(tmp_path: Path) -> None:
    heard: list[tuple[float, float]] = []
    seen: list[tuple[float, float]] = []
    source = open_file(
        str(make_film_with_sound(tmp_path / "film.mkv", 3.0)),
        on_sound=lambda samples: heard.append((time.monotonic(), float(np.abs(samples).max()))),
    )
    while (pixels := source.read()) is not None:
        seen.append((time.monotonic(), float(pixels.mean())))
    deadline = time.monotonic() + 20
    while len(heard) < 295 and time.monotonic() < deadline:
        time.sleep(0.01)
    source.close()
    assert 295 <= len(heard) <= 305, "three seconds in pieces of 10 ms"
    flashes, clicks = beginnings(seen, 128), beginnings(heard, 0.3)
    assert len(flashes) == len(clicks) == 3
    assert min(abs(flash - click) for flash, click in zip(flashes, clicks, strict=True)) < 0.06


def test_the_sound_of_a_looped_film_begins_again_with_it(tmp_path: Path) -> None:
    levels: list[float] = []
    source = open_file(
        str(make_film_with_sound(tmp_path / "film.mkv", 0.5, flash_at=0.2)),
        loop=True,
        on_sound=lambda samples: levels.append(float(np.abs(samples).max())),
    )
    for _ in range(25 * 3 + 10):
        assert source.read() is not None
    source.close()
    clicks = sum(now > 0.3 >= before for before, now in itertools.pairwise(levels))
    assert clicks >= 3


def test_what_is_not_there_or_no_film_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film\n" * 99)
    (tmp_path / "empty.mp4").touch()
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    for name, kind, words in (
        ("missing.mp4", MediaFileNotFound, "There is no file"),
        (".", MediaFileNotFound, "is a directory"),
        ("text.mp4", MediaOpenError, "cannot be opened"),
        ("empty.mp4", MediaOpenError, "cannot be opened"),
        ("sound.wav", MediaOpenError, "has no pictures"),
    ):
        with pytest.raises(kind, match=words):
            open_file(str(tmp_path / name))
    with pytest.raises(UserError, match="Standard input cannot be looped"):
        open_file("-", loop=True)


def test_a_film_that_breaks_off_gives_what_there_is(tmp_path: Path) -> None:
    whole = make_film(tmp_path / "film.ts", [RED] * 30).read_bytes()
    (tmp_path / "cut.ts").write_bytes(whole[: len(whole) * 2 // 3])
    source = open_file(str(tmp_path / "cut.ts"))
    count = 0
    try:
        while source.read() is not None:
            count += 1
    except MediaDecodeError:
        pass
    source.close()
    assert 0 < count < 30
    assert math.isfinite(count)
