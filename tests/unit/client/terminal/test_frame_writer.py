"""Frames written to pipes and files, and failures to write them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator

import pytest

from teleglyph.client.terminal.frame_writer import FrameWriter
from teleglyph.errors import OutputClosedError, OutputError
from teleglyph.media.frame_text import SafeFrame, check_frame


def frame(text: bytes) -> SafeFrame:
    checked = check_frame(text, 4000, 100)
    assert checked is not None
    return checked


LARGE = frame(b"\n".join([b"x" * 4000] * 100))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def test_each_frame_is_followed_by_a_line_feed_and_the_last_is_written_before_it_is_closed(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    frames = FrameWriter(pytest.fail, writer)
    frames.write(frame(b"a\nb"))
    frames.close()
    frames.check()
    os.close(writer)
    with open(reader, "rb", closefd=False) as output:
        assert output.read() == b"a\nb\n"


def test_a_closed_pipe_is_reported_once_and_is_not_a_failure(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    failed = threading.Event()
    frames = FrameWriter(failed.set, writer)
    frames.check()
    frames.write(frame(b"a"))
    assert failed.wait(20)
    with pytest.raises(OutputClosedError):
        frames.check()
    frames.write(frame(b"b"))
    frames.close()


def test_a_full_disk_is_an_error_even_for_the_very_last_frame() -> None:
    with open("/dev/full", "wb") as full:
        frames = FrameWriter(lambda: None, full.fileno())
        frames.write(frame(b"a"))
        frames.close()
        with pytest.raises(
            OutputError, match=r"^Cannot write to standard output: no space left on device\.$"
        ) as caught:
            frames.check()
        assert not isinstance(caught.value, OutputClosedError)
        assert caught.value.exit_code == 105


def test_a_descriptor_that_cannot_be_written_is_an_error() -> None:
    with open("/dev/null", "rb") as unwritable:
        frames = FrameWriter(lambda: None, unwritable.fileno())
        frames.write(frame(b"a"))
        frames.close()
        with pytest.raises(OutputError, match="bad file descriptor"):
            frames.check()


def test_an_output_that_accepts_partial_writes_gets_everything(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    fcntl.fcntl(writer, fcntl.F_SETFL, fcntl.fcntl(writer, fcntl.F_GETFL) | os.O_NONBLOCK)
    frames = FrameWriter(pytest.fail, writer)
    frames.write(LARGE)
    received = b""
    while len(received) < len(LARGE) + 1:
        received += os.read(reader, 5000)
    assert received == LARGE + b"\n"
    frames.close()
    frames.check()


def test_a_reader_that_stalls_gets_fewer_frames_and_does_not_hold_up_the_end(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    frames = FrameWriter(lambda: None, writer)
    for _ in range(100):
        frames.write(LARGE)
    started = time.monotonic()
    frames.close()
    assert time.monotonic() - started < 20
    frames.check()
