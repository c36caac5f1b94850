"""A pseudo terminal whose other end is an emulator (pyte), or a script of answers."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import threading
import time
from collections.abc import Callable

import pyte


class PseudoTerminal:
    """A terminal; bytes written to ``fd`` are drawn on ``screen`` and stored in ``written``.

    Args:
        answer: is called after each piece with all bytes written so far, and returns the terminal's reply.
    """

    def __init__(self, columns: int = 40, rows: int = 10, answer: Callable[[bytes], bytes] = lambda _: b"") -> None:
        self._other, self.fd = os.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen = pyte.Screen(columns, rows)
        self.written = b""
        self._stream = pyte.ByteStream(self.screen)
        self._answer = answer
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            if not select.select([self._other], [], [], 0.02)[0]:
                continue
            try:
                data = os.read(self._other, 65536)
            except OSError:
                return
            with self._lock:
                self.written += data
                # pyte prints CAN and does not know the alternate screen; tests check both in ``written``.
                self._stream.feed(data.replace(b"\x18", b""))
                if typed := self._answer(self.written):
                    os.write(self._other, typed)

    def resize(self, columns: int, rows: int) -> None:
        """Resize the terminal without a signal."""
        with self._lock:
            fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            self.screen.resize(rows, columns)

    def type(self, data: bytes) -> None:
        """Let the terminal's user type."""
        os.write(self._other, data)

    @property
    def rows(self) -> list[str]:
        """The text on the screen."""
        with self._lock:
            return [row.rstrip() for row in self.screen.display]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds."""
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, (self.rows, self.written[-500:])
            time.sleep(0.01)

    def close(self) -> None:
        self._closed = True
        self._thread.join()
        os.close(self.fd)
        os.close(self._other)
