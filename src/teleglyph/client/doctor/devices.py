"""Checks of the camera, the microphone and the speakers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from teleglyph.client.doctor.examination import Check, in_thread
from teleglyph.client.doctor.report import Finding, note, ok, problem
from teleglyph.errors import CameraBusyError, CameraError, CameraPermissionError
from teleglyph.media.camera import Camera, list_cameras, open_camera
from teleglyph.media.soundcard import SoundDevice, list_microphones, list_speakers

_CAMERA_SECONDS = 8.0
"""Some cameras take seconds to start."""
_MAX_LISTED = 3
_LISTING = threading.Lock()
"""Two lists at once would redirect standard error at once, and one of them would not give it back."""


class Closable(Protocol):
    """An open camera."""

    def close(self) -> None: ...


def device_checks() -> list[Check]:
    """The checks of this machine's devices.  The camera's light may go on for a moment."""
    return [
        Check(
            "camera",
            "camera",
            in_thread(check_cameras),
            "Unplug the camera and connect it again, or use --file or --test-pattern.",
            _CAMERA_SECONDS,
        ),
        Check("microphone", "microphone", in_thread(check_microphones), _SOUND_STUCK),
        Check("speakers", "speakers", in_thread(check_speakers), _SOUND_STUCK),
    ]


_SOUND_STUCK = "Restart the sound system, for example: systemctl --user restart pipewire. Or use --no-audio."


def check_cameras(
    list_all: Callable[[], list[Camera]] = list_cameras, open_one: Callable[[int], Closable] | None = None
) -> Finding:
    """Whether there are cameras, and the first one works.

    Args:
        list_all: lists the cameras.
        open_one: opens a camera by its index.
    """
    cameras = list_all()
    if not cameras:
        return note(
            "No camera was found, so others will not see you.",
            "Connect one, or use --file or --test-pattern. Without these you can still watch.",
        )
    first, names = cameras[0], _names([camera.name for camera in cameras])
    try:
        (open_one or partial(open_camera, cameras=cameras))(first.index).close()
    except CameraBusyError:
        return problem(
            f"The camera {first.name} is in use by another program.",
            "Close that program" + (", or choose another camera with --webcam-index." if cameras[1:] else "."),
        )
    except CameraPermissionError:
        if first.device.startswith("/dev/"):
            step = "Run: sudo usermod -aG video $USER, then log out and in again."
        else:
            step = "Allow your terminal program to use the camera, in the system's settings."
        return problem(f"You have no permission for the camera {first.name} ({first.device}).", step)
    except CameraError as error:
        text, _, step = str(error).partition(". ")
        return problem(f"{text.rstrip('.')}.", step or "Unplug the camera and connect it again.")
    return ok(f"{names}; the first one delivers pictures.")


def check_microphones(list_all: Callable[[], Sequence[SoundDevice]] = list_microphones) -> Finding:
    """Whether there is a microphone."""
    with _LISTING:
        devices = list_all()
    return _check_sound(devices, "No microphone was found, so others will not hear you.", "microphone")


def check_speakers(list_all: Callable[[], Sequence[SoundDevice]] = list_speakers) -> Finding:
    """Whether there are speakers."""
    with _LISTING:
        devices = list_all()
    return _check_sound(devices, "No speakers were found, so you will not hear others.", "headset")


def _check_sound(devices: Sequence[SoundDevice], missing: str, kind: str) -> Finding:
    if devices:
        return ok(f"{_names([device.name for device in devices])}.")
    return note(
        missing,
        f"Connect a {kind}. In a container or over SSH there usually is none. Without it you can still see the call.",
    )


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MAX_LISTED])
    rest = len(names) - _MAX_LISTED
    return f"{shown} and {rest} more" if rest > 0 else shown
