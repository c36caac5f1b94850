"""What the doctor says about cameras, microphones and speakers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from teleglyph.client.doctor.devices import check_cameras, check_microphones, check_speakers
from teleglyph.client.doctor.report import Finding, Verdict
from teleglyph.errors import CameraBusyError, CameraError, CameraPermissionError
from teleglyph.media.camera import Camera
from teleglyph.media.soundcard import SoundDevice

WEBCAM = Camera(0, "Webcam", "/dev/video0")
SECOND = Camera(1, "Second", "/dev/video2")


class OpenCamera:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def failing(error: Exception) -> Callable[[int], OpenCamera]:
    def open_one(_index: int) -> OpenCamera:
        raise error

    return open_one


def test_a_working_camera_is_opened_and_closed() -> None:
    camera = OpenCamera()
    finding = check_cameras(lambda: [WEBCAM, SECOND], lambda _index: camera)
    assert finding.verdict is Verdict.OK
    assert finding.text == "Webcam, Second; the first one delivers pictures."
    assert camera.closed


def test_no_camera_is_noted() -> None:
    finding = check_cameras(list, failing(AssertionError()))
    assert finding.verdict is Verdict.NOTE
    assert "--test-pattern" in finding.step


@pytest.mark.parametrize(
    ("cameras", "error", "text", "step"),
    [
        ([WEBCAM], CameraBusyError("busy"), "in use by another program", "Close that program."),
        ([WEBCAM, SECOND], CameraBusyError("busy"), "in use by another program", "--webcam-index"),
        (
            [WEBCAM],
            CameraPermissionError("no"),
            "no permission for the camera Webcam (/dev/video0)",
            "usermod -aG video",
        ),
        ([Camera(0, "FaceTime", "0")], CameraPermissionError("no"), "no permission", "system's settings"),
        ([WEBCAM], CameraError("It is gone. Check that it is connected."), "It is gone.", "Check that"),
        ([WEBCAM], CameraError("It cannot be opened: odd"), "It cannot be opened: odd.", "Unplug"),
    ],
)
def test_a_camera_that_cannot_be_opened_is_a_problem(
    cameras: list[Camera], error: CameraError, text: str, step: str
) -> None:
    finding = check_cameras(lambda: cameras, failing(error))
    assert finding.verdict is Verdict.PROBLEM
    assert text in finding.text
    assert step in finding.step


def test_sound_devices_are_listed_one_after_the_other() -> None:
    running, most = 0, 0
    started = threading.Barrier(2)

    def list_all() -> list[SoundDevice]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1
        return []

    def look(check: Callable[..., Finding]) -> None:
        started.wait()
        check(list_all)

    threads = [threading.Thread(target=look, args=(check,)) for check in (check_microphones, check_speakers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


@pytest.mark.parametrize(
    ("look", "word"), [(check_microphones, "hear you"), (check_speakers, "hear others")], ids=["microphone", "speakers"]
)
def test_sound_devices(look: Callable[..., Finding], word: str) -> None:
    many = [SoundDevice(number, f"Card {number}") for number in range(5)]
    found, none = look(lambda: many), look(list)
    assert found.verdict is Verdict.OK
    assert found.text == "Card 0, Card 1, Card 2 and 2 more."
    assert none.verdict is Verdict.NOTE
    assert word in none.text
