"""Choosing streams."""

from pathlib import Path
from typing import Any

import av
import numpy as np

from teleglyph.media.packets import PICTURE, SOUND, choose


def make(path: Path, *streams: tuple[str, dict[str, Any]]) -> Path:
    """Half a second of each stream."""
    with av.open(str(path), "w") as container:
        added = []
        for codec, settings in streams:
            options = dict(settings)
            disposition = options.pop("disposition", None)
            size = options.pop("size", (64, 48))
            stream: Any = container.add_stream(codec, **options)
            if disposition is not None:
                stream.disposition = disposition
            if stream.type == "video":
                stream.width, stream.height = size
                stream.pix_fmt = "rgb24" if codec == "png" else "yuvj420p" if codec == "mjpeg" else "yuv420p"
            added.append(stream)
        for number in range(12):
            for stream in added:
                if stream.type == "video":
                    picture = np.zeros((stream.height, stream.width, 3), np.uint8)
                    frame: Any = av.VideoFrame.from_ndarray(picture, format="rgb24")
                else:
                    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), format="s16", layout="mono")
                    frame.sample_rate = 48_000
                frame.pts = number * (1 if stream.type == "video" else 1920)
                container.mux(stream.encode(frame))
        for stream in added:
            container.mux(stream.encode(None))
    return path


PICTURES: dict[str, Any] = {"rate": 25}
SOUNDS: dict[str, Any] = {"rate": 48_000, "layout": "mono"}


def chosen(path: Path, *, wants_sound: bool = True) -> dict[str, int]:
    with av.open(str(path)) as container:
        return {lane: info.index for lane, info in choose(container, wants_sound=wants_sound).items()}


def test_the_default_stream_is_chosen_among_several(tmp_path: Path) -> None:
    path = make(
        tmp_path / "film.mkv",
        ("mpeg4", {**PICTURES, "disposition": 0}),
        ("mpeg4", {**PICTURES, "disposition": 1}),
        ("pcm_s16le", {**SOUNDS, "disposition": 0}),
        ("pcm_s16le", {**SOUNDS, "disposition": 1}),
    )
    assert chosen(path) == {PICTURE: 1, SOUND: 3}
    assert chosen(path, wants_sound=False) == {PICTURE: 1}


def test_a_film_is_chosen_before_pictures_that_no_flag_calls_a_cover(tmp_path: Path) -> None:
    for codec in ("png", "mjpeg"):
        path = make(tmp_path / f"{codec}.mov", (codec, PICTURES), ("mpeg4", PICTURES), ("pcm_s16le", SOUNDS))
        assert chosen(path) == {PICTURE: 1, SOUND: 2}


def test_a_film_of_pictures_is_a_film(tmp_path: Path) -> None:
    assert chosen(make(tmp_path / "film.mkv", ("mjpeg", PICTURES))) == {PICTURE: 0}


def test_sound_alone_has_no_picture(tmp_path: Path) -> None:
    path = make(tmp_path / "sound.mkv", ("pcm_s16le", SOUNDS))
    assert chosen(path) == {SOUND: 0}
    assert chosen(path, wants_sound=False) == {}
