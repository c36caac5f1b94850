"""Microphones and speakers, through miniaudio: mono, 48 kHz, float32, in blocks of about 10 ms.

The system's sound libraries write what they think to standard error; while devices are looked for and opened it goes
nowhere, because somebody may be drawing there.
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
"""Devices that an error names."""
_NO_DEVICE = "Discard all samples"
"""What ALSA calls the device that it offers where there is none."""

Captured = Callable[[Samples], None]
"""Gets samples from the microphone, in a thread of the sound system."""
Fill = Callable[[int], Samples]
"""Gives that many samples for the speakers, in a thread of the sound system."""


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """A microphone or a loudspeaker.

    Attributes:
        index: what ``--microphone`` or ``--speakers`` takes.
        name: what the system calls it.
    """

    index: int
    name: str


def list_microphones() -> list[SoundDevice]:
    """What sound can come from; empty without a sound card."""
    return [SoundDevice(index, str(device["name"])) for index, device in enumerate(_devices(playback=False))]


def require_devices(microphone: int | None, speakers: int | None) -> None:
    """Check that devices that were asked for are there, without opening them.

    Raises:
        SoundError: one is not.
    """
    if speakers is not None:
        _identify(speakers, playback=True)
    if microphone is not None:
        _identify(microphone, playback=False)


def list_speakers() -> list[SoundDevice]:
    """Where sound can go; empty without a sound card."""
    return [SoundDevice(index, str(device["name"])) for index, device in enumerate(_devices(playback=True))]


class SoundCard:
    """An open microphone and open speakers; a context is not needed, :meth:`close` is.

    Args:
        captured: gets what the microphone hears; None opens none.
        fill: gives what the speakers play; None opens none.
        microphone, speakers: indices as listed; None takes the system's choice.
        silent: use no device, but a clock that behaves like one: what is played is lost, what is heard is silence.

    Raises:
        SoundError: there is no such device, or it cannot be opened.
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
            device = "microphone" if captured is not None else "loudspeakers"
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
    """The system's name for a device; None is the system's choice."""
    found = _devices(playback=playback)
    kind, missing, option = (
        ("loudspeaker", "No loudspeakers were found.", "speakers")
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
            f"There is no {kind} {index}. There is {some}; teleglyph --list-{kind.removeprefix('loud').rstrip('s')}s "
            "lists all."
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
