"""Short films made for tests."""

import struct
import time
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from teleglyph.media.clock import MediaClock
from teleglyph.media.file import FileSource, open_file
from teleglyph.media.picture_chain import Picture


def make_film(
    path: Path,
    colors: list[tuple[int, int, int]],
    size: tuple[int, int] = (64, 48),
    rate: int = 50,
    aspect: Fraction | None = None,
) -> Path:
    """A film with one picture of each colour."""
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


Color = tuple[int, int, int]


def make_timed_film(
    path: Path,
    pictures: Sequence[tuple[float, Color]] = (),
    sound: Sequence[tuple[float, float]] = (),
    *,
    size: tuple[int, int] = (64, 48),
    codec: str = "mpeg4",
    sound_codec: str = "pcm_s16le",
    rate: int = 25,
    duration: float | None = None,
    format: str | None = None,
) -> Path:
    """A film whose pictures and sound are at given times.

    Args:
        path: of the new file.
        pictures: when a picture begins, and its colour.
        sound: when a tone of 1 kHz begins and for how long; between tones there is nothing, not even silence.
        size: width and height of the pictures.
        codec: of the pictures, as FFmpeg calls it.
        sound_codec: of the sound.
        rate: in pictures per second.
        duration: of each picture, in seconds; None leaves it out.
        format: as FFmpeg calls it; None for the file name's.
    """
    base = Fraction(1, 1000)
    with av.open(str(path), "w", format=format) as container:
        video: av.VideoStream | None = None
        audio: av.AudioStream | None = None
        if pictures:
            added = container.add_stream(codec, rate=rate)
            assert isinstance(added, av.VideoStream)
            video = added
            formats = video.codec.video_formats
            video.width, video.height = size
            video.pix_fmt = formats[0].name if formats and codec != "mpeg4" else "yuv420p"
            video.codec_context.time_base = base if codec not in ("mpeg2video", "gif") else Fraction(1, rate)
        if sound:
            sounding = container.add_stream(sound_codec, rate=48_000, layout="mono")
            assert isinstance(sounding, av.AudioStream)
            audio = sounding
        items: list[tuple[float, Color | float]] = sorted(
            [*pictures, *_pieces(sound)], key=lambda item: (item[0], not isinstance(item[1], tuple))
        )
        for seconds, what in items:
            if isinstance(what, tuple):
                assert video is not None
                frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), what, np.uint8), format="rgb24")
                frame.pts, frame.time_base = round(seconds * 1000), base
                packets = video.encode(frame)
                for packet in packets:
                    if duration is not None:
                        packet.duration = round(duration / packet.time_base)
            else:
                assert audio is not None
                times = np.arange(round(what * 48_000)) / 48_000
                samples = (20_000 * np.sin(2 * np.pi * 1000 * times)).astype(np.int16)
                block = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
                block.sample_rate, block.pts, block.time_base = 48_000, round(seconds * 48_000), Fraction(1, 48_000)
                packets = audio.encode(block)
            container.mux(packets)
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def _pieces(sound: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same sound in blocks of 24 ms, as encoders like them."""
    block = 0.024
    return [(start + n * block, block) for start, length in sound for n in range(round(length / block))]


def four_corners(width: int = 48, height: int = 32) -> np.ndarray:
    """A picture with another colour in each quarter: red, green, blue, white in reading order."""
    picture = np.zeros((height, width, 3), np.uint8)
    for row, column, color in ((0, 0, (255, 0, 0)), (0, 1, (0, 255, 0)), (1, 0, (0, 0, 255)), (1, 1, (255, 255, 255))):
        picture[row * height // 2 :, column * width // 2 :][: height // 2, : width // 2] = color
    return picture


def exif(orientation: int) -> bytes:
    """Metadata with only the picture's orientation, as TIFF."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)


def encode_picture(picture: np.ndarray, codec: str, pixel_format: str, source_format: str = "rgb24") -> bytes:
    """One picture as its encoder writes it."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = picture.shape[1], picture.shape[0], pixel_format
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(picture, format=source_format).reformat(format=pixel_format)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in context.encode(frame) + context.encode(None))


def make_jpeg(path: Path, picture: np.ndarray, orientation: int | None = None) -> Path:
    """A JPEG file, perhaps with an orientation in its EXIF data."""
    data = encode_picture(picture, "mjpeg", "yuvj444p")
    if orientation is not None:
        body = b"Exif\0\0" + exif(orientation)
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    path.write_bytes(data)
    return path


def make_png(path: Path, picture: np.ndarray, pixel_format: str = "rgb24", orientation: int | None = None) -> Path:
    """A PNG file, perhaps with an orientation in its eXIf data."""
    data = encode_picture(picture, "png", pixel_format, "rgba" if picture.shape[2] == 4 else "rgb24")
    if orientation is not None:
        head = 8 + 25  # the signature and IHDR
        data = data[:head] + png_chunk(b"eXIf", exif(orientation)) + data[head:]
    path.write_bytes(data)
    return path


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def instant_clock() -> MediaClock:
    """A clock on which everything is due and nothing is late."""
    return MediaClock(now=lambda: 0.0, sleep=lambda _seconds, _closed: True)


class Played:
    """The pictures and sound of a source with their times in the film, decoded as fast as possible.

    Args:
        max_pictures: the source is closed after this many, and once there is ``min_sound``.
        min_sound: in seconds.
    """

    def __init__(
        self,
        name: str | Path,
        *,
        sound: bool = False,
        loop: bool = False,
        max_pictures: int = 10_000,
        min_sound: float = 0.0,
        max_size: tuple[int, int] = (480, 270),
    ) -> None:
        self.pictures: list[Picture] = []
        self._pieces: list[np.ndarray] = []
        source = open_file(
            str(name),
            loop=loop,
            max_size=max_size,
            on_sound=self._pieces.append if sound else None,
            clock=instant_clock(),
        )
        assert isinstance(source, FileSource)
        self.has_picture = source.has_picture
        try:
            while len(self.pictures) < max_pictures and (picture := source.next_picture()) is not None:
                if self.pictures and picture is self.pictures[-1]:
                    break  # a picture that does not change
                self.pictures.append(picture)
            deadline = time.monotonic() + 20
            while sum(map(len, self._pieces)) < min_sound * 48_000:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            source.close()

    @property
    def times(self) -> list[float]:
        """When the pictures are shown, in seconds."""
        return [round(picture.time, 3) for picture in self.pictures]

    @property
    def colors(self) -> list[Color]:
        """The mean colours of the pictures."""
        means = [picture.pixels.reshape(-1, 3).mean(0).round().astype(int).tolist() for picture in self.pictures]
        return [(red, green, blue) for red, green, blue in means]

    @property
    def samples(self) -> np.ndarray:
        """All sound; its first sample is the start of the film."""
        return np.concatenate([np.zeros(0, np.float32), *self._pieces])

    def loud(self, tolerance: float = 0.03) -> list[tuple[float, float]]:
        """Intervals with sound, in seconds; sounds and gaps shorter than the tolerance do not count."""
        block = 480
        levels = [
            float(np.abs(self.samples[start : start + block]).max()) for start in range(0, len(self.samples), block)
        ]
        spans: list[tuple[float, float]] = []
        for number, level in enumerate(levels):
            begin, end = number * block / 48_000, (number + 1) * block / 48_000
            if level < 0.05:
                continue
            if spans and begin - spans[-1][1] <= tolerance:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((begin, end))
        return [(round(begin, 2), round(end, 2)) for begin, end in spans if end - begin > tolerance]
