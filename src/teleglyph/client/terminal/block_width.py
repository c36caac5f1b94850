"""Measures how wide the terminal draws a block character.

Unicode calls the width of these characters ambiguous: most terminals draw them in one column, some in two, and a
terminal that does not decode UTF-8 shows each byte as a character of its own.  Pictures need one column.
"""

from __future__ import annotations

import re

from teleglyph.client.terminal.capabilities import query_terminal

_BLOCK = "\N{UPPER HALF BLOCK}".encode()
_QUERY_POSITION = b"\x1b[6n"
_MEASURE = b"\r" + _BLOCK + _QUERY_POSITION + b"\r\x1b[K"
"""Draw the character at the left edge, ask where the cursor is, and erase it."""
_POSITION = re.compile(rb"\x1b\[\d{1,5};(\d{1,5})R")


def measure_block(input_fd: int = 0, output_fd: int = 1) -> int | None:
    """The columns of a block character; None if the terminal does not say where its cursor is.

    The cursor must be in an empty line.
    """
    found = _POSITION.search(query_terminal(_MEASURE, input_fd, output_fd))
    return None if found is None else int(found[1]) - 1
