"""Call rooms open with the first participant and close after the last one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from teleglyph.call.limits import CallLimits
from teleglyph.errors import CallRoomError, ConfigurationError, ServerFullError
from teleglyph.keys import KeyList, format_public_key
from teleglyph.server.call_rooms import CallRooms
from teleglyph.server.config import CallRoomSettings, ServerConfig
from teleglyph.wire.acip import derive_password_key

OWN, SERVERS = "a password of its own", "the server's password"


class FakeGroups:
    """Records the chat groups."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}

    def open_group(self, name: str, title: str) -> None:
        assert name not in self.open
        self.open[name] = title

    def close_group(self, name: str) -> None:
        del self.open[name]


@contextlib.asynccontextmanager
async def started(config: ServerConfig | None = None) -> AsyncIterator[tuple[CallRooms, FakeGroups]]:
    with ThreadPoolExecutor(1) as pool:
        rooms, groups = CallRooms(config or ServerConfig(), pool), FakeGroups()
        rooms.groups = groups
        await rooms.prepare()
        rooms.start()
        try:
            yield rooms, groups
        finally:
            rooms.close_groups()
            await rooms.close()
        assert groups.open == {}
        assert tasks() == []


def tasks() -> list[str]:
    """The names of the rooms' tasks."""
    names = (task.get_name() for task in asyncio.all_tasks())
    return sorted(name for name in names if name.startswith(("pacer ", "sound ")))


def test_a_room_opens_with_the_first_participant_and_closes_after_the_last() -> None:
    async def scenario() -> None:
        async with started() as (rooms, groups):
            assert tasks() == ["pacer lobby", "sound lobby"]
            first, second = rooms.enter("Team"), rooms.enter("team")
            assert first is second is rooms.rooms["team"]
            assert rooms.participants == 2
            assert tasks() == ["pacer lobby", "pacer team", "sound lobby", "sound team"]
            assert groups.open == {"room-call-team": "team"}
            await rooms.leave(first)
            assert "team" in rooms.rooms
            await rooms.leave(second)
            assert list(rooms.rooms) == ["lobby"]
            assert rooms.participants == 0
            assert tasks() == ["pacer lobby", "sound lobby"]
            assert groups.open == {}

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["", "lobby", "LOBBY"])
def test_the_lobby_is_always_open(name: str) -> None:
    async def scenario() -> None:
        async with started(ServerConfig(new_call_rooms=False, max_call_rooms=1)) as (rooms, groups):
            assert rooms.enter(name) is rooms.lobby
            assert groups.open == {}
            await rooms.leave(rooms.lobby)
            assert rooms.rooms == {"lobby": rooms.lobby}
            assert tasks() == ["pacer lobby", "sound lobby"]

    asyncio.run(scenario())


def test_anybody_who_joins_while_the_last_one_leaves_gets_a_room_that_runs() -> None:
    async def scenario() -> None:
        async with started() as (rooms, groups):
            old = rooms.enter("team")
            leaving = asyncio.create_task(rooms.leave(old))
            await asyncio.sleep(0)
            assert not leaving.done()
            new = rooms.enter("team")
            await leaving
            assert new is not old
            assert rooms.rooms["team"] is new
            assert tasks() == ["pacer lobby", "pacer team", "sound lobby", "sound team"]
            assert groups.open == {"room-call-team": "team"}
            await rooms.leave(new)

    asyncio.run(scenario())


def test_a_room_closes_although_the_last_one_was_cancelled_while_leaving() -> None:
    async def scenario() -> None:
        async with started() as (rooms, _):
            leaving = asyncio.create_task(rooms.leave(rooms.enter("team")))
            await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            await asyncio.sleep(0)
            assert list(rooms.rooms) == ["lobby"]
            assert tasks() == ["pacer lobby", "sound lobby"]

    asyncio.run(scenario())


def test_many_join_and_leave_at_once() -> None:
    async def stay(rooms: CallRooms, number: int) -> None:
        room = rooms.enter(f"room{number % 3}")
        for _ in range(number % 5):
            await asyncio.sleep(0)
        assert rooms.rooms[room.name] is room
        await rooms.leave(room)

    async def scenario() -> None:
        async with started(ServerConfig(call=CallLimits(max_participants=200))) as (rooms, groups):
            await asyncio.gather(*(stay(rooms, number) for number in range(200)))
            assert (list(rooms.rooms), rooms.participants, groups.open) == (["lobby"], 0, {})
            assert tasks() == ["pacer lobby", "sound lobby"]

    asyncio.run(scenario())


def test_there_is_a_limit_on_participants_of_all_rooms_together() -> None:
    async def scenario() -> None:
        async with started(ServerConfig(call=CallLimits(max_participants=2))) as (rooms, _):
            found = [rooms.enter(""), rooms.enter("team")]
            with pytest.raises(ServerFullError, match=r"^The server is full: it has 2 participants\."):
                rooms.enter("other")
            assert set(rooms.rooms) == {"lobby", "team"}
            for room in found:
                await rooms.leave(room)

    asyncio.run(scenario())


