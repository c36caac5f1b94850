"""Detect that a server's frames keep being refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_REFUSED_SECONDS = 1.0
"""How long frames may be refused before the user is informed."""
UNSHOWABLE = "The server's frames cannot be shown:"


class RefusedFrameMonitor:
    """Reports when frames are refused and none is shown.

    Args:
        on_report: called every second meanwhile, with the reason of the last refusal.
    """

    def __init__(self, on_report: Callable[[str], object]) -> None:
        self.is_reported = False
        """``on_report`` was called, and no frame was shown since."""
        self._on_report = on_report
        self._reason = ""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, reason: str) -> None:
        """Count a refused frame."""
        self._reason = reason
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_REFUSED_SECONDS, self._report)

    def reset(self) -> None:
        """Start again: a frame is shown, or the connection has ended."""
        self.is_reported = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _report(self) -> None:
        self._timer = None
        self._on_report(self._reason)
        self.is_reported = True
