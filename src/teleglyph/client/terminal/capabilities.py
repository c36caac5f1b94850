"""Detect what the terminal can do: from the environment, from terminfo, and by queries.

All queries go out at once.  Every terminal answers the last one (primary device attributes, ECMA-48 DA), so its answer
ends the wait.  Only a silent terminal costs the full timeout.

Everything read meanwhile is passed to the keyboard, which drops answers: no early key is lost, and no late answer
becomes a key.
"""

from __future__ import annotations

import contextlib
import curses
import os
import re
import select
import termios
import time
import tty
from collections.abc import Mapping
from dataclasses import dataclass, field

from teleglyph.client.terminal.charset import utf8_from_environment
from teleglyph.errors import TerminalError
from teleglyph.media.modes import ColorLevel

FIRST_ANSWER_SECONDS = 0.75
"""Timeout for the first byte of an answer, over slow connections too."""
PIECE_SECONDS = 0.5
"""Timeout for each further piece."""
ANSWER_SECONDS = 3.0
"""Timeout for all answers."""
_MAX_ANSWER = 4096

_QUERY_SYNCHRONIZED = b"\x1b[?2026$p"
_QUERY_COLOR = b"\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m"
"""Set a colour that is in no palette, and query the current setting (DECRQSS)."""
_QUERY_VERSION = b"\x1b[>q"
"""XTVERSION: name and version."""
_QUERY_ATTRIBUTES = b"\x1b[c"
_SYNCHRONIZED = re.compile(rb"\x1b\[\?2026;[123]\$y")
_DIRECT_COLOR = re.compile(rb"\x1bP1\$r[^\x1b]*48[:;]2[:;]{1,2}1[:;]2[:;]3[^\x1b]*m")
_VERSION = re.compile(rb"\x1bP>\|([^\x1b]*)\x1b\\")
_ATTRIBUTES = re.compile(rb"\x1b\[\?[0-9;]*c")

