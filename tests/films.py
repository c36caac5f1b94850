"""Short films made for tests."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def make_film(
    path: Path,
    colors: list[tuple[int, int, int]],
    size: tuple[int, int] = (64, 48),
    rate: int = 50,
    aspect: Fraction | None = None,
) -> Path:
    """A film of plain colours, one picture each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for color in colors:
            picture = np.full((size[1], size[0], 3), color, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def make_film_with_sound(path: Path, seconds: float, flash_at: float = 0.5) -> Path:
    """A dark film with a silent track; once a second the picture is white and the sound a tone of 1 kHz, for 0.1 s."""
    rate = 50
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate, options={"crf": "10", "tune": "zerolatency"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=48_000, layout="mono")
        for number in range(int(seconds * rate)):
            is_flash = flash_at <= number / rate % 1 < flash_at + 0.1
            picture = np.full((48, 64, 3), 255 if is_flash else 0, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            times = (number * 960 + np.arange(960)) / 48_000
            is_loud = (times % 1 >= flash_at) & (times % 1 < flash_at + 0.1)
            samples = (20_000 * np.sin(2 * np.pi * 1000 * times) * is_loud).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, number * 960
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path
