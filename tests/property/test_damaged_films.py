"""Films with damage anywhere: undamaged parts are shown, and nothing hangs or crashes."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from films import Color, Played, make_timed_film
from teleglyph.errors import MediaDecodeError, MediaOpenError

PICTURES = 100
KINDS = {
    "mpegts": ("ts", "mpeg2video", "mp2"),
    "matroska": ("mkv", "mpeg4", "libopus"),
    "mp4": ("mp4", "libx264", "aac"),
    "avi": ("avi", "mjpeg", "pcm_s16le"),
}


@functools.cache
def whole(kind: str) -> bytes:
    """A film of four seconds with a continuous tone."""
    ending, codec, sound_codec = KINDS[kind]
    colors: list[Color] = [(200, 20, 20), (20, 200, 20), (20, 20, 200), (200, 200, 20)]
    pictures = [(number * 0.04, colors[number % 4]) for number in range(PICTURES)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"film.{ending}"
        make_timed_film(path, pictures, [(0.0, 4.08)], codec=codec, sound_codec=sound_codec)
        return path.read_bytes()


def play(kind: str, data: bytes) -> Played:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"damaged.{KINDS[kind][0]}"
        path.write_bytes(data)
        return Played(path, sound=True)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.floats(0.15, 0.8), length=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_one_damaged_place_loses_little(kind: str, place: float, length: int, seed: int) -> None:
    data = bytearray(whole(kind))
    start = round(place * len(data))
    data[start : start + length] = np.random.default_rng(seed).bytes(length)
    played = play(kind, bytes(data[: len(whole(kind))]))
    assert len(played.pictures) >= PICTURES // 2
    assert played.times == sorted(played.times)
    assert played.times[-1] < 6.0
    assert len(played.samples) / 48_000 < 6.0
    heard = float((np.abs(played.samples[: 4 * 48_000].reshape(-1, 4800)).max(axis=1) > 0.1).mean())
    assert heard > 0.4, "sound"


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(part=st.floats(0.0, 1.0))
def test_a_truncated_film_plays_to_its_end(kind: str, part: float) -> None:
    data = whole(kind)
    try:
        played = play(kind, data[: round(part * len(data))])
    except (MediaOpenError, MediaDecodeError) as error:
        assert str(error).endswith(".")
        # The index of an MP4 is at its end.
        assert part < 0.2 or (kind == "mp4" and part < 1.0)
    else:
        assert len(played.pictures) >= (part - 0.2) * PICTURES


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), places=st.integers(2, 200))
def test_damage_everywhere_gives_pictures_or_one_sentence(kind: str, seed: int, places: int) -> None:
    data = bytearray(whole(kind))
    generator = np.random.default_rng(seed)
    for place in generator.integers(0, len(data), places):
        data[place] = generator.integers(0, 256)
    try:
        played = play(kind, bytes(data))
    except (MediaOpenError, MediaDecodeError) as error:
        assert str(error).endswith(".")
    else:
        assert played.times == sorted(played.times)
