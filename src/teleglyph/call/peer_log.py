"""Texts that a peer sends for people: made safe, cut, and logged a few at a time."""

from __future__ import annotations

import logging
import time

from teleglyph.net import TokenBucket
from teleglyph.printable import Printable, fit, printable
from teleglyph.wire.acip import ErrorMessage, RemoteLog

_log = logging.getLogger(__name__)

_LINES_PER_SECOND, _BURST = 1.0, 10.0
_MAX_COLUMNS = 500


class PeerLog:
    """Logs what one peer reports, at most a few lines per second."""

    def __init__(self) -> None:
        self._rate = TokenBucket(_LINES_PER_SECOND, _BURST)

    def log_line(self, name: str, message: RemoteLog) -> None:
        """Log a line of the peer with this name."""
        if self._rate.allow(time.monotonic()):
            _log.debug("%s says: %s", name, shortened(message.text, _MAX_COLUMNS))

    def log_error(self, name: str, message: ErrorMessage) -> None:
        """Log an error of the peer with this name."""
        if self._rate.allow(time.monotonic()):
            _log.debug("%s reports error %d: %s", name, message.code, shortened(message.text, _MAX_COLUMNS))


def shortened(text: str, columns: int) -> Printable:
    """Text from a peer made safe for logs and terminals, cut to a number of columns."""
    # Only the beginning of a long text matters: a column holds one grapheme at most, and those are short.
    return fit(printable(text[: 16 * columns]).strip(), columns)