def test_strangers_cannot_keep_configured_rooms_from_opening() -> None:
    async def scenario() -> None:
        async with started(ServerConfig(max_call_rooms=2, call_rooms={"team": CallRoomSettings()})) as (rooms, _):
            found = [rooms.enter("a"), rooms.enter("b"), rooms.enter("a")]
            for refuse in (rooms.enter, rooms.access):
                with pytest.raises(CallRoomError, match=r"^This server has too many rooms: 2\."):
                    refuse("c")
            found.append(rooms.enter("team"))
            await rooms.leave(found.pop(1))
            found.append(rooms.enter("c"))
            for room in found:
                await rooms.leave(room)

    asyncio.run(scenario())


def test_a_closed_server_has_only_its_configured_rooms() -> None:
    async def scenario() -> None:
        async with started(ServerConfig(new_call_rooms=False, call_rooms={"team": CallRoomSettings()})) as (rooms, _):
            for refuse in (rooms.enter, rooms.access):
                with pytest.raises(CallRoomError, match=r"^There is no room 'other' on this server\."):
                    refuse("Other")
            await rooms.leave(rooms.enter("TEAM"))

    asyncio.run(scenario())


def test_an_invalid_name_is_refused_with_the_rule_and_cannot_fill_the_log() -> None:
    async def scenario() -> None:
        async with started() as (rooms, _):
            for refuse in (rooms.enter, rooms.access):
                with pytest.raises(
                    CallRoomError, match=r"^There is no room 'a b' on this server\. .* Names of rooms have"
                ):
                    refuse("a b")
                with pytest.raises(CallRoomError) as caught:
                    refuse("\x1b[31m" + "x" * 100_000)
                assert str(caught.value).isprintable()
                assert len(str(caught.value)) < 300

    asyncio.run(scenario())


def test_a_password_and_keys_of_a_room_each_replace_the_servers() -> None:
    key, other = bytes([1] * 32), bytes([2] * 32)
    servers, own = (KeyList([format_public_key(one)]) for one in (key, other))
    config = ServerConfig(
        password=SERVERS,
        client_keys=servers,
        call_rooms={
            "secret": CallRoomSettings(password=OWN),
            "friends": CallRoomSettings(client_keys=own),
            "plain": CallRoomSettings(),
        },
    )

    async def scenario() -> None:
        async with started(config) as (rooms, groups):
            expected = {
                "": (SERVERS, key),
                "any": (SERVERS, key),
                "plain": (SERVERS, key),
                "Secret": (OWN, key),
                "friends": (SERVERS, other),
            }
            for name, (password, admitted) in expected.items():
                access = rooms.access(name)
                assert access.password_key == derive_password_key(password)
                assert access.admits is not None
                assert [access.admits(one) for one in (key, other)] == [admitted is key, admitted is other]
                assert OWN not in repr(access)
            found = [rooms.enter(name) for name in expected]
            assert set(groups.open) == {"room-call-any", "room-call-plain"}, "private rooms are not announced"
            for room in found:
                await rooms.leave(room)

    asyncio.run(scenario())


@pytest.mark.parametrize("settings", [{"new_call_rooms": False}, {"max_call_rooms": 1}])
def test_strangers_do_not_learn_which_rooms_a_protected_server_has(settings: dict[str, int]) -> None:
    async def scenario() -> None:
        config = ServerConfig(password=SERVERS, call_rooms={"team": CallRoomSettings()}, **settings)  # type: ignore[arg-type]
        async with started(config) as (rooms, _):
            if config.new_call_rooms:
                rooms.enter("first")
            assert rooms.access("team").password_key == rooms.access("other").password_key
            with pytest.raises(CallRoomError):
                rooms.enter("other")  # with the password, they do

    asyncio.run(scenario())


def test_reloading_replaces_all_configured_rooms_or_none() -> None:
    answers: list[dict[str, CallRoomSettings] | ConfigurationError] = [
        {"team": CallRoomSettings(password=OWN), "new": CallRoomSettings()},
        ConfigurationError("no"),
    ]

    def read() -> dict[str, CallRoomSettings]:
        answer = answers.pop(0)
        if isinstance(answer, ConfigurationError):
            raise answer
        return answer

    async def scenario() -> None:
        config = ServerConfig(new_call_rooms=False, call_rooms={"team": CallRoomSettings()}, read_call_rooms=read)
        async with started(config) as (rooms, groups):
            room = rooms.enter("team")
            assert groups.open == {"room-call-team": "team"}
            assert await rooms.reload() == 2
            assert rooms.rooms["team"] is room
            assert groups.open == {}, "the room has become private"
            with pytest.raises(ConfigurationError):
                await rooms.reload()
            assert rooms.access("team").password_key == derive_password_key(OWN)
            assert rooms.access("new").password_key is None
            await rooms.leave(room)

    asyncio.run(scenario())


def test_the_counters_of_closed_rooms_stay() -> None:
    async def scenario() -> None:
        async with started() as (rooms, _):
            room = rooms.enter("team")
            room.counters.ticks, room.counters.render_seconds = 7, 0.5
            assert sum(one.ticks for one in rooms.counters) == 7
            await rooms.leave(room)
            assert sum(one.ticks for one in rooms.counters) == 7
            assert sum(one.render_seconds for one in rooms.counters) == 0.5

    asyncio.run(scenario())
