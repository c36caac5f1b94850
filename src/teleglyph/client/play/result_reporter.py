"""What came out of a game, told to the server that keeps records."""

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
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
MAX_PENDING = 16
"""Reports that wait for a server that does not answer; beyond that the oldest are lost."""
_MAX_REFUSALS = 5
_ROOM_PATHS = ("/ws/rooms", "/rooms", "/ws")
_MAX_ANSWER = 4096


def result_url(rooms_url: str) -> str:
    """Where results go, for a relay at ``rooms_url`` (``ws://`` or ``wss://``)."""
    parts = urlsplit(rooms_url)
    path = parts.path.rstrip("/")
    base = next((path.removesuffix(end) for end in _ROOM_PATHS if path.endswith(end)), "")
    scheme = "https" if parts.scheme == "wss" else "http"
    return f"{scheme}://{parts.netloc}{base}/games/result"


class Results:
    """Reports results in order, and again until the server has them.

    A report names its round, so one that is sent twice counts once.

    Args:
        url: where they go; see :func:`result_url`.
        authorization: gives the header that proves who hosts the room.
        on_sent: called after a report has left :attr:`pending`.
    """

    def __init__(self, url: str, authorization: Callable[[], str], on_sent: Callable[[], Awaitable[None]]) -> None:
        self.pending: list[dict[str, Any]] = []
        """What the server has not confirmed, the oldest first; JSON objects."""
        self._url = url
        self._authorization = authorization
        self._on_sent = on_sent
        self._news = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def add(self, report: dict[str, Any]) -> None:
        """Send a report as soon as the ones before it are sent."""
        self.pending.append(report)
        if len(self.pending) > MAX_PENDING:
            _log.warning("A result was not recorded: the server has not taken %d others.", MAX_PENDING)
            del self.pending[0]
        self._is_idle.clear()
        self._news.set()

    async def run(self) -> None:
        """Send what is pending, until cancelled."""
        pause, refusals = _FIRST_PAUSE, 0
        while True:
            self._news.clear()
            if not self.pending:
                self._is_idle.set()
                await self._news.wait()
                continue
            report = self.pending[0]
            status = await asyncio.to_thread(_post, self._url, self._authorization(), report)
            if status == HTTPStatus.BAD_REQUEST and "outcomes" in report:
                # The guest was gone before the report came; the result itself still counts.
                del report["outcomes"]
                continue
            # Somebody else at our address may have guessed tokens; then ours is not believed for a while either.
            refusals = refusals + 1 if status == HTTPStatus.FORBIDDEN else 0
            if status == 0 or status >= HTTPStatus.INTERNAL_SERVER_ERROR or 0 < refusals < _MAX_REFUSALS:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause, refusals = _FIRST_PAUSE, 0
            if status == HTTPStatus.NOT_FOUND:
                _log.info("The server keeps no record of this room.")
            elif status != HTTPStatus.OK:
                _log.warning("The server refused a result (HTTP %d).", status)
            if self.pending and self.pending[0] is report:
                del self.pending[0]
            await self._on_sent()

    async def drain(self, seconds: float) -> None:
        """Wait until everything is sent, for at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._is_idle.wait()
        except TimeoutError:
            _log.warning("The server has not confirmed %d results.", len(self.pending))


def _post(url: str, authorization: str, report: dict[str, Any]) -> int:
    """Send a report; the HTTP status, or 0 if there was no answer."""
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT)
    try:
        connection.request("POST", parts.path, json.dumps(report), {"Authorization": authorization})
        answer = connection.getresponse()
        answer.read(_MAX_ANSWER)
        return answer.status
    except (OSError, http.client.HTTPException) as error:
        _log.info("A result could not be sent: %s", error)
        return 0
    finally:
        connection.close()
