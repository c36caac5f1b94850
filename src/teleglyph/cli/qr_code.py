"""QR codes on terminals, to be scanned by a phone's camera."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from teleglyph.client.terminal.charset import utf8_from_environment
from teleglyph.console import write_text

_BORDER = 4
"""Light modules around the code, as ISO/IEC 18004 wants them."""
_PAPER, _INK, _PLAIN = "\x1b[30;47m", "\x1b[40m", "\x1b[0m"
"""Black on white whatever the terminal's own colours are: cameras do not read every inverted code."""
_HALVES = {(0, 0): " ", (0, 1): "▄", (1, 0): "▀", (1, 1): "█"}


class QrCode:
    """A QR code, drawn on standard error.

    Args:
        text: what it says.
    """

    def __init__(self, text: str) -> None:
        # Imported here, because only hosts need this library.
        import segno

        code = segno.make(text, error="l", micro=False)
        self._rows: list[Sequence[int]] = [bytes(row) for row in code.matrix_iter(border=_BORDER)]
        self._has_utf8, _ = utf8_from_environment(os.environ)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        modules = len(self._rows)
        return (modules, (modules + 1) // 2) if self._has_utf8 else (2 * modules, modules)

    @property
    def is_on_terminal(self) -> bool:
        """Whether it is drawn on a terminal that can show it."""
        return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")

    def fits(self, *, lines_beside: int = 0) -> bool:
        """Whether standard error is a terminal with enough room.

        Args:
            lines_beside: that should stay visible together with the code.
        """
        if not self.is_on_terminal:
            return False
        # Not from COLUMNS and LINES: some shells export them and do not change them with the window.
        window, (columns, lines) = os.get_terminal_size(sys.stderr.fileno()), self.size
        return window.columns >= columns and window.lines >= lines + lines_beside

    def draw(self) -> None:
        """Print it, without colours if standard error is not a terminal."""
        write_text(self.text(colors=self.is_on_terminal), err=True)

    def text(self, *, colors: bool) -> str:
        """The code as lines: two modules to a character, or in ASCII two characters to a module.

        Args:
            colors: black on white, with escape sequences.
        """
        rows = self._half_blocks() if self._has_utf8 else self._ascii(colors=colors)
        before, after = (_PAPER, _PLAIN) if colors else ("", "")
        return "".join(f"{before}{row}{after}\n" for row in rows)

    def _half_blocks(self) -> list[str]:
        rows = [*self._rows, bytes(len(self._rows))]
        pairs = zip(rows[::2], rows[1::2], strict=False)
        return ["".join(_HALVES[pair] for pair in zip(upper, lower, strict=True)) for upper, lower in pairs]

    def _ascii(self, *, colors: bool) -> list[str]:
        ink = f"{_INK}  {_PAPER}" if colors else "##"
        return ["".join(ink if module else "  " for module in row) for row in self._rows]
