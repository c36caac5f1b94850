"""Listing cameras, and errors when one cannot be used."""

import os
from pathlib import Path

import pytest

from teleglyph.errors import CameraBusyError, CameraError, CameraPermissionError
from teleglyph.media.camera import Camera, list_cameras, open_camera


def make_system(root: Path, nodes: dict[str, tuple[str, str]]) -> tuple[Path, Path]:
    """A made-up /sys/class/video4linux and /dev; a node has an index within its camera and the camera's name."""
    system, devices = root / "sys", root / "dev"
    devices.mkdir()
    for node, (index, name) in nodes.items():
        (system / node).mkdir(parents=True)
        (system / node / "index").write_text(index + "\n")
        (system / node / "name").write_text(name + "\n")
        (devices / node).touch()
    return system, devices


def test_a_camera_is_listed_once_in_the_systems_order(tmp_path: Path) -> None:
    nodes = {
        "video10": ("0", "Capture card"),
        "video0": ("0", "Integrated Webcam: HD"),
        "video1": ("1", "Integrated Webcam: HD"),
        "video2": ("0", "USB Camera"),
    }
    system, devices = make_system(tmp_path, nodes)
    (devices / "video2").unlink()
    assert list_cameras(system, devices, "linux") == [
        Camera(0, "Integrated Webcam: HD", str(devices / "video0")),
        Camera(1, "Capture card", str(devices / "video10")),
    ]


def test_a_machine_without_cameras_lists_none(tmp_path: Path) -> None:
    assert list_cameras(tmp_path / "none", tmp_path, "linux") == []


def test_without_a_camera_the_advice_names_the_other_sources() -> None:
    with pytest.raises(CameraError, match=r"No camera was found.*--file or --test-pattern") as caught:
        open_camera(cameras=[])
    assert caught.value.exit_code == 20


def test_the_error_for_an_unknown_camera_lists_the_known_ones() -> None:
    cameras = [Camera(0, "One", "/dev/video0"), Camera(1, "Two", "/dev/video2")]
    with pytest.raises(CameraError, match="no camera 2: the cameras here are 0 to 1"):
        open_camera(2, cameras=cameras)


def test_the_error_for_a_device_that_is_not_a_camera_names_it(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.write_bytes(b"not a camera")
    with pytest.raises(CameraError, match="The camera Toy cannot be opened") as caught:
        open_camera(cameras=[Camera(0, "Toy", str(node))])
    assert not isinstance(caught.value, CameraBusyError | CameraPermissionError)


def test_a_camera_that_is_gone_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"Gone .* is gone. Check that it is connected"):
        open_camera(cameras=[Camera(0, "Gone", str(tmp_path / "video0"))])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every device")
def test_the_error_for_missing_permission_explains_what_to_do(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch(mode=0o000)
    with pytest.raises(CameraPermissionError, match="join the group 'video'") as caught:
        open_camera(cameras=[Camera(0, "Hidden", str(node))])
    assert caught.value.exit_code == 22
