"""Rooms of games over HTTP: their WebSocket, the public list, and the records of games."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from teleglyph.errors import StoreError
from teleglyph.events.room_groups import room_group
from teleglyph.net import network_of
from teleglyph.rooms.room import RelayRoom
from teleglyph.rooms.service import TOO_LARGE_FRAMES
from teleglyph.server.access import HttpAccess
from teleglyph.server.http_answers import json_answer, with_trailing_slash
from teleglyph.server.services import Services
from teleglyph.server.upgrades import Upgrader
from teleglyph.store import Record
from teleglyph.store.records import FINISHED
from teleglyph.wire.rooms.extended import SUBPROTOCOL

if TYPE_CHECKING:
    from aiohttp import web


_PATHS = ("/rooms", "/ws/rooms", "/ws")
"""Paths of the WebSocket; programs for other relays use the last one."""
_OUTCOMES = ("win", "loss", "draw", None)
_PER_PAGE, _MAX_PER_PAGE = 20, 100
_MAX_PAGES = 100_000
_WRONG_PAGE = {"error": f"page must be 1 to {_MAX_PAGES}, and per_page 1 to {_MAX_PER_PAGE}."}
_MAX_REASON = 200
"""Characters of the reason why a round was abandoned."""
_RESULT_FORM = (
    "This is not a valid result. Send a JSON object with the strings game_id and room_code, outcomes by player number, "
    "and either a result or the reason in abandoned."
)
_IDENTITY = re.compile(r"[0-9a-f]{64}")


class RoomPages:
    """The pages; :meth:`routes` has their addresses.

    Args:
        services: have the rooms and records.
        access: knows the server's names.
        upgrader: opens WebSockets.
    """

    def __init__(self, services: Services, access: HttpAccess, upgrader: Upgrader) -> None:
        self._services = services
        self._access = access
        self._upgrader = upgrader

    def routes(self) -> list[web.RouteDef]:
        """The routes, for an aiohttp application."""
        from aiohttp import web

        return [
            *(web.get(path, self._rooms) for path in with_trailing_slash(*_PATHS)),
            web.post("/games/result", self._guarded(self._result)),
            web.get(r"/games/{record_id:\d{1,18}}", self._guarded(self._record)),
            web.get("/players/{identity}/games", self._guarded(self._player)),
        ]

    async def _rooms(self, request: web.Request) -> web.StreamResponse:
        """List the public rooms, or upgrade to a WebSocket and play."""
        services = self._services
        if request.path.rstrip("/") == "/rooms" and "Upgrade" not in request.headers:
            return await self._list(request)
        if not services.relay.games:
            return json_answer(
                {"error": "There are no games here. To offer some, start the server with --game."}, status=404
            )
        return await self._upgrader.upgrade(
            request,
            services.players.serve,
            services.players.limits.connection,
            origins=self._access.origins(request),
            subprotocols=[SUBPROTOCOL],
            max_message=services.players.max_message,
            too_large=TOO_LARGE_FRAMES,
        )

    async def _list(self, request: web.Request) -> web.Response:
        """List the public rooms, the oldest first."""
        page = _page(request)
        if page is None:
            return json_answer(
                {"error": f"page must be 1 to {_MAX_PAGES}, and per_page 1 to {_MAX_PER_PAGE}."}, status=400
            )
        number, per_page = page
        rooms = self._services.relay.public_rooms()
        shown = rooms[(number - 1) * per_page : number * per_page]
        return json_answer(
            {
                "rooms": [self._describe_room(room) for room in shown],
                "total": len(rooms),
                "page": number,
                "per_page": per_page,
            }
        )

    def _describe_room(self, room: RelayRoom) -> dict[str, Any]:
        events = self._services.events
        has_group = events is not None and events.groups is not None
        return {
            "game": room.rules.name,
            "room": room.name,
            "variation": room.variation,
            "players": room.player_count(time.monotonic()),
            "max_players": room.rules.max_players,
            "host_present": room.host_link is not None,
            **({"group": room_group(room.rules.name, room.name)} if has_group else {}),
        }

    async def _record(self, request: web.Request) -> web.Response:
        """The record of a round, by its id."""
        records = self._services.records
        record = None
        if records is not None:
            record = await asyncio.wrap_future(records.find_record(int(request.match_info["record_id"])))
        if record is None:
            return json_answer({"error": "There is no such record."}, status=404)
        return json_answer(_describe_record(record))

    async def _player(self, request: web.Request) -> web.Response:
        """The records of a player who proved a key, the newest first."""
        identity, page = request.match_info["identity"].lower(), _page(request)
        if not _IDENTITY.fullmatch(identity):
            return json_answer({"error": "An identity is an Ed25519 key of 64 hexadecimal digits."}, status=400)
        if page is None:
            return json_answer(
                {"error": f"page must be 1 to {_MAX_PAGES}, and per_page 1 to {_MAX_PER_PAGE}."}, status=400
            )
        if self._services.records is None:
            return json_answer({"error": "This server stores no records."}, status=404)
        player = await asyncio.wrap_future(self._services.records.find_player(identity, *page))
        return json_answer(
            {
                "identity": identity,
                "games": player.total,
                "wins": player.outcomes.get("win", 0),
                "losses": player.outcomes.get("loss", 0),
                "draws": player.outcomes.get("draw", 0),
                "records": [_describe_record(record) for record in player.records],
                "page": page[0],
                "per_page": page[1],
            }
        )

    async def _result(self, request: web.Request) -> web.Response:
        """Store the result of a round, sent by the host with the token of its seat."""
        services = self._services
        try:
            body = json.loads(await request.read())
            room = services.relay.rooms.get((str(body["game_id"]), str(body["room_code"])))
            outcomes = {int(player): outcome for player, outcome in dict(body.get("outcomes") or {}).items()}
            number, reason = _round(body), _reason(body)
            result = None if reason else json.dumps(body.get("result"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return json_answer({"error": _RESULT_FORM}, status=400)
        if room is None or services.records is None:
            return json_answer({"error": "There is no such room, or this server stores no records."}, status=404)
        if not services.relay.is_host(room, request.headers.get("Authorization", ""), network_of(request.remote or "")):
            return json_answer(
                {"error": "Only the host may send results. Send the header Authorization: Bearer with its token."},
                status=403,
            )
        now = time.monotonic()
        taking_part = room.round_players(now)
        if any(player not in taking_part or outcome not in _OUTCOMES for player, outcome in outcomes.items()):
            seats = ", ".join(map(str, taking_part)) or "nobody now"
            return json_answer(
                {"error": f"Outcomes must be for {seats}, each one of win, loss, draw, null."}, status=400
            )
        everybody = {**dict.fromkeys(room.current_players(now)), **outcomes}
        record = await asyncio.wrap_future(
            services.records.record_result(
                room.id,
                result,
                everybody,
                room.identities(everybody),
                reason=f"abandoned: {reason}" if reason else FINISHED,
                round_number=number,
            )
        )
        if record is None:
            return json_answer({"error": "The room has no open record."}, status=404)
        room.begin_round()
        return json_answer({"game_record_id": record})

    @staticmethod
    def _guarded(handler: Any) -> Any:
        """Answer 503 when the database fails."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                response: web.StreamResponse = await handler(request)
            except StoreError:
                return json_answer({"error": "The database cannot answer now. Try again later."}, status=503)
            return response

        return guarded


