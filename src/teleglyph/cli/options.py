"""Options that several commands share, and what becomes of them."""

from __future__ import annotations

import functools
import getpass
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import click
from click.core import ParameterSource

from teleglyph.cli.questions import ask_secret, can_ask
from teleglyph.client.call.uplink import Codec
from teleglyph.client.source import SourceOpener
from teleglyph.client.terminal.capabilities import Terminal, terminal_size
from teleglyph.client.terminal.display import MAX_SIDE, Display
from teleglyph.errors import UserError
from teleglyph.media.modes import RENDER_NAMES, ColorLevel, RenderMode
from teleglyph.media.opus import Samples
from teleglyph.media.palette import BUILT_IN, Palette, custom_palette
from teleglyph.media.pattern import TEST_PATTERNS
from teleglyph.printable import printable, width


class Number(click.FloatRange):
    """A range of numbers; click's own takes ``nan``, which is in every range, and ``inf`` where there is no end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


P = ParamSpec("P")
R = TypeVar("R")

_PASSWORD_BYTES = range(8, 257)
_NAME_BYTES = 31
_PALETTE_BYTES = 63
"""Room for a custom palette in CLIENT_CAPABILITIES (docs/protocol/messages.md#client_capabilities)."""
_HEVC_SIZE, _RAW_SIZE = (480, 270), (320, 180)
"""What a picture is scaled down to.  Raw pixels are fewer: they cost bytes, and characters show no more of them."""

_COLOR_WORDS = {
    "none": ColorLevel.NONE,
    "mono": ColorLevel.NONE,
    "16": ColorLevel.ANSI16,
    "16color": ColorLevel.ANSI16,
    "ansi": ColorLevel.ANSI16,
    "256": ColorLevel.ANSI256,
    "256color": ColorLevel.ANSI256,
    "truecolor": ColorLevel.TRUECOLOR,
    "true": ColorLevel.TRUECOLOR,
    "tc": ColorLevel.TRUECOLOR,
    "rgb": ColorLevel.TRUECOLOR,
    "24bit": ColorLevel.TRUECOLOR,
}
_RENDER_WORDS = {name: mode for mode, name in RENDER_NAMES.items()} | {
    "fg": RenderMode.FOREGROUND,
    "bg": RenderMode.BACKGROUND,
    "halfblock": RenderMode.HALF_BLOCK,
}
_BITRATE_UNITS = {"k": 1000, "m": 1_000_000}
_MIN_BITRATE, _MAX_BITRATE = 32_000, 2**32 - 1
_TRUE_WORDS = ("true", "yes", "1", "on")


def is_password(value: str) -> bool:
    """Whether the protocol can carry a password (docs/protocol/handshake.md#password-key)."""
    return len(value.encode()) in _PASSWORD_BYTES


def require_password(value: str) -> str:
    """Refuse passwords that the protocol cannot carry."""
    if not is_password(value):
        raise click.BadParameter(f"has {len(value.encode())} bytes; a password needs 8 to 256")
    return value


def check_password(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """:func:`require_password` as an option's callback."""
    return None if value is None else require_password(value)


def ask_passphrase(text: str) -> str | None:
    """Ask for the pass phrase of a key; None if there is no terminal to ask on."""
    return ask_secret(text) if can_ask() else None


def check_name(value: str) -> str:
    """Refuse names that CLIENT_JOIN cannot carry (1 to 31 bytes) or that do not print."""
    size = len(value.encode(errors="surrogateescape"))
    if size > _NAME_BYTES:
        raise click.BadParameter(f"has {size} bytes; a name has 1 to {_NAME_BYTES} bytes.")
    if printable(value) != value:
        raise click.BadParameter("has characters that do not print; use letters, digits, signs and emoji.")
    if not width(value.strip()):
        raise click.BadParameter(f"has nothing to see; a name has 1 to {_NAME_BYTES} bytes.")
    return value


class _Words(click.ParamType[Any, Any]):
    """One of several words, some of which mean the same; the first ones are shown in help."""

    name = "word"

    def __init__(self, words: Mapping[str, object], shown: tuple[str, ...]) -> None:
        self._words = words
        self._shown = shown

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self._shown)}]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if not isinstance(value, str):
            return value
        word = value.lower()
        if word == "auto":
            return None
        if word not in self._words:
            self.fail(f"'{value}' is not one of {', '.join(self._shown)}", param, ctx)
        return self._words[word]


