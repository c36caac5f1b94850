"""Requests that are not HTTP, or only nearly: each gets a sentence, and the log gets no stack."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

_log = logging.getLogger(__name__)
BAD_BODY = "The body of the request cannot be read."


class RequestHandler(web.RequestHandler):
    """Reads one connection's requests; aiohttp's own would answer with its parser's text and Python's notation."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        _log.debug("%s sent a request that is not valid HTTP (%d)", request.remote, status)
        is_host = message is not None and "'Host' header" in message
        text = "A request has exactly one Host header." if is_host else "The request is not valid HTTP."
        response = web.Response(status=status, text=f"{text}\n")
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        error = kwargs.get("exc_info")
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            _log.debug("%s", BAD_BODY)
        else:
            super().log_exception(*args, **kwargs)
