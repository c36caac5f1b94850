"""Handles HTTP connections, with a short answer to invalid requests and without stack traces in the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from teleglyph.net import Stopwatch
from teleglyph.net.forwarding import Client

_log = logging.getLogger(__name__)
BAD_BODY = "The body of the request cannot be read."


class RequestHandler(web.RequestHandler):
    """Reads one connection's requests; unlike aiohttp's own, it does not expose parser errors to the peer.

    Args:
        client: the peer.
        leave: called when the connection has ended.
        charge: gets an address and the processor time that was used for it.
        server, options: of aiohttp.
    """

    __slots__ = ("_charge", "_leave", "client", "stopwatch")

    def __init__(
        self,
        client: Client,
        leave: Callable[[], None],
        charge: Callable[[str, float], object],
        server: web.Server,
        **options: Any,
    ) -> None:
        super().__init__(server, **options)
        self.client = client
        """The peer; without the forwarding headers of a proxy."""
        self._charge = charge
        self.stopwatch = Stopwatch(lambda _: None)
        """Charges the task that answers; request handlers start it (:func:`teleglyph.net.charged`)."""
        self._leave = leave

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.stopwatch.charge = partial(self._charge, self.client.address)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        began = time.thread_time()
        super().data_received(data)
        self.stopwatch.charge(time.thread_time() - began)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._leave()
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
