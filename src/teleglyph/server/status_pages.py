"""``GET /health`` for probes, ``GET /statistics`` as JSON, ``GET /metrics`` for Prometheus, and ``POST /reload``."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import teleglyph
from teleglyph.server.access import HttpAccess
from teleglyph.server.http_answers import json_answer, with_trailing_slash
from teleglyph.server.services import Services

if TYPE_CHECKING:
    from aiohttp import web


class StatusPages:
    """The pages; :meth:`routes` has their addresses.

    Args:
        services: that they report on.
        access: decides who may read them.
    """

    def __init__(self, services: Services, access: HttpAccess) -> None:
        self._services = services
        self._access = access

    def routes(self) -> list[web.RouteDef]:
        """The routes, for an aiohttp application."""
        from aiohttp import web

        return [
            *(web.get(path, self._health) for path in with_trailing_slash("/health")),
            *(web.get(path, self._statistics) for path in with_trailing_slash("/statistics")),
            *(web.get(path, self._metrics) for path in with_trailing_slash("/metrics")),
            *(web.post(path, self._reload) for path in with_trailing_slash("/reload")),
        ]

    async def _health(self, _request: web.Request) -> web.Response:
        trouble = await self._services.database_trouble()
        return json_answer(
            {
                "status": "ok" if trouble is None else "degraded",
                **({} if trouble is None else {"reason": trouble}),
                "version": teleglyph.__version__,
                "protocol": "ACIP 1",
                "uptime_seconds": round(time.monotonic() - self._services.started_at, 1),
                "participants": sum(len(room) for room in self._services.rooms.values()),
            },
            status=200 if trouble is None else 503,
        )

    async def _statistics(self, request: web.Request) -> web.Response:
        if (refusal := self._access.refuse_reader(request)) is not None:
            return refusal
        return json_answer(
            {
                "rooms": [asdict(report) for report in self._services.reports()],
                "refused": dict(self._services.gate.refused),
                "rooms_open": len(self._services.relay.rooms),
                "players": len(self._services.players),
                "connections": len(self._services.participants),
                "tasks": len(asyncio.all_tasks()),
                **({} if self._services.events is None else {"events": self._services.events.statistics()}),
                **({} if self._services.discovery is None else {"discovery": self._services.discovery.counters}),
            }
        )

    async def _reload(self, request: web.Request) -> web.Response:
        """Reload what SIGHUP would reload."""
        if (refusal := self._access.refuse_administrator(request)) is not None:
            return refusal
        problems = await self._services.reload()
        return json_answer(
            {"games": [game.name for game in self._services.relay.games], "problems": problems},
            status=409 if problems else 200,
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        """A few gauges in Prometheus's text format."""
        from aiohttp import web

        if (refusal := self._access.refuse_reader(request)) is not None:
            return refusal
        services = self._services
        gauges = {
            "participants": sum(len(room) for room in services.rooms.values()),
            "call_rooms": len(services.rooms),
            "rooms": len(services.relay.rooms),
            "players": len(services.players),
            "connections_refused_total": sum(services.gate.refused.values()),
        }
        if services.discovery is not None:
            gauges |= {f"discovery_{name}": value for name, value in services.discovery.counters.items()}
        text = "".join(f"teleglyph_{name} {value}\n" for name, value in gauges.items())
        return web.Response(text=text, headers={"Cache-Control": "no-store"})
