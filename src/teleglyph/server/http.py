"""The HTTP port: for now one page that says whether the server lives and what it does."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import teleglyph
from teleglyph.errors import BindFailed

if TYPE_CHECKING:
    from aiohttp import web

    from teleglyph.server.app import Server

_log = logging.getLogger(__name__)


class StatusPage:
    """``GET /health`` (for probes) and ``GET /statistics`` (JSON, the same figures as the log's).

    The statistics name people and their addresses, so only this machine may read them.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._runner: web.AppRunner | None = None

    async def start(self, addresses: Sequence[str], port: int) -> None:
        """Listen on the given addresses; one that cannot be used is reported and left out.

        Raises:
            BindFailed: none of them can be used.
        """
        from aiohttp import web

        app = web.Application(client_max_size=1 << 16)
        app.add_routes([web.get("/health", self._health), web.get("/statistics", self._statistics)])
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        failures = []
        for address in addresses:
            try:
                await web.TCPSite(self._runner, address, port).start()
            except OSError as error:
                failures.append(f"{address} ({error.strerror or error})")
        if len(failures) == len(addresses):
            raise BindFailed(
                f"HTTP port {port} cannot be used on {', '.join(failures)}: choose another with --http-port, "
                "or switch HTTP off with --no-http"
            )
        for failure in failures:
            _log.warning("no HTTP on %s", failure)
        _log.info("status pages on HTTP port %d", port)

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, _request: web.Request) -> web.Response:
        return self._json(
            {
                "status": "ok",
                "version": teleglyph.__version__,
                "protocol": "ACIP 1",
                "uptime_seconds": round(time.monotonic() - self._server.started_at, 1),
                "participants": sum(len(room) for room in self._server.rooms.values()),
            }
        )

    async def _statistics(self, request: web.Request) -> web.Response:
        if not _is_loopback(request.remote):
            return self._json({"error": "statistics are only shown to this machine"}, status=403)
        return self._json(
            {
                "rooms": [asdict(report) for report in self._server.reports()],
                "refused": dict(self._server.refused),
                "connections": len(self._server.participants),
                "tasks": len(asyncio.all_tasks()),
            }
        )

    @staticmethod
    def _json(content: dict[str, Any], status: int = 200) -> web.Response:
        from aiohttp import web

        return web.json_response(content, status=status, headers={"Cache-Control": "no-store"})


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
