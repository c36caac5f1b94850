"""Decides who may read figures and administer the server over HTTP; knows its names on each connection."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING

from teleglyph.net import GuessLimiter, OwnNames, network_of
from teleglyph.server.http_answers import client_of_request, json_answer
from teleglyph.server.http_config import HttpConfig
from teleglyph.server.own_names import KnownNames

if TYPE_CHECKING:
    from aiohttp import web

_LOCAL_ONLY = (
    "Only programs on this machine may read this, without a proxy. To read it from elsewhere, start the server with "
    "--admin-token."
)


class HttpAccess:
    """Decides whether a request may read figures or administer the server.

    Without the administrator's token only programs on this machine may read the statistics, and only without a proxy,
    because the statistics name people and their addresses.

    Args:
        config: has the administrator's token.

    Attributes:
        names: of the server; None until they are read.
        guesses: limits wrong tokens and authentications.
    """

    def __init__(self, config: HttpConfig) -> None:
        self._config = config
        self.names: KnownNames | None = None
        self.guesses = GuessLimiter(burst=3, first=1.0)

    def own_names(self, request: web.Request) -> OwnNames:
        """The server's names on a request's connection."""
        asked = request.headers.get("Host", "")
        if self.names is None:
            return OwnNames(asked=asked)
        local = request.get_extra_info("sockname")
        return self.names.of(client_of_request(request), str(local[0]) if isinstance(local, tuple) else "", asked)

    def origins(self, request: web.Request) -> list[str | None]:
        """The origins that may open WebSockets for calls and games.

        These are pages of this server, those in the configuration, and clients that are not pages (None).
        """
        names, configured = self.own_names(request), self._config.origins
        # The name of a page from elsewhere may resolve to this machine (DNS rebinding).
        if client_of_request(request).is_local and not names.is_own_host(names.asked):
            return [None, *configured]
        host = request.headers.get("Host", "")
        return [None, f"http://{host}", f"https://{host}", *configured]

    def is_on_this_machine(self, request: web.Request) -> bool:
        """Whether a program on this machine sent a request, and not a page from elsewhere in a local browser.

        The name of such a page may resolve to this machine (DNS rebinding), but its requests then have that name.
        """
        names, origin = self.own_names(request), request.headers.get("Origin")
        is_page_of_others = origin is not None and not names.is_own_url(origin)
        # HTTP/1.0 needs no Host header, but browsers do not use it.
        return (
            client_of_request(request).is_local
            and not is_page_of_others
            and (not names.asked or names.is_own_host(names.asked))
        )

    def refuse_reader(self, request: web.Request) -> web.Response | None:
        """The answer to a request that may not read figures; None if it may."""
        if self.is_on_this_machine(request):
            return None
        if self._config.admin_token is None:
            return json_answer({"error": _LOCAL_ONLY}, status=403)
        return self.refuse_administrator(request)

    def refuse_administrator(self, request: web.Request) -> web.Response | None:
        """The answer to a request without the administrator's token; None if it has the token."""
        token, network = self._config.admin_token, network_of(request.remote or "")
        if token is None:
            return json_answer(
                {"error": "Nobody may do this. To allow it, start the server with --admin-token."}, status=403
            )
        wrong = {"error": "Wrong token. Send the header Authorization: Bearer with the server's --admin-token."}
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return json_answer(wrong, status=403)
        if self.guesses.attempt(network, time.monotonic()) > 0:
            return json_answer({"error": "Too many wrong tokens. Try again later."}, status=429)
        if not hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token.encode()):
            self.guesses.failed(network, time.monotonic())
            return json_answer(wrong, status=403)
        self.guesses.succeeded(network, time.monotonic())
        return None
