"""Handles HTTP connections, with a short answer to invalid requests and without stack traces in the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from teleglyph.net import Stopwatch
from teleglyph.net.tcp import peer_name, refuse
from teleglyph.server.front_door import refusal

_log = logging.getLogger(__name__)
_MAX_REFUSED = 16
_REFUSED_SECONDS = 1.0
BAD_BODY = "The body of the request cannot be read."


class RefusedConnection:
    """A connection that was refused: it gets an answer if it sends a request soon and few others wait for theirs.

    An answer before the request would be lost, because closing a connection with unread bytes resets it.
    """

    _waiting = 0

    def __init__(self, transport: asyncio.Transport, reason: str) -> None:
        self._transport = transport
        self._reason = reason
        self._timer: asyncio.TimerHandle | None = None
        if RefusedConnection._waiting < _MAX_REFUSED:
            RefusedConnection._waiting += 1
            self._timer = asyncio.get_running_loop().call_later(_REFUSED_SECONDS, transport.abort)
        else:
            transport.abort()

    def send_refusal(self) -> None:
        """Answer its request and close it."""
        refuse(self._transport, refusal("429 Too Many Requests", self._reason))

    def release(self) -> None:
        """Release its place; the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            RefusedConnection._waiting -= 1


class RequestHandler(web.RequestHandler):
    """Reads one connection's requests; unlike aiohttp's own, it does not expose parser errors to the peer.

    Args:
        let_in: counts a connection of an address; returns a function that uncounts it, or the reason for refusing it.
        charge: gets an address and the processor time that was used for it.
        server, options: of aiohttp.
    """

    __slots__ = ("_charge", "_leave", "_let_in", "_refused", "stopwatch")

    def __init__(
        self,
        let_in: Callable[[str], Callable[[], None] | str],
        charge: Callable[[str, float], object],
        server: web.Server,
        **options: Any,
    ) -> None:
        super().__init__(server, **options)
        self._charge = charge
        self.stopwatch = Stopwatch(lambda _: None)
        """Charges the task that answers; request handlers start it (:func:`teleglyph.net.charged`)."""
        self._let_in = let_in
        self._leave: Callable[[], None] | None = None
        self._refused: RefusedConnection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        leave = self._let_in(peer_name(transport))
        if isinstance(leave, str):
            self._refused = RefusedConnection(cast(asyncio.Transport, transport), leave)
            return
        self._leave = leave
        self.stopwatch.charge = partial(self._charge, peer_name(transport))
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._refused is not None:
            self._refused.send_refusal()
        elif self._leave is not None:
            began = time.thread_time()
            super().data_received(data)
            self.stopwatch.charge(time.thread_time() - began)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._refused is not None:
            self._refused.release()
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
            super().connection_lost(exc)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        _log.debug("%s sent a request that is not valid HTTP (%d)", request.remote, status)
        is_host = message is not None and "'Host' header" in message
        text = "A request must have exactly one Host header." if is_host else "The request is not valid HTTP."
        response = web.Response(status=status, text=f"{text}\n")
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        error = kwargs.get("exc_info")
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            _log.debug("%s", BAD_BODY)
        else:
            super().log_exception(*args, **kwargs)
