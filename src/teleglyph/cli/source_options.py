"""Options for the source of pictures, and the source they choose."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass

import click
from click.core import ParameterSource

from teleglyph.cli.option_groups import option, source_of
from teleglyph.client.call.uplink import Codec
from teleglyph.client.source import SourceOpener
from teleglyph.media.opus import Samples
from teleglyph.media.pattern import TEST_PATTERNS

FILE_ARGUMENT = "file_argument"
"""Name of the argument with which a command accepts the file as well."""

_HEVC_SIZE, _RAW_SIZE = (480, 270), (320, 180)
"""Largest picture that is sent.  Raw pixels are fewer: they cost more bytes, and characters show no more of them."""
_TRUE_WORDS = ("true", "yes", "1", "on")
_FLAGS = {
    FILE_ARGUMENT: "FILE",
    "file": "--file",
    "test_pattern": "--test-pattern",
    "pattern": "--pattern",
    "webcam_index": "--webcam-index",
}


@dataclass(frozen=True, slots=True)
class Source:
    """The chosen source of pictures."""

    file: str | None = None
    loop: bool = False
    pattern: str | None = None
    camera: int | None = None

    @property
    def is_default(self) -> bool:
        """Nothing was chosen: the first camera, if there is one."""
        return self.file is None and self.pattern is None and self.camera is None

    def opener(self, codec: Codec = Codec.HEVC, on_sound: Callable[[Samples], None] | None = None) -> SourceOpener:
        """Return a function that opens the source, in a thread.

        Args:
            codec: how its pictures are sent.
            on_sound: gets the sound of a file.
        """
        max_size = _HEVC_SIZE if codec is Codec.HEVC else _RAW_SIZE
        if self.file is not None:
            from teleglyph.media.file import open_file

            return functools.partial(open_file, self.file, loop=self.loop, max_size=max_size, on_sound=on_sound)
        if self.pattern is not None:
            from teleglyph.media.source import open_pattern

            return functools.partial(open_pattern, self.pattern)
        from teleglyph.media.camera import open_camera

        return functools.partial(open_camera, self.camera or 0, max_size=max_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """Options for the source of pictures."""

    file: str | None = option(
        "-f",
        "--file",
        table="media",
        metavar="FILE",
        help="Use a video, image or audio file instead of the camera: a path, a URL, or '-' for standard input.",
    )
    loop: bool = option("-l", "--loop", table="media", is_flag=True, help="Repeat the file when it ends.")
    test_pattern: bool = option(
        "--test-pattern", table="media", is_flag=True, help="Use colour bars instead of the camera."
    )
    pattern: str | None = option(
        "--pattern",
        table="media",
        type=click.Choice(list(TEST_PATTERNS), case_sensitive=False),
        help="Use another test picture instead of the camera.",
    )
    webcam_index: int | None = option(
        "-c", "--webcam-index", table="media", type=click.IntRange(0, 63), help="Camera number; see --list-webcams."
    )

    def source(self, file_argument: str | None = None) -> Source:
        """The chosen source.  The command line overrides the environment and the configuration file.

        Args:
            file_argument: the file as an argument; None if the command has no such argument.

        Raises:
            click.UsageError: options contradict each other.
        """
        values = {name: getattr(self, name) for name in _FLAGS if name != FILE_ARGUMENT}
        values[FILE_ARGUMENT] = file_argument
        named = [name for name in _FLAGS if values[name] not in (None, "", False)]
        typed = [name for name in named if source_of(name) is ParameterSource.COMMANDLINE]
        chosen = typed or named
        if len(chosen) > 1:
            raise click.UsageError(f"{' and '.join(_FLAGS[name] for name in chosen)} cannot be combined. Choose one.")
        choice = chosen[0] if chosen else ""
        file = values[choice] if choice in (FILE_ARGUMENT, "file") else None
        camera = self.webcam_index if choice == "webcam_index" else None
        pattern = self.pattern if choice == "pattern" else "bars" if choice == "test_pattern" else None
        if pattern is None and file is None and _is_camera_disabled():
            pattern, camera = "bars", None
        if self.loop and file is None and source_of("loop") is ParameterSource.COMMANDLINE:
            needed = "--file" if file_argument is None else "a FILE or --file"
            raise click.UsageError(f"--loop needs {needed}.")
        return Source(file, self.loop and file is not None, pattern, camera)


def _is_camera_disabled() -> bool:
    return os.environ.get("WEBCAM_DISABLED", "").lower() in _TRUE_WORDS
