"""Puts together the HTTP pages of a server for calls."""

from __future__ import annotations

from teleglyph.server.access import HttpAccess
from teleglyph.server.call_pages import CallPages
from teleglyph.server.event_pages import EventPages
from teleglyph.server.http import HttpFront
from teleglyph.server.room_pages import RoomPages
from teleglyph.server.services import Services
from teleglyph.server.status_pages import StatusPages
from teleglyph.server.tls_certificate import ServerTls
from teleglyph.server.upgrades import Upgrader
from teleglyph.server.web_pages import WebPages


def call_http(services: Services, tls: ServerTls) -> HttpFront:
    """The HTTP of a server for calls.

    Args:
        services: that the pages show.
        tls: the server's certificate.
    """
    access = HttpAccess(services.config)
    upgrader = Upgrader(services.gate, access)
    calls = CallPages(services, access, upgrader)
    web_pages = WebPages(services.config.page, tls)
    pages = (
        calls,
        StatusPages(services, access),
        RoomPages(services, access, upgrader),
        EventPages(services, access, upgrader, web_pages.front),
        web_pages,
    )
    return HttpFront(services.config, services.gate, tls, access, pages, web_pages, [calls.by_subprotocol])
