"""Signs of life of a page that comes in without a WebSocket, whose pings it would answer by itself."""

from __future__ import annotations

from teleglyph.net import Connection
from teleglyph.wire.acip import Ping


class PagePings:
    """Pings a page with packets (a :class:`~teleglyph.net.transport.Envelope`).

    A browser slows the clocks of hidden pages down, so such a page may be silent for longer than a program, but it
    answers a packet at once.

    Args:
        connection: of the page.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ping(self) -> None:
        """Send PING."""
        self._connection.send(Ping())

    def closing_bytes(self, _ending: BaseException | None) -> bytes:
        """None: the end of the stream is the end."""
        return b""
