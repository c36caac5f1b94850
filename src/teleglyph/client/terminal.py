"""What the terminal can do: from the environment, from terminfo, and by asking it.

Everything is asked in one round trip.  The last question is one that every terminal answers (primary device
attributes, ECMA-48 DA), so its answer says that no other will come, and only a terminal that is silent altogether
costs the whole time-out.
"""

from __future__ import annotations

import contextlib
import curses
import locale
import os
import re
import select
import termios
import time
import tty
from collections.abc import Mapping
from dataclasses import dataclass

from teleglyph.media.modes import ColorLevel

ANSWER_SECONDS = 0.5
"""How long a terminal may take to answer; a slow connection between us and it is part of that."""
_MAX_ANSWER = 4096

_ASK_SYNCHRONIZED = b"\x1b[?2026$p"
_ASK_COLOR = b"\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m"
"""Set a colour that no palette holds, and ask what is set (DECRQSS)."""
_ASK_VERSION = b"\x1b[>q"
"""XTVERSION: its name and version."""
_ASK_ATTRIBUTES = b"\x1b[c"
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
"""Terminals that draw sextants themselves, whatever the font has; VTE from 0.66 on, Konsole from 22."""
_UNASKABLE_TERMS = ("", "dumb", "linux", "cons25", "vt52", "vt100")
"""Terminals that print some of the questions instead of swallowing them."""
_DEFAULT_SIZE = (80, 24)


@dataclass(frozen=True, slots=True)
class Terminal:
    """What is known of the terminal on standard output.

    Attributes:
        interactive: standard output is a terminal.
        has_keys: standard input is one.
        color: the most colours it shows.
        color_source: what says so, for people.
        utf8: it shows UTF-8.
        synchronized: it can be told to show a frame only when it is complete (private mode 2026).
        sextants: it draws the glyphs of 2x3 blocks, which most fonts lack.
        term, colorterm: the environment variables.
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


def detect(environment: Mapping[str, str], *, input_fd: int = 0, output_fd: int = 1, ask: bool = True) -> Terminal:
    """Find out what the terminal can do.

    Args:
        environment: normally ``os.environ``.
        input_fd, output_fd: standard input and output.
        ask: write questions to the terminal if both are one.
    """
    interactive, has_keys = os.isatty(output_fd), os.isatty(input_fd)
    term, colorterm = environment.get("TERM", ""), environment.get("COLORTERM", "")
    color, source = color_from_environment(environment, output_fd, interactive=interactive)
    answer = b""
    if ask and interactive and has_keys and term not in _UNASKABLE_TERMS:
        questions = _ASK_SYNCHRONIZED + _ASK_VERSION
        if ColorLevel.NONE < color < ColorLevel.TRUECOLOR:
            questions += _ASK_COLOR
        answer = _ask(questions + _ASK_ATTRIBUTES, input_fd, output_fd)
    if _DIRECT_COLOR.search(answer):
        color, source = ColorLevel.TRUECOLOR, "the terminal's answer"
    return Terminal(
        interactive=interactive,
        has_keys=has_keys,
        color=color,
        color_source=source,
        utf8=utf8_from_environment(environment),
        synchronized=_SYNCHRONIZED.search(answer) is not None,
        term=term,
        colorterm=colorterm,
        sextants=_draws_sextants(environment, answer),
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
    """The colours that environment and terminfo promise, and which of them says so."""
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


def can_move_cursor(environment: Mapping[str, str], output_fd: int = 1) -> bool:
    """Whether text can be put anywhere on the terminal; one that terminfo does not know is believed to be able to."""
    term = environment.get("TERM", "")
    if term in ("", "dumb"):
        return False
    try:
        curses.setupterm(term, output_fd)
        return bool(curses.tigetstr("cup"))
    except curses.error:
        return True


def utf8_from_environment(environment: Mapping[str, str]) -> bool:
    """Whether the locale's character set is UTF-8: the first variable set of LC_ALL, LC_CTYPE and LANG decides."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if value := environment.get(name):
            charset = value.partition(".")[2].partition("@")[0]
            return charset.lower().replace("-", "") == "utf8"
    return locale.getencoding().lower().replace("-", "") == "utf8" and os.uname().sysname == "Darwin"


def terminal_size(environment: Mapping[str, str], output_fd: int = 1) -> tuple[int, int]:
    """Columns and rows: of the terminal on standard output, else of COLUMNS and LINES, else 80 by 24."""
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


def _ask(questions: bytes, input_fd: int, output_fd: int) -> bytes:
    """Write questions and collect what comes back until the last one is answered."""
    saved = termios.tcgetattr(input_fd)
    answer = b""
    try:
        tty.setcbreak(input_fd, termios.TCSANOW)
        os.write(output_fd, questions)
        deadline = time.monotonic() + ANSWER_SECONDS
        while len(answer) < _MAX_ANSWER and not _ATTRIBUTES.search(answer):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([input_fd], [], [], left)[0]:
                break
            chunk = os.read(input_fd, _MAX_ANSWER)
            if not chunk:
                break
            answer += chunk
    except OSError:
        pass
    finally:
        termios.tcsetattr(input_fd, termios.TCSANOW, saved)
    return answer
