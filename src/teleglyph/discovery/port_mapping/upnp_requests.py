"""HTTP requests to a UPnP router, within bounds."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import aiohttp
from async_upnp_client.client import UpnpRequester
from async_upnp_client.const import HttpRequest, HttpResponse

from teleglyph.errors import GatewayError

MAX_DOCUMENT: Final = 256 * 1024
"""Largest answer of a router in bytes."""
MAX_REQUESTS: Final = 40
"""Requests that a router's description may cause: one for each service that it names."""


class BoundedRequester(UpnpRequester):
    """HTTP to one router: of bounded size and number, and to nobody else."""

    def __init__(self, gateway: str, timeout: float) -> None:
        self._gateway = gateway
        self._left = MAX_REQUESTS
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout),
            # A compressed answer could become much larger than what is read.
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def allow_more(self) -> None:
        """Allow the requests of one action."""
        self._left = max(self._left, 1)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def async_http_request(self, http_request: HttpRequest) -> HttpResponse:
        url = urlsplit(http_request.url)
        if url.scheme != "http" or url.hostname != self._gateway:
            raise GatewayError("UPnP: The router refers to an address that is not its own.")
        if self._left <= 0:
            raise GatewayError(f"UPnP: The router's description needs more than {MAX_REQUESTS} requests.")
        self._left -= 1
        async with self._session.request(
            http_request.method,
            http_request.url,
            headers=http_request.headers,
            data=http_request.body,
            allow_redirects=False,
        ) as response:
            body = b""
            while chunk := await response.content.read(MAX_DOCUMENT):
                body += chunk
                if len(body) > MAX_DOCUMENT:
                    raise GatewayError(f"UPnP: The router sent a document of more than {MAX_DOCUMENT // 1024} KiB.")
            return HttpResponse(response.status, response.headers, body.decode(errors="replace"))
