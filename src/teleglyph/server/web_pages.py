"""The page for browsers: at ``/`` and at the name of a room, with its files under ``/web/`` (docs/protocol/page.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import teleglyph
from teleglyph.room_name import parse_room_name
from teleglyph.server.accept_header import accepts
from teleglyph.server.http_answers import with_trailing_slash
from teleglyph.server.page_files import PageFile, PageFiles, load_page
from teleglyph.server.tls_certificate import ServerTls

if TYPE_CHECKING:
    from aiohttp import web

RESERVED_NAMES = frozenset(
    {
        *("call", "events", "games", "health", "metrics", "players", "reload", "rooms", "statistics", "web", "ws"),
        *("apple-touch-icon.png", "favicon.ico", "manifest.json", "robots.txt", "service-worker.js", "sitemap.xml"),
    }
)
"""Names that have another meaning as a path, so that rooms with these names have no page of their own."""
_ROOM = f"{{room:(?!(?i:{'|'.join(sorted(name.replace('.', '[.]') for name in RESERVED_NAMES))})/?$)[^/]+}}"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_STRICT_TRANSPORT = "max-age=31536000"
_FOREVER = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"
_NOT_FOUND = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Not found</title>
<p>There is no such page. Names of rooms have 1 to 32 letters from a to z, digits, '-', '_' or '.'.</p>
<p><a href="/">Join the lobby</a></p>
"""


class WebPages:
    """The page; :meth:`routes` has its addresses, except ``/``, for which :meth:`front` is.

    Args:
        is_on: False serves no page.
        tls: the server's certificate.
        head: elements to add to the head of the page.
        check_name: raises ValueError for names that have no page.
        not_found: the page for those.
    """

    def __init__(
        self,
        is_on: bool,
        tls: ServerTls,
        head: bytes = b"",
        check_name: Callable[[str], object] = parse_room_name,
        not_found: str = _NOT_FOUND,
    ) -> None:
        self._is_on = is_on
        self._tls = tls
        self._head = head
        self._check_name = check_name
        self._not_found = not_found
        self._files: PageFiles | None = None

    async def prepare(self) -> None:
        """Read the files."""
        if self._is_on:
            self._files = await asyncio.to_thread(load_page, None, self._head)

    def routes(self) -> list[web.RouteDef]:
        """The routes, for an aiohttp application."""
        from aiohttp import web

        if not self._is_on:
            return []
        return [
            web.get("/web/{version}/{name:.+}", self._file),
            *(web.get(path, self._room) for path in with_trailing_slash(f"/{_ROOM}")),
        ]

    def front(self, request: web.Request) -> web.Response:
        """The answer for ``/``: the page for browsers, and one line of text for other clients."""
        from aiohttp import web

        if self._files is not None and request.path == "/" and accepts(_accepted(request), "text/html"):
            return self._page(request, self._files)
        return web.Response(text=f"Teleglyph {teleglyph.__version__}\n", headers={"Cache-Control": "no-store"})

    async def _room(self, request: web.Request) -> web.Response:
        """The page of a room.  It shows by itself why a room cannot be joined."""
        from aiohttp import web

        if self._files is None or "Upgrade" in request.headers:
            raise web.HTTPNotFound
        try:
            self._check_name(request.match_info["room"])
        except ValueError:
            return self._answer(request, _REVALIDATE, text=self._not_found, content_type="text/html", status=404)
        return self._page(request, self._files)

    async def _file(self, request: web.Request) -> web.Response:
        from aiohttp import web

        if self._files is None or request.match_info["version"] != self._files.version:
            raise web.HTTPNotFound
        file = self._files.others.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        return self._send(request, file, _FOREVER)

    def _page(self, request: web.Request, files: PageFiles) -> web.Response:
        tag = f'W/"{files.version}"'
        known = request.if_none_match or ()
        if any(one.value in (files.version, "*") for one in known):
            response = self._answer(request, _REVALIDATE, status=304)
        else:
            response = self._send(request, files.index, _REVALIDATE)
        response.headers["ETag"] = tag
        # At / the same address has the relay's document, too.
        response.headers["Vary"] = "Accept, Accept-Encoding"
        return response

    def _send(self, request: web.Request, file: PageFile, cache: str) -> web.Response:
        body = file.body
        headers = {"Content-Type": file.type, "Vary": "Accept-Encoding"}
        if file.compressed is not None and accepts(request.headers.getall("Accept-Encoding", []), "gzip"):
            body = file.compressed
            headers["Content-Encoding"] = "gzip"
        response = self._answer(request, cache, body=body)
        response.headers.update(headers)
        return response

    def _answer(self, request: web.Request, cache: str, **options: object) -> web.Response:
        from aiohttp import web

        headers = {**_HEADERS, "Cache-Control": cache}
        if self._tls.is_public and request.secure:
            headers["Strict-Transport-Security"] = _STRICT_TRANSPORT
        return web.Response(headers=headers, **options)  # type: ignore[arg-type]


def _accepted(request: web.Request) -> list[str]:
    return request.headers.getall("Accept", [])
