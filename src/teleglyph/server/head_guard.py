"""Closes HTTP connections that do not send their next request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

HEAD_SECONDS = 15.0
"""From the connection, or from the last answer, to the end of the next request's head."""
_MAX_IDLE = 1000
"""Connections without a request, from everywhere; the oldest are closed when there are more."""


class HeadGuard:
    """Closes connections whose next request is late; aiohttp itself has no such limit."""

    def __init__(self) -> None:
        self._since: dict[web.RequestHandler, float] = {}
        """When each connection became idle."""
        self._busy: set[web.RequestHandler] = set()

    @contextlib.contextmanager
    def busy(self, connection: web.RequestHandler) -> Iterator[None]:
        """Keep a connection open while its request is answered."""
        self._busy.add(connection)
        try:
            yield
        finally:
            self._busy.discard(connection)
            self._since.pop(connection, None)

    def close_idle(self, connections: Iterable[web.RequestHandler], now: float) -> None:
        """Close idle connections that are late.  Call this every second.

        Args:
            connections: all that are open.
            now: on the monotonic clock.
        """
        idle = [connection for connection in connections if connection not in self._busy]
        self._since = {connection: self._since.get(connection, now) for connection in idle}
        surplus = len(idle) - _MAX_IDLE
        for connection, since in sorted(self._since.items(), key=lambda item: item[1]):
            if now - since < HEAD_SECONDS and surplus <= 0:
                break
            surplus -= 1
            connection.force_close()