class Bitrate(click.ParamType[Any, Any]):
    """Bits a second: a number, with k for thousands or M for millions of them; 0 or at least 32 000."""

    name = "bits"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value).strip()
        factor = _BITRATE_UNITS.get(text[-1:].lower(), 1)
        number = text[:-1] if factor > 1 else text
        try:
            bits = round(float(number) * factor)
        except (ValueError, OverflowError):
            self.fail(f"'{value}' is no number of bits a second: write 500k or 2M", param, ctx)
        if bits != 0 and not _MIN_BITRATE <= bits <= _MAX_BITRATE:
            self.fail(f"{bits} is out of range: 0, or {_MIN_BITRATE} to {_MAX_BITRATE}", param, ctx)
        return bits


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """How pictures are to be drawn; None means what the terminal can do best."""

    color: ColorLevel | None
    render: RenderMode | None
    palette: Palette
    utf8: bool | None
    width: int
    height: int
    fps: int
    snapshot: bool
    snapshot_delay: float
    dithered: bool = False

    @property
    def fixed_size(self) -> tuple[int, int]:
        """Columns and rows that the user insists on, 0 for the window's."""
        return self.width, self.height

    def display(self, terminal: Terminal, *, whole_screen: bool) -> Display:
        """These options on this terminal.

        Raises:
            UserError: the palette cannot be shown.
        """
        columns, rows = terminal_size(os.environ)
        utf8 = terminal.utf8 if self.utf8 is None else self.utf8
        if not utf8 and self.palette.name == "custom" and not self.palette.glyphs.isascii():
            raise UserError(
                "--palette-chars has characters outside ASCII, but the terminal is not UTF-8: add --utf8 true"
            )
        display = Display(
            columns=1,
            rows=1,
            color=terminal.color if self.color is None else self.color,
            render=self.render,
            palette=self.palette,
            utf8=utf8,
            frame_rate=self.fps,
            terminal=terminal,
            padding=not self.snapshot,
            dithered=self.dithered,
        )
        return display.resized(self.width or columns, self.height or (rows if whole_screen else rows - 1))


def display_options(command: Callable[P, R]) -> Callable[..., R]:
    """Add the options of :class:`DisplayOptions`, and hand them to the command as ``display_options``."""

    @click.option(
        "--color-mode",
        type=_Words(_COLOR_WORDS, ("auto", "none", "16", "256", "truecolor")),
        default="auto",
        help="Colours; auto: as many as the terminal shows.",
    )
    @click.option(
        "-M",
        "--render-mode",
        type=_Words(_RENDER_WORDS, ("auto", *RENDER_NAMES.values())),
        default="auto",
        help="How cells are drawn; auto: the best that the terminal can show.",
    )
    @click.option("--dither", is_flag=True, help="Mix 16 and 256 colours in a pattern, so that they look like more.")
    @click.option(
        "-P",
        "--palette",
        type=click.Choice([*BUILT_IN, "custom"], case_sensitive=False),
        default="standard",
        show_default=True,
        help="Glyphs of foreground mode.",
    )
    @click.option("-C", "--palette-chars", metavar="TEXT", help="Glyphs of your own, from dark to bright.")
    @click.option(
        "--utf8",
        type=click.Choice(["auto", "true", "false"], case_sensitive=False),
        default="auto",
        help="Characters outside ASCII; auto: as the locale says.",
    )
    @click.option(
        "-x", "--width", type=click.IntRange(0, MAX_SIDE), default=0, help="Columns; 0: those of the terminal."
    )
    @click.option("-y", "--height", type=click.IntRange(0, MAX_SIDE), default=0, help="Rows; 0: those of the terminal.")
    @click.option(
        "--fps", type=click.IntRange(1, 144), default=60, show_default=True, help="Frames per second to be shown."
    )
    @click.option("-S", "--snapshot", is_flag=True, help="Print one picture and leave.")
    @click.option(
        "-D",
        "--snapshot-delay",
        type=Number(0, 3600),
        help="Seconds from the first picture to the one that is printed.  [default: 3]",
    )
    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        values: dict[str, Any] = dict(kwargs)
        names = ("dither", "color_mode", "render_mode", "palette", "palette_chars", "utf8", "width", "height", "fps")
        taken = {name: values.pop(name) for name in (*names, "snapshot", "snapshot_delay")}
        values["display_options"] = _display_options(**taken)
        return command(*args, **values)

    return wrapped


