"""Pictures and sound from real files."""

import contextlib
import itertools
import math
import os
import re
import threading
import time
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from films import (
    Played,
    encode_picture,
    instant_clock,
    make_film,
    make_film_with_sound,
    make_jpeg,
    make_png,
    make_timed_film,
)
from teleglyph.errors import MediaDecodeError, MediaFileNotFoundError, MediaOpenError, UserError
from teleglyph.media.file import open_file

RED, GREEN = (220, 30, 30), (30, 200, 40)


def beginnings(values: list[tuple[float, float]], threshold: float) -> list[float]:
    """When a value rose above a threshold."""
    pairs = itertools.pairwise([(0.0, 0.0), *values])
    return [moment for (_, before), (moment, now) in pairs if now > threshold >= before]


def is_near(pixels: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixels.reshape(-1, 3).mean(0) - color).max() < 12)


def test_a_film_plays_its_pictures_in_order_and_then_ends(tmp_path: Path) -> None:
    source = open_file(str(make_film(tmp_path / "film.mp4", [RED, RED, GREEN])))
    pictures = [source.read() for _ in range(4)]
    assert pictures[3] is None
    for pixels, color in zip(pictures[:3], [RED, RED, GREEN], strict=True):
        assert pixels is not None
        assert (pixels.shape, pixels.dtype, pixels.flags.c_contiguous) == ((48, 64, 3), np.uint8, True)  # type: ignore[comparison-overlap]
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
    source = open_file(str(make_film(tmp_path / "slow.mp4", [RED, GREEN], rate=1)), loop=True)
    assert source.read() is not None
    results: list[object] = []
    reader = threading.Thread(target=lambda: results.append(source.read()))
    reader.start()
    source.close()
    reader.join(20)
    assert not reader.is_alive()
    source.close()


def test_a_films_sound_is_in_step_with_its_pictures(tmp_path: Path) -> None:
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


def test_missing_files_and_files_without_film_are_reported_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film\n" * 99)
    (tmp_path / "empty.mp4").touch()
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    for name, kind, words in (
        ("missing.mp4", MediaFileNotFoundError, "There is no file"),
        (".", MediaFileNotFoundError, "is a directory"),
        ("text.mp4", MediaOpenError, "cannot be opened"),
        ("empty.mp4", MediaOpenError, "cannot be opened"),
        ("sound.wav", MediaOpenError, "has no pictures"),
    ):
        with pytest.raises(kind, match=words):
            open_file(str(tmp_path / name))
    with pytest.raises(UserError, match="Standard input cannot be looped"):
        open_file("-", loop=True)


def test_a_film_that_is_cut_off_plays_to_its_end(tmp_path: Path) -> None:
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


SLIDES = [(0.0, RED), (3.0, GREEN), (6.0, (20, 20, 200)), (16.0, RED)]


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("mp4", "mpeg4"), ("mkv", "mpeg4"), ("mkv", "libx264"), ("mov", "png"), ("gif", "gif"), ("apng", "apng")],
)
def test_slides_are_shown_at_their_times(tmp_path: Path, ending: str, codec: str) -> None:
    played = Played(make_timed_film(tmp_path / f"slides.{ending}", SLIDES, codec=codec))
    assert played.times == pytest.approx([0.0, 3.0, 6.0, 16.0], abs=0.02)
    for color, (_, wanted) in zip(played.colors, SLIDES, strict=True):
        assert np.abs(np.array(color) - wanted).max() < 16


@pytest.mark.parametrize(("ending", "sound_codec"), [("mkv", "pcm_s16le"), ("mp4", "aac"), ("ts", "mp2")])
def test_slides_with_sound_keep_it_in_step(tmp_path: Path, ending: str, sound_codec: str) -> None:
    codec = "mpeg2video" if ending == "ts" else "mpeg4"
    slides = [(0.0, RED), (3.0, GREEN), (6.0, RED)]
    tones = [(0.0, 0.48), (3.0, 0.48), (6.0, 0.48)]
    film = make_timed_film(tmp_path / f"film.{ending}", slides, tones, codec=codec, sound_codec=sound_codec)
    played = Played(film, sound=True)
    assert len(played.times) == 3
    for shown, (begin, end) in zip(played.times, played.loud(), strict=True):
        assert begin == pytest.approx(shown, abs=0.06)
        assert end - begin == pytest.approx(0.48, abs=0.06)


