"""Logs refusals: the first of a kind at once, further ones as a count, so that a flood cannot fill the log."""

from __future__ import annotations

import logging
from collections import Counter

_log = logging.getLogger(__name__)
_PERIOD = 60.0


class RefusalLog:
    """Counts and logs refusals; time is an argument."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        """When each kind of refusal was last logged in full."""
        self._more: Counter[str] = Counter()

    def log_refusal(self, kind: str, text: str, now: float) -> None:
        """Log a refusal, or count it if its kind was logged within a minute.

        Args:
            kind: refusals of one kind are counted together.
            text: a sentence.
            now: monotonic seconds.
        """
        if kind in self._since:
            self._more[kind] += 1
            _log.debug("%s", text)
            return
        self._since[kind] = now
        _log.warning("%s", text)

    def flush(self, now: float) -> None:
        """Log the counts of kinds whose minute is over.  Call this regularly."""
        for kind, since in list(self._since.items()):
            if now - since < _PERIOD:
                continue
            more = self._more.pop(kind, 0)
            if more:
                _log.warning("%d more refused in the last minute: %s", more, kind)
                self._since[kind] = now
            else:
                del self._since[kind]