def _page(request: web.Request) -> tuple[int, int] | None:
    """The requested page, counted from 1, and its size; None if they are invalid."""
    texts = request.query.get("page", "1"), request.query.get("per_page", str(_PER_PAGE))
    if not all(text.isascii() and text.isdecimal() and len(text) < 8 for text in texts):
        return None
    page, per_page = map(int, texts)
    return (page, per_page) if 1 <= page <= _MAX_PAGES and 1 <= per_page <= _MAX_PER_PAGE else None


def _round(body: dict[str, Any]) -> int | None:
    """The round that a report is about; None if it does not say.

    Raises:
        ValueError: it is invalid.
    """
    number = body.get("round")
    if number is not None and (type(number) is not int or not 1 <= number < 1 << 31):
        raise ValueError("a round is a number from 1")
    return number


def _reason(body: dict[str, Any]) -> str:
    """Why a round was abandoned; empty if it was finished.

    Raises:
        ValueError: the reason is invalid.
    """
    reason = body.get("abandoned", "")
    if not isinstance(reason, str) or len(reason) > _MAX_REASON or not reason.isprintable():
        raise ValueError(f"a reason has at most {_MAX_REASON} printable characters")
    if reason and body.get("result") is not None:
        raise ValueError("an abandoned round has no result")
    return reason


def _describe_record(record: Record) -> dict[str, Any]:
    return {**asdict(record), "result": None if record.result is None else json.loads(record.result)}