@pytest.mark.parametrize("hole", [2.0, 5.0, 7.0])
@pytest.mark.parametrize("ending", ["mkv", "ts"])
def test_a_gap_in_the_sound_does_not_move_later_sound(tmp_path: Path, ending: str, hole: float) -> None:
    codec, sound_codec = ("mpeg2video", "mp2") if ending == "ts" else ("mpeg4", "pcm_s16le")
    pictures = [(n * 0.2, RED) for n in range(round((hole + 2) / 0.2))]
    film = make_timed_film(
        tmp_path / f"film.{ending}", pictures, [(0.0, 0.96), (1 + hole, 0.96)], codec=codec, sound_codec=sound_codec
    )
    first, second = Played(film, sound=True).loud()
    assert second[0] - first[0] == pytest.approx(1 + hole, abs=0.05)


@pytest.mark.parametrize(("picture_at", "sound_at"), [(0.0, 1.5), (1.5, 0.0), (2.0, 2.5)])
@pytest.mark.parametrize("ending", ["mkv", "mov"])
def test_different_starts_stay_different(tmp_path: Path, ending: str, picture_at: float, sound_at: float) -> None:
    pictures = [(picture_at + n * 0.04, GREEN) for n in range(40)]
    played = Played(make_timed_film(tmp_path / f"film.{ending}", pictures, [(sound_at, 0.48)]), sound=True)
    (begin, _), *_ = played.loud()
    assert begin - played.times[0] == pytest.approx(sound_at - picture_at, abs=0.03)
    assert min(begin, played.times[0]) == pytest.approx(0.0, abs=0.03), "the earlier one begins the film"


def test_recordings_that_were_joined_play_one_after_the_other(tmp_path: Path) -> None:
    part = make_timed_film(
        tmp_path / "part.ts",
        [(n * 0.04, RED) for n in range(50)],
        [(0.48, 0.24)],
        codec="mpeg2video",
        sound_codec="mp2",
    ).read_bytes()
    (tmp_path / "joined.ts").write_bytes(part * 3)
    played = Played(tmp_path / "joined.ts", sound=True)
    steps = np.diff(played.times)
    assert steps.min() >= 0
    assert steps.max() < 0.5
    tones = [begin for begin, _ in played.loud()]
    assert len(tones) == 3
    assert np.diff(tones) == pytest.approx([2.0, 2.0], abs=0.15)


def test_stereo_other_rates_and_mono_may_follow_each_other(tmp_path: Path) -> None:
    data = b""
    for number, (rate, layout) in enumerate(((48_000, "mono"), (44_100, "stereo"), (32_000, "mono"))):
        path = tmp_path / f"{number}.ts"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mp2", rate=rate, layout=layout)
            times = np.arange(rate) / rate
            tone = np.stack([(20_000 * np.sin(2 * np.pi * 1000 * times)).astype(np.int16)] * len(layout.split("+")))
            channels = 2 if layout == "stereo" else 1
            frame = av.AudioFrame.from_ndarray(
                np.repeat(tone, channels, axis=0).T.reshape(1, -1), format="s16", layout=layout
            )
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        data += path.read_bytes()
    (tmp_path / "all.ts").write_bytes(data)
    played = Played(tmp_path / "all.ts", sound=True)
    spans = played.loud(tolerance=0.2)
    assert spans[-1][1] - spans[0][0] == pytest.approx(3.0, abs=0.2)
    middle = played.samples[round(48_000 * (spans[0][0] + 0.1)) :][:4800]
    assert np.abs(np.fft.rfft(middle)).argmax() == 100, "the tone has its pitch"


def test_sound_longer_than_the_picture_is_played_to_its_end_and_the_other_way_round(tmp_path: Path) -> None:
    long_sound = make_timed_film(tmp_path / "sound.mkv", [(0.0, RED), (0.2, RED)], [(0.0, 3.0)])
    assert Played(long_sound, sound=True).loud() == [pytest.approx((0.0, 3.0), abs=0.04)]
    long_picture = make_timed_film(tmp_path / "picture.mkv", [(n * 0.2, RED) for n in range(15)], [(0.0, 0.48)])
    played = Played(long_picture, sound=True)
    assert len(played.times) == 15
    assert played.loud() == [pytest.approx((0.0, 0.48), abs=0.04)]


