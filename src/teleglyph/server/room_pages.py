"""What the HTTP port says of rooms: which are listed, what was played, and where hosts report it."""

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
from teleglyph.rooms.room import Room
from teleglyph.store import Record
from teleglyph.store.records import FINISHED

if TYPE_CHECKING:
    from aiohttp import web

    from teleglyph.server.app import Server

_OUTCOMES = ("win", "loss", "draw", None)
_PER_PAGE, _MAX_PER_PAGE = 20, 100
_MAX_PAGES = 100_000
_MAX_REASON = 200
"""Characters of a reason why a round was abandoned."""
_RESULT_FORM = (
    "this is not a result: send a JSON object with the texts game_id and room_code, outcomes by player numbers, and "
    "either a result or the reason in abandoned"
)
_IDENTITY = re.compile(r"[0-9a-f]{64}")


def answer(content: dict[str, Any], status: int = 200) -> web.Response:
    """A JSON answer that nobody keeps."""
    from aiohttp import web

    return web.json_response(content, status=status, headers={"Cache-Control": "no-store"})


class RoomPages:
    """The pages; :meth:`routes` has their addresses.

    Args:
        server: whose rooms and records they show.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def routes(self) -> list[web.RouteDef]:
        """For an aiohttp application."""
        from aiohttp import web

        return [
            web.post("/games/result", self._guarded(self._result)),
            web.get(r"/games/{number:\d{1,18}}", self._guarded(self._record)),
            web.get("/players/{identity}/games", self._guarded(self._player)),
        ]

    async def listed(self, request: web.Request) -> web.Response:
        """The rooms that are marked public, the oldest first."""
        page = _page(request)
        if page is None:
            return answer({"error": f"page is 1 or more, per_page 1 to {_MAX_PER_PAGE}"}, status=400)
        number, per_page = page
        rooms = self._server.relay.listed()
        shown = rooms[(number - 1) * per_page : number * per_page]
        return answer(
            {
                "rooms": [self._show_room(room) for room in shown],
                "total": len(rooms),
                "page": number,
                "per_page": per_page,
            }
        )

    def _show_room(self, room: Room) -> dict[str, Any]:
        events = self._server.events
        has_group = events is not None and events.groups is not None
        return {
            "game": room.rules.name,
            "room": room.name,
            "variation": room.variation,
            "players": room.players(time.monotonic()),
            "max_players": room.rules.max_players,
            "host_present": room.host_link is not None,
            **({"group": room_group(room.rules.name, room.name)} if has_group else {}),
        }

    async def _record(self, request: web.Request) -> web.Response:
        """What was played, by its number."""
        records = self._server.records
        record = None
        if records is not None:
            record = await asyncio.wrap_future(records.find_record(int(request.match_info["number"])))
        if record is None:
            return answer({"error": "there is no such record"}, status=404)
        return answer(_show_record(record))

    async def _player(self, request: web.Request) -> web.Response:
        """What somebody played who proved a key, the newest first."""
        identity, page = request.match_info["identity"].lower(), _page(request)
        if not _IDENTITY.fullmatch(identity):
            return answer({"error": "an identity is an Ed25519 key as 64 hexadecimal digits"}, status=400)
        if page is None:
            return answer({"error": f"page is 1 or more, per_page 1 to {_MAX_PER_PAGE}"}, status=400)
        if self._server.records is None:
            return answer({"error": "nothing is kept here"}, status=404)
        player = await asyncio.wrap_future(self._server.records.find_player(identity, *page))
        return answer(
            {
                "identity": identity,
                "games": player.total,
                "wins": player.outcomes.get("win", 0),
                "losses": player.outcomes.get("loss", 0),
                "draws": player.outcomes.get("draw", 0),
                "records": [_show_record(record) for record in player.records],
                "page": page[0],
                "per_page": page[1],
            }
        )

    async def _result(self, request: web.Request) -> web.Response:
        """What came out of a round, from the host: it shows that it is by the token of its seat."""
        server = self._server
        try:
            body = json.loads(await request.read())
            room = server.relay.rooms.get((str(body["game_id"]), str(body["room_code"])))
            outcomes = {int(player): outcome for player, outcome in dict(body.get("outcomes") or {}).items()}
            number, reason = _round(body), _reason(body)
            result = None if reason else json.dumps(body.get("result"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return answer({"error": _RESULT_FORM}, status=400)
        if room is None or server.records is None:
            return answer({"error": "there is no such room, or nothing is kept here"}, status=404)
        if not server.relay.is_host(room, request.headers.get("Authorization", ""), network_of(request.remote or "")):
            return answer({"error": "only the host may say this: Authorization: Bearer and its token"}, status=403)
        now = time.monotonic()
        taking_part = room.took_part(now)
        if any(player not in taking_part or outcome not in _OUTCOMES for player, outcome in outcomes.items()):
            seats = ", ".join(map(str, taking_part)) or "nobody now"
            return answer({"error": f"outcomes are for {seats}, and one of win, loss, draw, null"}, status=400)
        everybody = {**dict.fromkeys(room.sitting(now)), **outcomes}
        record = await asyncio.wrap_future(
            server.records.record_result(
                room.id,
                result,
                everybody,
                room.identities(everybody),
                reason=f"abandoned: {reason}" if reason else FINISHED,
                round_number=number,
            )
        )
        if record is None:
            return answer({"error": "the room has no open record"}, status=404)
        room.begin_round()
        return answer({"game_record_id": record})

    @staticmethod
    def _guarded(handler: Any) -> Any:
        """Say so when the database cannot answer."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                response: web.StreamResponse = await handler(request)
            except StoreError:
                return answer({"error": "the database cannot answer now, try again later"}, status=503)
            return response

        return guarded


def _page(request: web.Request) -> tuple[int, int] | None:
    """The page that is asked for, counted from 1, and how much stands on it; None if that cannot be."""
    texts = request.query.get("page", "1"), request.query.get("per_page", str(_PER_PAGE))
    if not all(text.isascii() and text.isdecimal() and len(text) < 8 for text in texts):
        return None
    page, per_page = map(int, texts)
    return (page, per_page) if 1 <= page <= _MAX_PAGES and 1 <= per_page <= _MAX_PER_PAGE else None


def _round(body: dict[str, Any]) -> int | None:
    """The number of the round that a report is about; None if it does not say. Raises ValueError."""
    number = body.get("round")
    if number is not None and (type(number) is not int or not 1 <= number < 1 << 31):
        raise ValueError("a round is a number from 1")
    return number


def _reason(body: dict[str, Any]) -> str:
    """Why a round was given up; empty if it was played to its end. Raises ValueError."""
    reason = body.get("abandoned", "")
    if not isinstance(reason, str) or len(reason) > _MAX_REASON or not reason.isprintable():
        raise ValueError(f"a reason has at most {_MAX_REASON} printable characters")
    if reason and body.get("result") is not None:
        raise ValueError("an abandoned round has no result")
    return reason


def _show_record(record: Record) -> dict[str, Any]:
    return {**asdict(record), "result": None if record.result is None else json.loads(record.result)}
