"""Lists and opens cameras (Video4Linux on Linux, AVFoundation on macOS, both through FFmpeg)."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from teleglyph.errors import CameraBusyError, CameraError, CameraPermissionError, MediaFileNotFoundError, MediaOpenError
from teleglyph.media.file import FileSource
from teleglyph.media.opening import Opened, open_container
from teleglyph.media.source import VideoSource


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera of this machine.

    Attributes:
        index: for ``--webcam-index``.
        name: the maker's name for it.
        device: the name for FFmpeg.
    """

    index: int
    name: str
    device: str


def list_cameras(
    system_dir: Path = Path("/sys/class/video4linux"), device_dir: Path = Path("/dev"), platform: str = sys.platform
) -> list[Camera]:
    """The cameras in the system's order.

    Args:
        system_dir: Linux's directory of video devices.
        device_dir: Linux's directory of device nodes.
        platform: as :data:`sys.platform`.
    """
    if platform == "darwin":
        return _mac_cameras()
    found = []
    for entry in sorted(system_dir.glob("video*"), key=lambda path: (len(path.name), path.name)):
        # A camera has several nodes; the one with index 0 delivers the pictures.
        if _text(entry / "index") in ("0", "") and (device_dir / entry.name).exists():
            found.append((_text(entry / "name") or entry.name, str(device_dir / entry.name)))
    return [Camera(index, name, device) for index, (name, device) in enumerate(found)]


def _mac_cameras() -> list[Camera]:
    from av.device import enumerate_input_devices

    devices = [device for device in enumerate_input_devices("avfoundation") if "video" in device.media_types]
    return [Camera(index, device.description, str(index)) for index, device in enumerate(devices)]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def open_camera(
    index: int = 0,
    *,
    max_size: tuple[int, int] = (480, 270),
    frame_rate: int = 30,
    cameras: list[Camera] | None = None,
) -> VideoSource:
    """Open a camera.

    Args:
        index: as in :func:`list_cameras`.
        max_size: pictures are scaled down to fit into this width and height.
        frame_rate: requested from the camera, which may deliver fewer.
        cameras: the available cameras; by default this machine's.

    Raises:
        CameraError: the camera does not exist, is in use, or we have no permission.
    """
    known = list_cameras() if cameras is None else cameras
    if index >= len(known):
        raise CameraError(_missing(index, known))
    camera = known[index]
    kind = "avfoundation" if sys.platform == "darwin" else "v4l2"
    _check_access(camera)
    try:
        try:
            container = open_container(
                camera.device, camera.name, format=kind, options={"framerate": str(frame_rate), "video_size": "640x480"}
            )
        except MediaOpenError:  # the camera has other sizes and rates
            container = open_container(camera.device, camera.name, format=kind)
    except (MediaOpenError, MediaFileNotFoundError) as error:
        raise _refused(camera, error) from error
    opened = Opened(container, None, camera.device)
    return FileSource(opened, f"camera {index}: {camera.name}", max_size=max_size, is_live=True)


def _missing(index: int, known: list[Camera]) -> str:
    if not known:
        return "No camera was found. Connect one, or use --file or --test-pattern."
    last = f"0 to {len(known) - 1}" if len(known) > 1 else "0"
    return f"There is no camera {index}: the cameras here are {last}. See --list-webcams."


def _check_access(camera: Camera) -> None:
    if not camera.device.startswith("/"):
        return
    if not Path(camera.device).exists():
        raise CameraError(f"The camera {camera.name} ({camera.device}) is gone. Check that it is connected.")
    if not os.access(camera.device, os.R_OK | os.W_OK):
        raise CameraPermissionError(
            f"No permission for the camera {camera.name} ({camera.device}). On Linux, join the group 'video'."
        )


def _refused(camera: Camera, error: Exception) -> CameraError:
    code = getattr(error.__cause__, "errno", None)
    if code == errno.EBUSY:
        return CameraBusyError(
            f"The camera {camera.name} is in use by another program. Close that program, or choose another camera."
        )
    if code in (errno.EACCES, errno.EPERM):
        return CameraPermissionError(f"No permission for the camera {camera.name}. Allow it in the system's settings.")
    return CameraError(f"The camera {camera.name} cannot be opened: {error}")
