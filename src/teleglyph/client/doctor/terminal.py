"""Checks of the terminal: its type, size, colours and characters, and the locale."""

from __future__ import annotations

import locale
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from teleglyph.client.doctor.examination import Check, immediate
from teleglyph.client.doctor.report import Finding, note, ok, problem, skipped
from teleglyph.client.terminal.block_width import measure_block
from teleglyph.client.terminal.capabilities import Terminal, can_be_queried, detect, has_description, terminal_size
from teleglyph.errors import TerminalError
from teleglyph.media.modes import COLOR_NAMES, ColorLevel

_SMALL = (40, 12)
"""Columns and rows below which names and the status line get cut."""
_MAX_CELLS = 160_000
"""Cells of a picture; a larger window has a border."""
_NO_TERMINAL = "Standard output is not a terminal."
_RUN_THERE = "Run 'teleglyph doctor' in the terminal in which you want to see calls."
_TMUX_TERMS = ("tmux", "screen")
_TMUX_COLORS = "Add this to ~/.tmux.conf, and start tmux again: set -as terminal-features ',*:RGB'"
_STUCK = "Close this terminal, and use another one."


@dataclass(frozen=True, slots=True)
class TerminalFacts:
    """What is known of the terminal on standard output.

    Attributes:
        terminal: what was detected.
        columns, rows: its size.
        block_columns: how wide it draws a block character; None if it does not say.
        has_description: the terminfo database knows its type.
        environment: its variables.
    """

    terminal: Terminal
    columns: int
    rows: int
    block_columns: int | None
    has_description: bool
    environment: Mapping[str, str]


def observe_terminal(environment: Mapping[str, str]) -> TerminalFacts:
    """Ask the terminal.  The cursor must be in an empty line; nothing else may read the keyboard meanwhile.

    Args:
        environment: normally ``os.environ``.
    """
    terminal = detect(environment)
    columns, rows = terminal_size(environment)
    block_columns = measure_block() if can_be_queried(terminal) else None
    return TerminalFacts(terminal, columns, rows, block_columns, has_description(terminal.term), environment)


def terminal_checks(facts: TerminalFacts) -> list[Check]:
    """The checks of a terminal that was observed."""
    looks: list[tuple[str, str, Callable[[TerminalFacts], Finding]]] = [
        ("terminal-type", "terminal type", check_type),
        ("terminal-size", "terminal size", check_size),
        ("terminal-colors", "colours", check_colors),
        ("terminal-characters", "characters", check_characters),
        ("locale", "locale", check_locale),
    ]
    return [Check(name, title, immediate(partial(look, facts)), _STUCK) for name, title, look in looks]


def check_type(facts: TerminalFacts) -> Finding:
    """Whether frames can replace each other, and what TERM, tmux and screen do to them."""
    terminal = facts.terminal
    if not terminal.interactive:
        return skipped(_NO_TERMINAL, _RUN_THERE)
    try:
        terminal.require_cursor()
    except TerminalError as error:
        text, _, step = str(error).partition(". ")
        return problem(f"{text}.", step)
    if facts.environment.get("TMUX") and not terminal.term.startswith(_TMUX_TERMS):
        return note(
            f"You are in tmux, but TERM={terminal.term} describes another terminal.",
            "Do not set TERM in your shell's configuration; in tmux it is tmux-256color or screen-256color.",
        )
    if facts.environment.get("STY"):
        return note(
            "You are in GNU screen, which passes on 256 colours at most and cannot show complete frames only.",
            "Use tmux, or no multiplexer.",
        )
    if terminal.term == "linux":
        return note(
            "The Linux console has 16 colours and few characters.",
            "Use a terminal of a graphical desktop, or connect by SSH.",
        )
    if not facts.has_description:
        return note(
            f"This machine's terminfo database does not know TERM={terminal.term}.",
            "Install it (Debian: apt install ncurses-term), or use TERM=xterm-256color.",
        )
    return ok(f"TERM={terminal.term}{', in tmux' if facts.environment.get('TMUX') else ''}.")