_DIRECT_TERMS = ("-direct", "kitty", "alacritty", "foot", "ghostty", "wezterm", "contour", "iterm2")
_DIRECT_PROGRAMS = ("iTerm.app", "WezTerm", "vscode", "ghostty", "mintty", "Hyper", "rio")
_SEXTANT_TERMS = ("kitty", "foot", "ghostty", "wezterm", "contour", "alacritty")
_SEXTANT_PROGRAMS = ("WezTerm", "ghostty", "rio")
_SEXTANT_VERSIONS = re.compile(
    rb"kitty|WezTerm|foot|ghostty|contour|rio |VTE\((?:6[6-9]|[7-9]\d|\d{3})\d\d\)|Konsole 2[2-9]"
)
"""Terminals that draw sextants without the font's help; VTE from 0.66, Konsole from 22."""
_UNQUERYABLE_TERMS = ("", "dumb", "linux", "cons25", "vt52", "vt100", "eterm", "eterm-color")
"""Terminals that print some queries instead of answering or ignoring them."""
_DUMB_TERMS = ("", "dumb", "unknown", "network", "dialup", "emacs")
"""Terminals that only print lines, whatever terminfo says."""
_SCREEN_TERMS = re.compile(
    r"xterm|screen|tmux|rxvt|linux|vt[1-5]\d\d|kitty|alacritty|foot|ghostty|wezterm|contour|iterm|konsole|gnome|vte|st-|st$|"
    r"eterm|mlterm|mintty|putty|cygwin|ansi|cons25|rio|Apple_Terminal|nsterm",
    re.IGNORECASE,
)
"""Terminals with a movable cursor, for machines without their terminfo."""
_DEFAULT_SIZE = (80, 24)


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal on standard output.

    Attributes:
        interactive: standard output is a terminal.
        has_keys: standard input is a terminal.
        color: the highest colour level.
        color_source: how it was detected, for the user.
        utf8: the terminal shows UTF-8.
        synchronized: it can show complete frames only (private mode 2026).
        term, colorterm: the environment variables.
        sextants: it draws the glyphs of 2x3 blocks, which most fonts lack.
        utf8_source: how ``utf8`` was detected, for the user.
        cursor: its cursor can be moved, so frames can replace each other.
        in_emacs: it is a shell buffer of Emacs, which only prints lines, whatever TERM says.
        typed: bytes read during the queries, keys and answers, for the keyboard.
    """

    interactive: bool
    has_keys: bool
    color: ColorLevel
    color_source: str
    utf8: bool
    synchronized: bool
    term: str
    colorterm: str
    sextants: bool = False
    utf8_source: str = ""
    cursor: bool = True
    in_emacs: bool = False
    typed: bytes = field(default=b"", repr=False)

    def require_cursor(self, what: str = "moving pictures", instead: str = "print one picture with --snapshot") -> None:
        """Refuse a terminal without a movable cursor.

        Args:
            what: what it cannot show.
            instead: what the user can do on this terminal; empty for nothing.

        Raises:
            TerminalError: the cursor cannot be moved.
        """
        if not self.interactive or self.cursor:
            return
        if self.in_emacs:
            name, steps = "a shell buffer of Emacs", "Use another terminal, such as M-x term"
        else:
            name = f"TERM={self.term}" if self.term else "TERM is not set"
            steps = "Use another terminal, or set TERM to the type of yours, such as TERM=xterm-256color"
        raise TerminalError(
            f"This terminal ({name}) cannot show {what}: it does not understand ANSI cursor movements. "
            f"{steps}{f', or {instead}' if instead else ''}."
        )


def detect(environment: Mapping[str, str], *, input_fd: int = 0, output_fd: int = 1, ask: bool = True) -> Terminal:
    """Detect what the terminal can do.

    Args:
        environment: normally ``os.environ``.
        input_fd: standard input.
        output_fd: standard output.
        ask: send queries if both are a terminal.
    """
    interactive, has_keys = os.isatty(output_fd), os.isatty(input_fd)
    term, colorterm = environment.get("TERM", ""), environment.get("COLORTERM", "")
    color, source = color_from_environment(environment, output_fd, interactive=interactive)
    answer = b""
    cursor = interactive and _moves_cursor(environment, output_fd)
    utf8, utf8_source = utf8_from_environment(environment)
    if ask and _answers(cursor=cursor, has_keys=has_keys, term=term):
        queries = _QUERY_SYNCHRONIZED + _QUERY_VERSION
        # GNU screen passes the query's contents to the outer terminal, which prints them.
        if ColorLevel.NONE < color < ColorLevel.TRUECOLOR and not environment.get("STY"):
            queries += _QUERY_COLOR
        answer = query_terminal(queries, input_fd, output_fd)
    if _DIRECT_COLOR.search(answer):
        color, source = ColorLevel.TRUECOLOR, "the terminal's answer"
    return Terminal(
        interactive=interactive,
        has_keys=has_keys,
        color=color,
        color_source=source,
        utf8=utf8,
        synchronized=_SYNCHRONIZED.search(answer) is not None,
        term=term,
        colorterm=colorterm,
        sextants=_draws_sextants(environment, answer),
        utf8_source=utf8_source,
        cursor=cursor,
        in_emacs=_is_in_emacs(environment),
        typed=answer,
    )


def _draws_sextants(environment: Mapping[str, str], answer: bytes) -> bool:
    if version := _VERSION.search(answer):
        return _SEXTANT_VERSIONS.match(version[1]) is not None
    if any(part in environment.get("TERM", "") for part in _SEXTANT_TERMS):
        return True
    return environment.get("TERM_PROGRAM") in _SEXTANT_PROGRAMS


def color_from_environment(
    environment: Mapping[str, str], output_fd: int, *, interactive: bool
) -> tuple[ColorLevel, str]:
    """The colour level according to environment and terminfo, and the deciding setting."""
    term, colorterm = environment.get("TERM", ""), environment.get("COLORTERM", "")
    if not interactive:
        return ColorLevel.NONE, "standard output is not a terminal"
    if environment.get("NO_COLOR"):
        return ColorLevel.NONE, "NO_COLOR"
    if term in ("", "dumb"):
        return ColorLevel.NONE, f"TERM={term}"
    if colorterm.lower() in ("truecolor", "24bit"):
        return ColorLevel.TRUECOLOR, f"COLORTERM={colorterm}"
    program = environment.get("TERM_PROGRAM", "")
    if any(part in term for part in _DIRECT_TERMS):
        return ColorLevel.TRUECOLOR, f"TERM={term}"
    if program in _DIRECT_PROGRAMS:
        return ColorLevel.TRUECOLOR, f"TERM_PROGRAM={program}"
    return _color_from_terminfo(term, output_fd)


def _color_from_terminfo(term: str, output_fd: int) -> tuple[ColorLevel, str]:
    try:
        curses.setupterm(term, output_fd)
        colors = curses.tigetnum("colors")
        direct = curses.tigetflag("RGB") > 0 or curses.tigetflag("Tc") > 0
    except curses.error:
        colors, direct = (256 if "256color" in term else 8), False
    if direct or colors >= 1 << 24:
        return ColorLevel.TRUECOLOR, f"terminfo of {term}"
    if colors >= 256 or "256color" in term:
        return ColorLevel.ANSI256, f"terminfo of {term}"
    return (ColorLevel.ANSI16 if colors >= 8 else ColorLevel.NONE), f"terminfo of {term}"


def _is_in_emacs(environment: Mapping[str, str]) -> bool:
    # Emacs names the mode that runs the shell; only "comint" is a plain buffer of lines.
    return "comint" in environment.get("INSIDE_EMACS", "")


def has_description(term: str) -> bool:
    """Whether the terminfo database knows a type of terminal."""
    try:
        curses.setupterm(term, 1)
    except curses.error:
        return False
    return True


def _moves_cursor(environment: Mapping[str, str], output_fd: int) -> bool:
    """Whether the terminal can do more than print lines."""
    term = environment.get("TERM", "")
    if term in _DUMB_TERMS or _is_in_emacs(environment):
        return False
    try:
        curses.setupterm(term, output_fd)
    except curses.error:
        return _SCREEN_TERMS.match(term) is not None
    return b"\x1b[" in (curses.tigetstr("cup") or b"")


def terminal_size(environment: Mapping[str, str], output_fd: int = 1) -> tuple[int, int]:
    """Columns and rows: from the terminal on standard output, else from COLUMNS and LINES, else 80 by 24."""
    with contextlib.suppress(OSError):
        columns, rows = os.get_terminal_size(output_fd)
        if columns > 0 and rows > 0:
            return columns, rows
    return (
        _positive(environment.get("COLUMNS"), _DEFAULT_SIZE[0]),
        _positive(environment.get("LINES"), _DEFAULT_SIZE[1]),
    )


def _positive(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and 0 < int(text) <= 4096 else default


def can_be_queried(terminal: Terminal) -> bool:
    """Whether a terminal answers queries, or at least ignores them."""
    return _answers(cursor=terminal.cursor, has_keys=terminal.has_keys, term=terminal.term)


def _answers(*, cursor: bool, has_keys: bool, term: str) -> bool:
    return cursor and has_keys and term not in _UNQUERYABLE_TERMS


def query_terminal(queries: bytes, input_fd: int = 0, output_fd: int = 1) -> bytes:
    """Send queries, and one more that every terminal answers.

    Returns:
        everything read until the last answer, keys included; at most 4096 bytes.
    """
    saved = termios.tcgetattr(input_fd)
    read = b""
    try:
        tty.setcbreak(input_fd, termios.TCSANOW)
        os.write(output_fd, queries + _QUERY_ATTRIBUTES)
        started = time.monotonic()
        deadline = started + FIRST_ANSWER_SECONDS
        while len(read) < _MAX_ANSWER and not _ATTRIBUTES.search(read):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([input_fd], [], [], left)[0]:
                break
            chunk = os.read(input_fd, _MAX_ANSWER - len(read))
            if not chunk:
                break
            read += chunk
            if b"\x1b" in read:
                # An answer or a cursor key has begun; letters alone do not extend the timeout.
                deadline = min(max(deadline, time.monotonic() + PIECE_SECONDS), started + ANSWER_SECONDS)
    except OSError:
        pass
    finally:
        termios.tcsetattr(input_fd, termios.TCSANOW, saved)
    return read
