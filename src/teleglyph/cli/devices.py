"""Lists cameras and sound devices, and what the terminal supports."""

from __future__ import annotations

import os
from typing import Literal

from teleglyph.cli.display_options import DisplayOptions
from teleglyph.client.terminal.capabilities import detect, terminal_size
from teleglyph.console import echo
from teleglyph.media.modes import COLOR_NAMES


def list_webcams() -> None:
    """Print the cameras with their numbers for --webcam-index."""
    from teleglyph.media.camera import list_cameras

    cameras = list_cameras()
    for camera in cameras:
        echo(f"{camera.index}  {camera.name}  ({camera.device})")
    if not cameras:
        echo("No cameras found.")


def list_sound_devices(kind: Literal["microphone", "speaker"]) -> None:
    """Print sound devices with their numbers for --microphone or --speakers."""
    from teleglyph.media.soundcard import list_microphones, list_speakers

    devices = list_microphones() if kind == "microphone" else list_speakers()
    for device in devices:
        echo(f"{device.index}  {device.name}")
    if not devices:
        echo(f"No {kind}s found.")


def print_capabilities() -> None:
    """Print what the terminal supports, and how that is known."""
    terminal = detect(os.environ)
    columns, rows = terminal_size(os.environ)
    display = DisplayOptions(color_mode=None, render_mode=None).display(terminal, whole_screen=False)
    for name, value in (
        ("terminal", "yes" if terminal.interactive else "no"),
        ("size", f"{columns}x{rows}"),
        ("TERM", terminal.term or "-"),
        ("COLORTERM", terminal.colorterm or "-"),
        ("colours", f"{COLOR_NAMES[terminal.color]} ({terminal.color_source})"),
        ("UTF-8", f"{'yes' if terminal.utf8 else 'no'} ({terminal.utf8_source})"),
        ("moving pictures", "yes" if terminal.cursor else "no"),
        ("synchronized output", "yes" if terminal.synchronized else "no"),
        ("sextants", "yes" if terminal.sextants else "unknown"),
        ("pictures", display.describe()),
    ):
        echo(f"{name + ':':21}{value}")
