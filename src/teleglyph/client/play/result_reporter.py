"""Report results to the server that keeps records."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

_log = logging.getLogger(__name__)

_TIMEOUT = 5.0
_FIRST_PAUSE, _MAX_PAUSE = 1.0, 30.0
MAX_PENDING = 16
"""Reports that may wait for the server; beyond that, the oldest are dropped."""
_MAX_REFUSALS = 5
_ROOM_PATHS = ("/ws/rooms", "/rooms", "/ws")
_MAX_RESPONSE = 4096


def result_url(rooms_url: str) -> str:
    """The URL for results, for a relay at ``rooms_url`` (``ws://`` or ``wss://``)."""
    parts = urlsplit(rooms_url)
    path = parts.path.rstrip("/")
    base = next((path.removesuffix(end) for end in _ROOM_PATHS if path.endswith(end)), "")
    scheme = "https" if parts.scheme == "wss" else "http"
    return f"{scheme}://{parts.netloc}{base}/games/result"


class ResultReporter:
    """Sends reports in order, and retries until the server has them.

    A report names its round, so a report that is sent twice counts once.

    Args:
        url: from :func:`result_url`.
        authorization: returns the header that proves who hosts the room.
        on_sent: called after a report was removed from :attr:`pending`.
    """

    def __init__(self, url: str, authorization: Callable[[], str], on_sent: Callable[[], Awaitable[None]]) -> None:
        self.pending: list[dict[str, Any]] = []
        """Unconfirmed reports, the oldest first; JSON objects."""
        self._url = url
        self._authorization = authorization
        self._on_sent = on_sent
        self._added = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def add(self, report: dict[str, Any]) -> None:
        """Queue a report."""
        self.pending.append(report)
        if len(self.pending) > MAX_PENDING:
            _log.warning("Dropped a result: %d others are still unconfirmed.", MAX_PENDING)
            del self.pending[0]
        self._is_idle.clear()
        self._added.set()

    async def run(self) -> None:
        """Send pending reports until cancelled."""
        pause, refusals = _FIRST_PAUSE, 0
        while True:
            self._added.clear()
            if not self.pending:
                self._is_idle.set()
                await self._added.wait()
                continue
            report = self.pending[0]
            status = await asyncio.to_thread(_post, self._url, self._authorization(), report)
            if status == HTTPStatus.BAD_REQUEST and "outcomes" in report:
                # The guest left before the report arrived; the result itself still counts.
                del report["outcomes"]
                continue
            # Someone else at our address may have guessed tokens; then the server refuses ours for a while, too.
            refusals = refusals + 1 if status == HTTPStatus.FORBIDDEN else 0
            if status == 0 or status >= HTTPStatus.INTERNAL_SERVER_ERROR or 0 < refusals < _MAX_REFUSALS:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _MAX_PAUSE)
                continue
            pause, refusals = _FIRST_PAUSE, 0
            if status == HTTPStatus.NOT_FOUND:
                _log.info("The server keeps no records of this room.")
            elif status != HTTPStatus.OK:
                _log.warning("The server refused a result (HTTP %d).", status)
            if self.pending and self.pending[0] is report:
                del self.pending[0]
            await self._on_sent()

    async def flush(self, seconds: float) -> None:
        """Wait until every report is sent, but at most ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._is_idle.wait()
        except TimeoutError:
            _log.warning("Left with %d unconfirmed results.", len(self.pending))


def _post(url: str, authorization: str, report: dict[str, Any]) -> int:
    """Send a report and return the HTTP status, or 0 without a response."""
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT)
    try:
        connection.request("POST", parts.path, json.dumps(report), {"Authorization": authorization})
        response = connection.getresponse()
        response.read(_MAX_RESPONSE)
        return response.status
    except (OSError, http.client.HTTPException) as error:
        _log.info("Could not send a result: %s", error)
        return 0
    finally:
        connection.close()