@pytest.mark.parametrize("lengths", [(1.0, 0.48), (0.4, 0.96)])
def test_a_loop_begins_again_when_both_are_over_and_stays_in_step(tmp_path: Path, lengths: tuple[float, float]) -> None:
    pictures = [(n * 0.04, GREEN if n == 0 else RED) for n in range(round(lengths[0] / 0.04))]
    film = make_timed_film(tmp_path / "film.mkv", pictures, [(0.12, 0.24), (lengths[1] - 0.12, 0.12)])
    played = Played(film, sound=True, loop=True, max_pictures=len(pictures) * 4, min_sound=2.2 * max(lengths))
    starts = [shown for shown, color in zip(played.times, played.colors, strict=True) if color[1] > color[0]]
    assert len(starts) == 4
    assert np.diff(starts) == pytest.approx([max(lengths)] * 3, abs=0.05)
    tones = np.array([begin for begin, _ in played.loud()])
    for start in starts[:2]:
        assert np.abs(tones - start - 0.12).min() < 0.05


def make_cover(path: Path, *, with_film: bool) -> Path:
    """Sound with a red cover, which comes first; perhaps with a green film, too."""
    with av.open(str(path), "w") as container:
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = Disposition.attached_pic
        film = None
        if with_film:
            film = container.add_stream("mpeg4", rate=25)
            film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("libmp3lame" if path.suffix == ".mp3" else "aac", rate=48_000, layout="mono")
        packet = cover.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), RED, np.uint8), format="rgb24"))
        container.mux([*packet, *cover.encode(None)])
        for number in range(100):
            if film is not None:
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), GREEN, np.uint8), format="rgb24")
                container.mux(film.encode(frame))
            times = np.arange(number * 1920, (number + 1) * 1920) / 48_000
            tone = (20_000 * np.sin(2 * np.pi * 1000 * times)).astype(np.int16)
            block = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
            block.sample_rate, block.pts = 48_000, number * 1920
            container.mux(sound.encode(block))
        for stream in (film, sound):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def test_a_cover_does_not_hide_the_film(tmp_path: Path) -> None:
    played = Played(make_cover(tmp_path / "film.mp4", with_film=True), sound=True)
    assert len(played.times) == 100
    assert all(color[1] > color[0] for color in played.colors)


@pytest.mark.parametrize("ending", ["mp3", "mp4"])
def test_music_with_a_cover_shows_it_and_plays_to_its_end(tmp_path: Path, ending: str) -> None:
    path = make_cover(tmp_path / f"song.{ending}", with_film=False)
    played = Played(path, sound=True)
    assert len(played.pictures) == 1
    assert is_near(played.pictures[0].pixels, RED)
    (span,) = played.loud(tolerance=0.1)
    assert span == pytest.approx((0.0, 4.0), abs=0.1)
    assert len(Played(path).pictures) == 1, "without sound, the cover is a picture"


def test_music_plays_although_its_cover_is_broken(tmp_path: Path) -> None:
    path = make_cover(tmp_path / "song.mp3", with_film=False)
    data = bytearray(path.read_bytes())
    start = data.index(b"\x89PNG") + 8
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    played = Played(path, sound=True)
    assert played.pictures == []
    assert played.loud(tolerance=0.1) == [pytest.approx((0.0, 4.0), abs=0.1)]


def test_sound_alone_is_a_source_where_sound_is_wanted(tmp_path: Path) -> None:
    path = make_timed_film(tmp_path / "song.wav", sound=[(0.0, 2.4)])
    played = Played(path, sound=True)
    assert not played.has_picture
    assert played.pictures == []
    assert played.loud() == [pytest.approx((0.0, 2.4), abs=0.03)]
    with pytest.raises(MediaOpenError, match="no pictures, only sound"):
        open_file(str(path))


NAMES = [
    "12:30.mp4",
    "a:b.mp4",
    "-x.mp4",
    "%d.mp4",
    "frame%03d.mp4",
    "what?.mp4",
    "a#b.mp4",
    "with space.mp4",
    "x[1].mp4",
]