def _display_options(
    *,
    color_mode: ColorLevel | None,
    render_mode: RenderMode | None,
    dither: bool,
    palette: str,
    palette_chars: str | None,
    utf8: str,
    width: int,
    height: int,
    fps: int,
    snapshot: bool,
    snapshot_delay: float | None,
) -> DisplayOptions:
    if snapshot_delay is not None and not snapshot:
        raise click.UsageError("--snapshot-delay needs --snapshot")
    if palette == "custom" and palette_chars is None:
        raise click.UsageError("--palette custom needs --palette-chars")
    if palette_chars is not None and len(palette_chars.encode()) > _PALETTE_BYTES:
        raise click.UsageError(
            f"--palette-chars has {len(palette_chars.encode())} bytes; {_PALETTE_BYTES} are the most"
        )
    return DisplayOptions(
        color=color_mode,
        render=render_mode,
        palette=BUILT_IN[palette] if palette_chars is None else custom_palette(palette_chars),
        utf8=None if utf8 == "auto" else utf8 == "true",
        width=width,
        height=height,
        fps=fps,
        snapshot=snapshot,
        snapshot_delay=3.0 if snapshot_delay is None else snapshot_delay,
        dithered=dither,
    )


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Where the picture comes from."""

    file: str | None
    loop: bool
    pattern: str | None
    camera: int | None

    @property
    def is_default(self) -> bool:
        """Nothing was asked for: the first camera, if there is one."""
        return self.file is None and self.pattern is None and self.camera is None

    def opener(self, codec: Codec = Codec.HEVC, on_sound: Callable[[Samples], None] | None = None) -> SourceOpener:
        """What opens the source, in a thread; errors are those of the source.

        Args:
            codec: how its pictures are to travel.
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


def source_options(command: Callable[P, R]) -> Callable[..., R]:
    """Add the options of :class:`SourceOptions`, and hand them to the command as ``source_options``."""

    @click.option(
        "-f",
        "--file",
        metavar="FILE",
        help="A film, picture or sound file instead of a camera: a path, a URL, or '-' for standard input.",
    )
    @click.option("-l", "--loop", is_flag=True, help="Begin the file again when its picture and sound are over.")
    @click.option("--test-pattern", is_flag=True, help="Colour bars instead of a camera.")
    @click.option(
        "--pattern",
        type=click.Choice(list(TEST_PATTERNS), case_sensitive=False),
        help="Another test picture instead of a camera.",
    )
    @click.option("-c", "--webcam-index", type=click.IntRange(0, 63), help="Which camera; see --list-webcams.")
    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        values: dict[str, Any] = dict(kwargs)
        names = (_FILE_ARGUMENT, "file", "loop", "test_pattern", "pattern", "webcam_index")
        taken = {name: values.pop(name, None) for name in names}
        values["source_options"] = _source_options(click.get_current_context(), taken)
        return command(*args, **values)

    return wrapped


_FILE_ARGUMENT = "file_argument"
_SOURCES = {
    _FILE_ARGUMENT: "FILE",
    "file": "--file",
    "test_pattern": "--test-pattern",
    "pattern": "--pattern",
    "webcam_index": "--webcam-index",
}


def file_argument(command: Callable[P, R]) -> Callable[P, R]:
    """Let a command with :func:`source_options` take the file as its argument, too."""
    return click.argument(_FILE_ARGUMENT, default="", metavar="[FILE]")(command)


def _source_options(ctx: click.Context, values: dict[str, Any]) -> SourceOptions:
    """What was asked for; what the command line says wins over the environment and the configuration file."""
    named = [name for name in _SOURCES if values[name] not in (None, "", False)]
    typed = [name for name in named if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    chosen = typed or named
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(_SOURCES[name] for name in chosen)} exclude each other: choose one.")
    choice = chosen[0] if chosen else ""
    file = values[choice] if choice in (_FILE_ARGUMENT, "file") else None
    camera = values["webcam_index"] if choice == "webcam_index" else None
    pattern = values["pattern"] if choice == "pattern" else "bars" if choice == "test_pattern" else None
    if pattern is None and file is None and _camera_is_disabled():
        pattern, camera = "bars", None
    is_typed = ctx.get_parameter_source("loop") is ParameterSource.COMMANDLINE
    if values["loop"] and file is None and is_typed:
        needed = "a FILE or --file" if _FILE_ARGUMENT in ctx.params else "--file"
        raise click.UsageError(f"--loop needs {needed}: say what should begin again.")
    return SourceOptions(file, bool(values["loop"]) and file is not None, pattern, camera)


def _camera_is_disabled() -> bool:
    return os.environ.get("WEBCAM_DISABLED", "").lower() in _TRUE_WORDS


def default_name() -> str:
    """The user's name on this machine, for the others in a call."""
    try:
        return getpass.getuser()[:31]
    except (OSError, KeyError):
        return "guest"


def check_database(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Let only URLs of PostgreSQL databases through."""
    if value is not None and not value.startswith(("postgresql://", "postgres://")):
        # Not shown: what was meant to be a URL may hold a password.
        raise click.BadParameter("this is no URL of a PostgreSQL database: write postgresql://user@host/name")
    return value


class OptionGroup:
    """Options that belong together; decorates a command with all of them, in this order.

    Args:
        options: made by :func:`click.option`.
    """

    def __init__(self, *options: Callable[[Any], Any]) -> None:
        self._options = options

    def __call__(self, command: Any) -> Any:
        for option in reversed(self._options):
            command = option(command)
        return command
