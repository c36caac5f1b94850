"""Microphones and speakers, through miniaudio: mono, 48 kHz, float32, in blocks of about 10 ms.

The system's sound libraries write to standard error.  It is redirected to the null device while devices are listed and
opened, because the terminal may be in use for drawing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teleglyph.errors import SoundError
from teleglyph.media.opus import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    import miniaudio

_BUFFER_MILLISECONDS = 10
_MAX_LISTED = 4
"""Devices that an error message lists."""
_NO_DEVICE = "Discard all samples"
"""The name of ALSA's placeholder on a machine without sound devices."""

Captured = Callable[[Samples], None]
"""Called with samples from the microphone, in a thread of the sound system."""
Fill = Callable[[int], Samples]
"""Returns that many samples for the speakers; called in a thread of the sound system."""


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """A microphone or speakers.

    Attributes:
        index: for ``--microphone`` or ``--speakers``.
        name: the system's name for it.
    """

    index: int
    name: str


def list_microphones() -> list[SoundDevice]:
    """This machine's microphones; empty without a sound card."""
    return [SoundDevice(index, str(device["name"])) for index, device in enumerate(_devices(playback=False))]


def require_devices(microphone: int | None, speakers: int | None) -> None:
    """Check that the requested devices exist, without opening them.

    Raises:
        SoundError: one does not.
    """
    if speakers is not None:
        _identify(speakers, playback=True)
    if microphone is not None:
        _identify(microphone, playback=False)


def list_speakers() -> list[SoundDevice]:
    """This machine's speakers; empty without a sound card."""
    return [SoundDevice(index, str(device["name"])) for index, device in enumerate(_devices(playback=True))]


class SoundCard:
    """An open microphone and open speakers.  Call :meth:`close` in the end.

    Args:
        captured: called with the microphone's sound; None opens no microphone.
        fill: called for sound to play; None opens no speakers.
        microphone, speakers: indices as listed; None uses the system's default.
        silent: use a clock instead of devices: played sound is dropped, captured sound is silence.

    Raises:
        SoundError: a device does not exist, or cannot be opened.
    """

    def __init__(
        self,
        captured: Captured | None,
        fill: Fill | None,
        *,
        microphone: int | None = None,
        speakers: int | None = None,
        silent: bool = False,
    ) -> None:
        import miniaudio

        self._open: list[miniaudio.AbstractDevice] = []
        backends = [miniaudio.Backend.NULL] if silent else _real_backends()
        settings = {
            "nchannels": 1,
            "sample_rate": SAMPLE_RATE,
            "buffersize_msec": _BUFFER_MILLISECONDS,
            "backends": backends,
            "app_name": "teleglyph",
        }
        sample_format = miniaudio.SampleFormat.FLOAT32
        try:
            with _quiet():
                if fill is not None:
                    device_id = None if silent else _identify(speakers, playback=True)
                    player = miniaudio.PlaybackDevice(output_format=sample_format, device_id=device_id, **settings)
                    self._open.append(player)
                    player.start(_started(_play(fill)))
                if captured is not None:
                    device_id = None if silent else _identify(microphone, playback=False)
                    recorder = miniaudio.CaptureDevice(input_format=sample_format, device_id=device_id, **settings)
                    self._open.append(recorder)
                    recorder.start(_started(_record(captured)))
        except miniaudio.MiniaudioError as error:
            self.close()
            device = "microphone" if captured is not None else "speakers"
            reason = error.args[0] if error.args else error
            raise SoundError(f"The {device} cannot be used ({reason}).") from error
        except SoundError:
            self.close()
            raise

    def close(self) -> None:
        """Stop and release the devices."""
        while self._open:
            self._open.pop().close()


def _real_backends() -> list[miniaudio.Backend]:
    import miniaudio

    return [backend for backend in miniaudio.Backend if backend.name not in ("NULL", "CUSTOM")]


def _devices(*, playback: bool) -> list[dict[str, Any]]:
    import miniaudio

    try:
        with _quiet():
            devices = miniaudio.Devices(backends=_real_backends())
            found: list[dict[str, Any]] = devices.get_playbacks() if playback else devices.get_captures()
    except miniaudio.MiniaudioError:
        return []
    return [device for device in found if not str(device["name"]).startswith(_NO_DEVICE)]


def _identify(index: int | None, *, playback: bool) -> Any:
    """The system's identifier of a device; None for its default."""
    found = _devices(playback=playback)
    kind, missing, option = (
        ("speaker", "No speakers were found.", "speakers")
        if playback
        else ("microphone", "No microphone was found.", "microphone")
    )
    if index is None:
        if not found:
            raise SoundError(missing)
        return None
    if index >= len(found):
        if not found:
            raise SoundError(f"There is no {kind} {index}. {missing} Leave --{option} out to join without it.")
        some = ", ".join(f"{number} ({device['name']})" for number, device in enumerate(found[:_MAX_LISTED]))
        raise SoundError(
            f"There is no {kind} {index}. The first ones are {some}. 'teleglyph --list-{kind}s' lists all."
        )
    return found[index]["id"]


def _started(generator: Generator[Any, Any, None]) -> Generator[Any, Any, None]:
    next(generator)
    return generator


def _play(fill: Fill) -> Generator[bytes, int, None]:
    count = yield b""
    while True:
        count = yield fill(count).tobytes()


def _record(captured: Captured) -> Generator[None, bytes, None]:
    while True:
        data = yield
        captured(np.frombuffer(data, np.float32))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    saved, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nothing)