@pytest.mark.parametrize(
    "name", [*NAMES, "http:.mp4", "file:x.mp4", b"\xff\xfe.mp4".decode("utf-8", "surrogateescape")]
)
@pytest.mark.parametrize("is_relative", [True, False])
def test_any_file_name_opens_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_relative: bool
) -> None:
    data = make_film(tmp_path / "film.mp4", [RED, GREEN]).read_bytes()
    (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    assert len(Played(name if is_relative else tmp_path / name).pictures) == 2


@pytest.mark.parametrize("name", ["%d.png", "img%03d.png", "12:30.png", "*.png"])
def test_a_file_name_is_not_a_pattern_for_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for other in ("1.png", "img001.png", "0.png"):
        make_png(tmp_path / other, np.full((8, 8, 3), GREEN, np.uint8))
    make_png(tmp_path / name, np.full((8, 8, 3), RED, np.uint8))
    monkeypatch.chdir(tmp_path)
    played = Played(name)
    assert len(played.pictures) == 1
    assert is_near(played.pictures[0].pixels, RED)


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "gif", "mp4", "mkv"])
@pytest.mark.parametrize("loop", [True, False])
def test_a_still_picture_costs_nothing_once_it_is_shown(tmp_path: Path, kind: str, loop: bool) -> None:
    path = tmp_path / f"still.{kind}"
    if kind in ("mp4", "mkv", "gif"):
        make_timed_film(path, [(0.0, RED)], codec="gif" if kind == "gif" else "mpeg4")
    elif kind == "bmp":
        path.write_bytes(encode_picture(np.full((8, 8, 3), RED, np.uint8), "bmp", "bgr24"))
    else:
        (make_png if kind == "png" else make_jpeg)(path, np.full((8, 8, 3), RED, np.uint8))
    source = open_file(str(path), loop=loop)
    first = source.read()
    assert first is not None
    used, started = time.thread_time(), time.monotonic()
    assert source.read() is first
    assert source.read() is first
    assert time.monotonic() - started > 0.9, "twice a second is often enough to look"
    assert time.thread_time() - used < 0.1
    source.close()


def test_closing_releases_threads_and_descriptors(tmp_path: Path) -> None:
    film = str(make_film_with_sound(tmp_path / "film.mkv", 0.2, flash_at=0.1))

    def play() -> None:
        source = open_file(film, loop=True, on_sound=lambda _samples: None, clock=instant_clock())
        for _ in range(35):
            assert source.read() is not None
        source.close()

    play()
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        play()
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_the_error_for_an_mp4_from_a_pipe_explains_what_to_do(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "rgb24"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert len(data) > 200_000, "more than can be peeked at"
    writer = threading.Thread(target=lambda: write_pipe(fifo, data))
    writer.start()
    with pytest.raises(MediaOpenError, match=r"index at the end.*\+faststart.*Matroska or MPEG-TS"):
        open_file(str(fifo))
    writer.join(20)


def write_pipe(fifo: Path, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), fifo.open("wb") as file:
        file.write(data)


def write_all(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, data)


def test_a_film_with_sound_plays_from_a_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    data = make_film_with_sound(tmp_path / "film.mkv", 2.0).read_bytes()
    writer = threading.Thread(target=lambda: write_pipe(fifo, data))
    writer.start()
    played = Played(fifo, sound=True)
    writer.join(20)
    assert len(played.pictures) == 100
    assert [begin for begin, _ in played.loud()] == pytest.approx([0.5, 1.5], abs=0.05)


def test_closing_ends_a_read_of_a_silent_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    data = make_film(tmp_path / "film.ts", [RED] * 100).read_bytes()
    keep = os.open(fifo, os.O_RDWR)
    threading.Thread(target=lambda: write_all(keep, data), daemon=True).start()
    threads = threading.active_count()
    source = open_file(str(fifo), clock=instant_clock())
    assert source.read() is not None

    def read_all() -> None:
        while source.read() is not None:
            pass

    reader = threading.Thread(target=read_all)
    reader.start()
    source.close()
    reader.join(20)
    assert not reader.is_alive()
    deadline = time.monotonic() + 20
    while threading.active_count() > threads:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.close(keep)


def test_errors_contain_no_ffmpeg_numbers(tmp_path: Path) -> None:
    (tmp_path / "noise.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)
    (tmp_path / "noise.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(range(256)) * 40)
    for name in ("noise.png", "noise.mp4", "nothing://x", "http://127.0.0.1:9/film"):
        with pytest.raises((MediaOpenError, MediaDecodeError, MediaFileNotFoundError)) as caught:
            Played(tmp_path / name if "://" not in name else name)
        assert not re.search(r"\d{6,}|Errno", str(caught.value).replace(str(tmp_path), "")), caught.value
        assert str(caught.value).endswith(".")


@pytest.mark.parametrize("channels", [1, 3, 9, 11, 40, 64])
def test_channels_without_positions_are_all_mixed(tmp_path: Path, channels: int) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000) * 20_000
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(np.repeat(tone.astype("<i2"), channels).tobytes())
    assert Played(tmp_path / "sound.wav", sound=True).loud() == [pytest.approx((0.0, 1.0), abs=0.04)]
