"""Files and pipes as FFmpeg's input, and the texts of its errors."""

import errno
import os
import threading
import time
from pathlib import Path

import av
import pytest

from films import make_film
from teleglyph.errors import MediaFileNotFoundError, MediaOpenError
from teleglyph.media.opening import FileInput, described, ffmpeg_reason, open_media


def test_a_file_is_read_searched_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(100)))
    source = FileInput(os.open(tmp_path / "file", os.O_RDONLY), "file")
    assert source.peek(10) == bytes(range(10))
    assert source.tell() == 0
    assert source.read(4) == bytes(range(4))
    assert source.tell() == 4
    assert source.seek(6, os.SEEK_CUR) == 10
    assert source.read(2) == bytes((10, 11))
    assert source.head == bytes(range(12))
    source.restart()
    assert b"".join(iter(lambda: source.read(30), b"")) == bytes(range(100))
    source.close()
    source.close()
    assert source.read(10) == b""


def test_peeked_bytes_of_a_pipe_are_still_read() -> None:
    reading, writing = os.pipe()
    source = FileInput(reading, "-")
    os.write(writing, b"one two")
    assert source.peek(3) == b"one"
    os.close(writing)
    assert b"".join(iter(lambda: source.read(100), b"")) == b"one two"
    assert not source.seekable()
    assert not source.can_restart
    source.close()


def test_an_interrupt_ends_a_read_that_waits_and_costs_nothing_meanwhile() -> None:
    reading, writing = os.pipe()
    source = FileInput(reading, "-")
    results: list[bytes] = []
    thread = threading.Thread(target=lambda: results.append(source.read(10)))
    used = time.process_time()
    thread.start()
    time.sleep(0.3)
    assert time.process_time() - used < 0.2
    source.interrupt()
    thread.join(20)
    assert results == [b""]
    assert source.read(10) == b""
    source.close()
    os.close(writing)


def test_a_pipe_without_a_writer_is_waited_for_and_can_be_left(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    data = make_film(tmp_path / "film.ts", [(200, 0, 0)] * 20).read_bytes()
    opened: list[object] = []
    thread = threading.Thread(target=lambda: opened.append(open_media(str(tmp_path / "pipe"))))
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    with (tmp_path / "pipe").open("wb") as file:
        file.write(data)
    thread.join(20)
    assert opened
    opened[0].close()  # type: ignore[attr-defined]


def test_failed_openings_leave_no_descriptors(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film\n" * 99)
    before = len(os.listdir("/proc/self/fd"))
    for name in ("text.mp4", "missing.mp4", "."):
        with pytest.raises((MediaOpenError, MediaFileNotFoundError)):
            open_media(str(tmp_path / name))
    with pytest.raises(MediaFileNotFoundError):
        open_media("a\0b")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_path_below_a_file_and_an_empty_name_are_reported() -> None:
    for name in ("/etc/passwd/film.mp4", ""):
        with pytest.raises(MediaFileNotFoundError, match=r"There is no file '.*'\."):
            open_media(name)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (av.error.InvalidDataError(1094995529, "Invalid data found when processing input"), "damaged"),
        (av.error.HTTPNotFoundError(875574520, "Server returned 404 Not Found"), "404"),
        (OSError(errno.ECONNREFUSED, "whatever"), "Connection refused"),
        (av.error.FFmpegError(1234567890, "Error number -1234567890 occurred"), "reported no reason"),
        (ValueError("plain words"), "plain words"),
        (EOFError(), "EOFError"),
    ],
)
def test_errors_become_words_without_numbers(error: BaseException, words: str) -> None:
    reason = ffmpeg_reason(error)
    assert words in reason
    assert not reason.endswith(".")
    assert "Errno" not in reason


def test_sources_are_described_with_the_users_name_for_them() -> None:
    assert described("-") == "standard input"
    assert described("/films/film.mp4") == "film.mp4"
