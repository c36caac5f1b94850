"""Who is in a call and where, as viewers are sent it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from teleglyph.wire.acip import (
    Capabilities,
    ClientJoin,
    Feature,
    Roster,
    RosterEntry,
    RosterFlag,
    ScreenUpdate,
    StreamKind,
    StreamStart,
    StreamStop,
    ViewFlag,
    ViewSettings,
)

NAMES = ViewSettings(flags=ViewFlag.NAMES)
PAGE = {"has_screens": True, "extensions": Feature.ROSTER}


class Clock:
    """Refreshes a room as a server does, with steps that are longer than the shortest time between two rosters."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._now = time.monotonic()

    def rosters(self, peer: Any, seconds: float = 1.0) -> list[Roster]:
        self._now += seconds
        self._call.room.refresh(self._now)
        return [message for message in peer.received() if isinstance(message, Roster)]

    async def settled(self, peer: Any) -> list[RosterEntry]:
        """The roster once the pacer has drawn the newest scene."""
        viewer = peer.participant.viewer
        await self._call.wait_for(
            lambda: viewer.shared is not None and viewer.shared.revision == self._call.room.scene_revision
        )
        return list(self.rosters(peer)[-1].entries)


def test_a_roster_has_everybody_in_order_of_joining(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            bob, ann = call.join("Bob"), call.join("Ann", **PAGE, columns=40)
            ann.say(NAMES)
            bob.start_video(90)
            ann.say(StreamStart(StreamKind.AUDIO))
            one, other = await Clock(call).settled(ann)
            assert (one.number, one.name, one.place, one.flags) == (1, "Bob", 1, RosterFlag.PICTURE)
            assert (other.number, other.name, other.place) == (2, "Ann", 2)
            assert other.flags == RosterFlag.SELF | RosterFlag.LISTENING

    asyncio.run(scenario())


def test_rectangles_are_the_cells_of_the_pictures(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann, bob = call.join("Ann", **PAGE, columns=40), call.join("Bob")
            bob.start_video(200)
            (_, other) = await Clock(call).settled(ann)
            grid = call.room.viewers[0].shared.wanted
            assert (grid.columns, grid.rows) == (40, 8)
            place = call.room.viewers[0].shared.rectangles[2]
            assert (other.x, other.y, other.columns, other.rows) == place
            assert other.columns > 1
            assert other.rows > 1
            assert other.x + other.columns <= 40
            assert other.y + other.rows <= 8

    asyncio.run(scenario())


def test_people_in_the_lines_of_names_have_no_rectangle(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann", **PAGE, columns=40)
            ann.say(NAMES)
            bob, _ = call.join("Bob"), call.join("Eve")
            bob.start_video(200)
            entries = await Clock(call).settled(ann)
            assert [entry.place for entry in entries] == [1, 2, 3]
            assert [bool(entry.columns) for entry in entries] == [False, True, False]
            assert (entries[0].x, entries[0].y, entries[0].rows) == (0, 0, 0)

    asyncio.run(scenario())


def test_the_spotlight_and_the_size_move_the_rectangles(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann, bob, clock = call.join("Ann", **PAGE, columns=40), call.join("Bob"), Clock(call)
            ann.say(NAMES)
            ann.start_video(10)
            bob.start_video(200)
            before = await clock.settled(ann)
            assert all(entry.columns for entry in before)
            ann.say(ViewSettings(flags=ViewFlag.NAMES, spotlight=2))
            alone = await clock.settled(ann)
            assert alone[0].columns == 0
            assert alone[1].columns > before[1].columns
            assert [entry.place for entry in alone] == [1, 2], "places are those of the whole grid"
            ann.say(Capabilities(width=20, height=4, color_level=3, desired_fps=60))
            smaller = await clock.settled(ann)
            assert 0 < smaller[1].columns < alone[1].columns

    asyncio.run(scenario())


def test_whoever_is_left_out_of_the_grid_has_no_place(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann", **PAGE)
            ann.say(ViewSettings(flags=ViewFlag.NAMES | ViewFlag.WITHOUT_SELF))
            call.join("Bob")
            entries = await Clock(call).settled(ann)
            assert [(entry.name, entry.place) for entry in entries] == [("Ann", 0), ("Bob", 1)]

    asyncio.run(scenario())


def test_a_roster_is_sent_when_something_changes_and_only_then(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann, bob, clock = call.join("Ann", **PAGE), call.join("Bob"), Clock(call)
            await clock.settled(ann)
            assert clock.rosters(ann) == []
            bob.say(ClientJoin("Robert", 0))
            ((_, other),) = (roster.entries for roster in clock.rosters(ann))
            assert other.name == "Robert"
            bob.say(StreamStart(StreamKind.AUDIO))
            assert clock.rosters(ann)[0].entries[1].flags == RosterFlag.LISTENING
            bob.say(StreamStop(StreamKind.AUDIO))
            assert clock.rosters(ann)[0].entries[1].flags == 0
            bob.show(100)
            assert (await clock.settled(ann))[1].flags == RosterFlag.PICTURE
            bob.show(120)
            assert clock.rosters(ann) == [], "a new picture is no change"
            await bob.participant.leave()
            assert [entry.name for entry in clock.rosters(ann)[0].entries] == ["Ann"]

    asyncio.run(scenario())


def test_at_most_five_rosters_are_sent_per_second_and_the_newest_wins(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann, bob, clock = call.join("Ann", **PAGE), call.join("Bob"), Clock(call)
            await clock.settled(ann)
            sent: list[Roster] = clock.rosters(ann)
            for number in range(100):
                bob.say(ClientJoin(f"Bob {number}", 0))
                sent += clock.rosters(ann, 0.01)
            assert 4 <= len(sent) <= 6
            (last,) = clock.rosters(ann)
            assert last.entries[1].name == "Bob 99"

    asyncio.run(scenario())


def test_a_peer_that_does_not_read_gets_only_the_newest_roster_later(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann, bob, clock = call.join("Ann", **PAGE), call.join("Bob"), Clock(call)
            await clock.settled(ann)
            ann.connection.blocked_since = time.monotonic()
            for number in range(3):
                bob.say(ClientJoin(f"Bob {number}", 0))
                assert clock.rosters(ann) == []
            ann.connection.blocked_since = None
            (roster,) = clock.rosters(ann)
            assert roster.entries[1].name == "Bob 2"

    asyncio.run(scenario())


def test_viewers_without_the_feature_get_none(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            viewers = [call.join("Ann", has_screens=True), call.join("Bob")]
            viewers[1].start_video(50)
            await call.wait_for(lambda: viewers[0].participant.viewer.counters.frames_delivered > 0)
            call.room.refresh(time.monotonic())
            kinds = {type(message) for viewer in viewers for message in viewer.received()}
            assert ScreenUpdate in kinds
            assert Roster not in kinds

    asyncio.run(scenario())
