"""The HTTP port: pages that say whether the server lives and what it does, and the WebSockets of rooms."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import teleglyph
from teleglyph.errors import BindFailed
from teleglyph.net import SlidingWindow, is_loopback, network_of
from teleglyph.net.websocket import WebSocketSession, request_head, same_origins, take_over

if TYPE_CHECKING:
    from aiohttp import web

    from teleglyph.server.app import Server

_log = logging.getLogger(__name__)


ROOM_PATHS = ("/rooms", "/ws/rooms", "/ws")
"""Where the relay answers; the last is where programs of other relays look for it."""
_KEEPALIVE_SECONDS = 15.0
_REQUESTS_PER_MINUTE = 1200
"""Of one address; ``--connection-rate 0`` lifts this limit, too."""
_REMEMBERED_ADDRESSES = 1000
_OUTCOMES = ("win", "loss", "draw", None)


class HttpFront:
    """``GET /health`` (for probes), ``GET /statistics`` (JSON, the same figures as the log's), WebSockets for rooms.

    The statistics name people and their addresses, so only this machine may read them.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._runner: web.AppRunner | None = None
        self.port = 0
        limit = _REQUESTS_PER_MINUTE if server.config.connections_per_minute else 0
        self._requests = SlidingWindow(limit, 60.0, max_keys=_REMEMBERED_ADDRESSES)

    async def start(self, addresses: Sequence[str], port: int) -> None:
        """Listen on the given addresses; one that cannot be used is reported and left out.

        Raises:
            BindFailed: none of them can be used.
        """
        from aiohttp import web

        app = web.Application(client_max_size=1 << 16, middlewares=[self._limit])
        app.add_routes([web.get("/health", self._health), web.get("/statistics", self._statistics)])
        app.add_routes([web.get("/metrics", self._metrics)])
        app.add_routes([web.post("/games/result", self._result), web.get(r"/games/{number:\d{1,18}}", self._record)])
        app.add_routes([web.get(path, self._rooms) for path in ROOM_PATHS])
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, keepalive_timeout=_KEEPALIVE_SECONDS, shutdown_timeout=0.5
        )
        await self._runner.setup()
        failures = []
        for address in addresses:
            try:
                await web.TCPSite(self._runner, address, port).start()
                port = self._runner.addresses[0][1]
            except OSError as error:
                failures.append(f"{address} ({error.strerror or error})")
        if len(failures) == len(addresses):
            raise BindFailed(
                f"HTTP port {port} cannot be used on {', '.join(failures)}: choose another with --http-port, "
                "or switch HTTP off with --no-http"
            )
        for failure in failures:
            _log.warning("no HTTP on %s", failure)
        self.port = self._runner.addresses[0][1]
        _log.info("HTTP on port %d", self.port)

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def _limit(self) -> Any:
        """Turns addresses away that ask too often; WebSockets have limits of their own once they are open."""
        from aiohttp import web

        @web.middleware
        async def limit(request: web.Request, handler: Any) -> web.StreamResponse:
            if not self._requests.allow(network_of(request.remote or ""), time.monotonic()):
                return self._json({"error": "too many requests, try again in a minute"}, status=429)
            answer: web.StreamResponse = await handler(request)
            return answer

        return limit

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
        if not is_loopback(request.remote or ""):
            return self._json({"error": "statistics are only shown to this machine"}, status=403)
        return self._json(
            {
                "rooms": [asdict(report) for report in self._server.reports()],
                "refused": dict(self._server.refused),
                "rooms_open": len(self._server.relay.rooms),
                "players": len(self._server.players),
                "connections": len(self._server.participants),
                "tasks": len(asyncio.all_tasks()),
            }
        )

    async def _record(self, request: web.Request) -> web.Response:
        """What was played, by its number."""
        records = self._server.records
        record = None
        if records is not None:
            record = await asyncio.wrap_future(records.record(int(request.match_info["number"])))
        if record is None:
            return self._json({"error": "there is no such record"}, status=404)
        content = asdict(record)
        content["result"] = None if record.result is None else json.loads(record.result)
        return self._json(content)

    async def _result(self, request: web.Request) -> web.Response:
        """What came out of a round, from the host: it shows that it is by the token of its seat."""
        server = self._server
        try:
            body = json.loads(await request.read())
            room = server.relay.rooms.get((str(body["game_id"]), str(body["room_code"])))
            result = json.dumps(body.get("result"))
            outcomes = {int(player): outcome for player, outcome in dict(body.get("outcomes") or {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return self._json({"error": f"this is no result: {type(error).__name__}"}, status=400)
        if room is None or server.records is None:
            return self._json({"error": "there is no such room, or nothing is kept here"}, status=404)
        if not server.relay.is_host(room, request.headers.get("Authorization", ""), network_of(request.remote or "")):
            return self._json({"error": "only the host may say this: Authorization: Bearer and its token"}, status=403)
        sitting = room.sitting(time.monotonic())
        if any(player not in sitting or outcome not in _OUTCOMES for player, outcome in outcomes.items()):
            return self._json({"error": f"outcomes are for {sitting}, and one of win, loss, draw, null"}, status=400)
        everybody = {player: outcomes.get(player) for player in sitting}
        number = await asyncio.wrap_future(server.records.result(room.id, result, everybody))
        if number is None:
            return self._json({"error": "the room has no open record"}, status=404)
        return self._json({"game_record_id": number})

    async def _metrics(self, request: web.Request) -> web.Response:
        """A few gauges in Prometheus' text format."""
        from aiohttp import web

        if not is_loopback(request.remote or ""):
            return self._json({"error": "metrics are only shown to this machine"}, status=403)
        server = self._server
        gauges = {
            "participants": sum(len(room) for room in server.rooms.values()),
            "rooms": len(server.relay.rooms),
            "players": len(server.players),
            "connections_refused_total": sum(server.refused.values()),
        }
        text = "".join(f"teleglyph_{name} {value}\n" for name, value in gauges.items())
        return web.Response(text=text, headers={"Cache-Control": "no-store"})

    async def _rooms(self, request: web.Request) -> web.StreamResponse:
        """Upgrade to a WebSocket and play until it ends."""
        server = self._server
        if not server.relay.games:
            return self._json({"error": "no games are played here: start the server with --game"}, status=404)
        refusal = server.refuse(request.remote or "")
        if refusal is not None:
            return self._json({"error": refusal}, status=429)
        session = WebSocketSession(
            request_head(request),
            origins=[*same_origins(request), *server.config.origins],
            max_message=server.players.max_message,
        )
        connection = take_over(request, session, server.players.limits.connection)
        if session.is_open:
            with server.counted(connection.peer):
                await server.players.serve(connection, session, network_of(connection.peer))
        else:
            await connection.close(half_close=True)
        return _taken_over()

    @staticmethod
    def _json(content: dict[str, Any], status: int = 200) -> web.Response:
        from aiohttp import web

        return web.json_response(content, status=status, headers={"Cache-Control": "no-store"})


def _taken_over() -> web.StreamResponse:
    """What a handler returns whose transport is gone: a response that is not sent."""
    from aiohttp import web

    class Nothing(web.Response):
        async def prepare(self, request: web.BaseRequest) -> None:
            return None

        async def write_eof(self, data: bytes = b"") -> None:
            return None

    return Nothing()
