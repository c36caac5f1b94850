"""The keyboard on an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from teleglyph.client.keys import KeyParser

_ESCAPE_SECONDS = 0.05
_STANDARD_INPUT = 0


class Keyboard:
    """Reads keys from standard input while it is open.

    Args:
        on_keys: gets the keys that were pressed.
        on_gone: called when the terminal is gone; nothing comes after it.
    """

    def __init__(self, on_keys: Callable[[Sequence[str]], None], on_gone: Callable[[], None]) -> None:
        self._on_keys, self._on_gone = on_keys, on_gone
        self._parser = KeyParser()
        self._is_open = False

    def open(self) -> None:
        """Begin to read."""
        self._is_open = True
        asyncio.get_running_loop().add_reader(_STANDARD_INPUT, self._read)

    def close(self) -> None:
        """Stop reading; any number of times."""
        if self._is_open:
            self._is_open = False
            asyncio.get_running_loop().remove_reader(_STANDARD_INPUT)

    def _read(self) -> None:
        try:
            data = os.read(_STANDARD_INPUT, 1024)
        except OSError:
            data = b""
        if not data:
            self.close()
            self._on_gone()
            return
        self._on_keys(self._parser.feed(data))
        if self._parser.is_waiting:
            # Only time tells the Escape key from the beginning of another key's sequence.
            asyncio.get_running_loop().call_later(_ESCAPE_SECONDS, lambda: self._on_keys(self._parser.flush()))