def check_size(facts: TerminalFacts) -> Finding:
    """Whether there is room for pictures."""
    if not facts.terminal.interactive:
        return skipped(_NO_TERMINAL)
    size = f"{facts.columns} columns, {facts.rows} rows"
    if facts.columns < _SMALL[0] or facts.rows < _SMALL[1]:
        return note(
            f"{size}: too few for more than a rough picture.", "Enlarge the window, or use a smaller font for it."
        )
    if facts.columns * facts.rows > _MAX_CELLS:
        return note(f"{size}: pictures have {_MAX_CELLS} cells at most, so they will not fill it.")
    return ok(f"{size}.")


def check_colors(facts: TerminalFacts) -> Finding:
    """How many colours pictures have, and what would give more."""
    terminal = facts.terminal
    if not terminal.interactive:
        return skipped(_NO_TERMINAL)
    text = f"{COLOR_NAMES[terminal.color]} ({terminal.color_source})"
    if terminal.color is ColorLevel.TRUECOLOR:
        return ok(f"{text}.")
    if terminal.color_source == "NO_COLOR":
        return note("NO_COLOR is set, so pictures have no colours.", "Unset it, or use --color-mode.")
    if facts.environment.get("TMUX"):
        return note(f"{text}: tmux passes on more only if it is told to.", _TMUX_COLORS)
    if terminal.color is ColorLevel.ANSI256:
        return ok(f"{text}. If your terminal has direct colours, set COLORTERM=truecolor.")
    return note(
        f"{text}: pictures will look coarse.",
        "Use TERM=xterm-256color, or --color-mode truecolor if the terminal can do that.",
    )


def check_characters(facts: TerminalFacts) -> Finding:
    """Whether block characters arrive, and are as wide as pictures need."""
    terminal, columns = facts.terminal, facts.block_columns
    if not terminal.interactive:
        return skipped(_NO_TERMINAL)
    if not terminal.utf8:
        if columns == 1:
            return note(
                f"The terminal shows UTF-8, but the locale does not use it ({terminal.utf8_source}), so pictures are "
                "drawn in ASCII.",
                "Run: export LANG=C.UTF-8, and unset LC_ALL and LC_CTYPE. Or use --utf8 true.",
            )
        return note(
            f"ASCII only, because of the locale ({terminal.utf8_source}).",
            "Use a terminal with UTF-8, and run: export LANG=C.UTF-8.",
        )
    if columns is None:
        return ok(f"UTF-8, according to {terminal.utf8_source}. The terminal does not say how wide blocks are.")
    if columns == 2:
        return problem(
            "The terminal draws block characters two columns wide, so pictures fall apart.",
            "Set the width of ambiguous characters to narrow in its settings, or use --utf8 false.",
        )
    if columns != 1:
        return problem(
            f"The locale uses UTF-8 ({terminal.utf8_source}), but the terminal shows every byte as a character.",
            "Switch the terminal to UTF-8, or use --utf8 false.",
        )
    return ok(f"UTF-8, blocks are one column wide{', with sextants' if terminal.sextants else ''}.")


def is_installed(name: str) -> bool:
    """Whether the system has a locale.  Only for the main thread, because it tries it out."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return False
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return True


def check_locale(facts: TerminalFacts, installed: Callable[[str], bool] = is_installed) -> Finding:
    """Whether the locale exists, and uses UTF-8."""
    source = facts.terminal.utf8_source
    name = source.partition("=")[2]
    if name and not installed(name):
        return note(
            f"The locale {source} is not installed on this machine.",
            "Install it (Debian: dpkg-reconfigure locales), or run: export LC_ALL=C.UTF-8.",
        )
    if facts.terminal.utf8:
        return ok(f"{source}, which uses UTF-8." if name else f"UTF-8 ({source}).")
    return note(
        f"{source}, which does not use UTF-8." if name else "No locale is set, so everything is drawn in ASCII.",
        "Run: export LANG=C.UTF-8, and put it into your shell's configuration.",
    )
