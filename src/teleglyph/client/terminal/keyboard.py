"""Read keys on the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from teleglyph.client.terminal.key_parser import KeyParser

_STANDARD_INPUT = 0


class Keyboard:
    """Reads keys from standard input while it is open.

    Args:
        on_keys: called with the pressed keys.
        on_closed: called when the terminal has disappeared; no call follows.
        typed: bytes read earlier (:attr:`teleglyph.client.terminal.capabilities.Terminal.typed`).
    """

    def __init__(
        self, on_keys: Callable[[Sequence[str]], None], on_closed: Callable[[], None], typed: bytes = b""
    ) -> None:
        self._on_keys, self._on_closed = on_keys, on_closed
        self._typed = typed
        self._parser = KeyParser()
        self._timer: asyncio.TimerHandle | None = None
        self._is_open = False

    def open(self) -> None:
        """Start reading."""
        self._is_open = True
        loop = asyncio.get_running_loop()
        loop.add_reader(_STANDARD_INPUT, self._read)
        if self._typed:
            loop.call_soon(self._feed, self._typed)
            self._typed = b""

    def close(self) -> None:
        """Stop reading; may be called repeatedly."""
        if self._is_open:
            self._is_open = False
            asyncio.get_running_loop().remove_reader(_STANDARD_INPUT)
            self._stop_timer()

    def _read(self) -> None:
        try:
            data = os.read(_STANDARD_INPUT, 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            self._on_closed()
            return
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        if not self._is_open:
            return
        keys = self._parser.feed(data, asyncio.get_running_loop().time())
        self._schedule()
        if keys:
            self._on_keys(keys)

    def _expire(self) -> None:
        self._timer = None
        keys = self._parser.expire(asyncio.get_running_loop().time())
        self._schedule()
        if keys:
            self._on_keys(keys)

    def _schedule(self) -> None:
        """Set the only timer to the time at which silence completes a key."""
        self._stop_timer()
        if (deadline := self._parser.deadline) is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
