"""The newest picture of a source, without a queue."""

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from teleglyph.errors import LocalError, MediaDecodeError
from teleglyph.media.pump import Pump
from teleglyph.media.source import Pacer, open_pattern


class Scripted:
    """A source that gives what a test puts in."""

    description = "script"

    def __init__(self, pictures: int, error: LocalError | None = None) -> None:
        self.go = threading.Semaphore(0)
        self.is_closed = False
        self._left = pictures
        self._error = error

    def read(self) -> NDArray[np.uint8] | None:
        self.go.acquire()
        if self._left == 0:
            if self._error is not None:
                raise self._error
            return None
        self._left -= 1
        return np.full((1, 1, 3), self._left, np.uint8)

    def close(self) -> None:
        self.is_closed = True
        self.go.release()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_newest_picture_replaces_the_others_and_is_announced() -> None:
    source, calls = Scripted(3), []
    pump = Pump(source, on_frame=lambda: calls.append(pump.latest()))
    assert pump.latest() is None
    for number in range(3):
        source.go.release()
        wait_for(lambda number=number: len(calls) == number + 1)  # type: ignore[misc]
        newest = pump.latest()
        assert newest is not None
        assert newest[0] == number
        assert newest[1][0, 0, 0] == 2 - number
    pump.close()


def test_the_end_is_announced_and_keeps_the_last_picture() -> None:
    source, calls = Scripted(1), []
    pump = Pump(source, on_frame=lambda: calls.append(1))
    source.go.release(2)
    wait_for(lambda: pump.ended and len(calls) == 2)
    assert pump.error is None
    assert pump.latest() is not None
    assert source.is_closed


def test_an_error_ends_it_and_is_kept() -> None:
    error = MediaDecodeError("broken")
    source = Scripted(0, error)
    pump = Pump(source, on_frame=lambda: None)
    source.go.release()
    wait_for(lambda: pump.ended)
    assert pump.error is error


def test_closing_closes_the_source_and_announces_nothing_more() -> None:
    source, calls = Scripted(5), []
    pump = Pump(source, on_frame=lambda: calls.append(1))
    pump.close()
    assert source.is_closed
    wait_for(lambda: pump.ended)
    assert calls == []


def test_a_pattern_is_painted_at_its_rate_until_it_is_closed() -> None:
    source = open_pattern("bars", frame_rate=200)
    first, second = source.read(), source.read()
    assert first is not None
    assert second is not None
    assert first.shape == second.shape == (90, 160, 3)
    source.close()
    assert source.read() is None


def test_a_pacer_waits_for_early_pictures_and_not_for_late_ones() -> None:
    pacer = Pacer()
    started = time.monotonic()
    assert pacer.wait(100.0), "the first time is now"
    assert pacer.wait(100.05)
    assert time.monotonic() - started >= 0.05
    assert pacer.wait(50.0)
    pacer.close()
    assert not pacer.wait(1e6)
