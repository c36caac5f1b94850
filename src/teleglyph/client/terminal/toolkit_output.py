"""Where prompt_toolkit writes, for the programs that use it."""

from __future__ import annotations

import os
import sys

from prompt_toolkit.data_structures import Size
from prompt_toolkit.output.vt100 import Vt100_Output

from teleglyph.client.terminal.capabilities import terminal_size


def toolkit_output() -> Vt100_Output:
    """Standard output with our own idea of the window's size, without the bell and without questions to the terminal.

    Late answers about the cursor would be read as typed text.
    """

    def size() -> Size:
        columns, rows = terminal_size(os.environ)
        return Size(columns=columns, rows=rows)

    return Vt100_Output(sys.stdout, size, term=os.environ.get("TERM"), enable_bell=False, enable_cpr=False)
