"""Small helpers for answers to HTTP requests, and the values that a request carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teleglyph.net.forwarding import Client

if TYPE_CHECKING:
    from aiohttp import web

CLIENT = "client"
"""The key under which a request has its client."""
DEADLINE = "deadline"
"""The key under which a request has the timeout for its answer."""


def json_answer(content: dict[str, Any], status: int = 200) -> web.Response:
    """A JSON answer that must not be cached."""
    from aiohttp import web

    return web.json_response(content, status=status, headers={"Cache-Control": "no-store"})


def client_of_request(request: web.Request) -> Client:
    """The client that sent a request, behind any trusted proxy."""
    client: Client = request[CLIENT]
    return client


def with_trailing_slash(*paths: str) -> list[str]:
    """Each path, also with a slash at its end."""
    return [spelling for path in paths for spelling in dict.fromkeys((path, path.rstrip("/") + "/"))]
