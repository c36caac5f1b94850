"""A room: who is in it, what its participants learn about it, and the requests to senders."""

import asyncio
import time
from typing import Any

from teleglyph.wire.acip import Capabilities, ClientJoin, JoinFlag, PictureRequest, ServerState, StreamKind, StreamStop


def test_everybody_learns_who_is_present_and_who_sends(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann")
            assert ann.received_of(ServerState) == [ServerState(1, 0)]
            bob = call.join("Bob")
            assert ann.received_of(ServerState) == [ServerState(2, 0)]
            bob.start_video(100)
            assert ann.received_of(ServerState)[-1] == ServerState(2, 1)
            bob.say(StreamStop(StreamKind.VIDEO))
            assert ann.received_of(ServerState) == [ServerState(2, 0)]
            await bob.participant.leave()
            assert ann.received_of(ServerState) == [ServerState(1, 0)]

    asyncio.run(scenario())


def test_the_scene_has_everybody_in_order_of_joining(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann, bob = call.join("Ann"), call.join("Bob")
            bob.start_video(100)
            assert [(tile.name, tile.pixels is not None) for tile in call.room.scene()] == [
                ("Ann", False),
                ("Bob", True),
            ]
            assert call.room.senders == [bob.participant.sender]
            assert call.room.pictures().numbers == (bob.participant.number,)
            await ann.participant.leave()
            assert [tile.name for tile in call.room.scene()] == ["Bob"]

    asyncio.run(scenario())


def test_the_demand_for_a_picture_is_requested_once(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann", has_screens=True)
            call.join("Bob")
            ann.start_video(100)
            await call.wait_for(lambda: all(viewer.counters.frames_delivered for viewer in call.room.viewers))
            ann.received()
            call.room.refresh(time.monotonic())
            (request,) = ann.received_of(PictureRequest)
            assert request.width > 0
            call.room.refresh(time.monotonic())
            assert ann.received_of(PictureRequest) == []

    asyncio.run(scenario())


def test_a_picture_that_nobody_sees_is_hardly_requested(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann", has_screens=True)
            call.room.refresh(time.monotonic())
            assert ann.received_of(PictureRequest) == [PictureRequest(0, 0, 3000)]

    asyncio.run(scenario())


def test_a_new_name_changes_the_scene_but_no_picture(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann")
            call.room.refresh(time.monotonic())
            revision, scene_revision = call.room.revision, call.room.scene_revision
            ann.say(ClientJoin("Anna", 0))
            call.room.refresh(time.monotonic())
            assert (call.room.revision, call.room.scene_revision) == (revision, scene_revision + 1)
            call.room.refresh(time.monotonic())
            assert call.room.scene_revision == scene_revision + 1

    asyncio.run(scenario())


def test_a_first_picture_is_expected_only_while_nobody_sends_one(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.connect()
            ann.say(Capabilities(width=20, height=8), ClientJoin("Ann", JoinFlag.VIDEO))
            assert call.room.expected_until > time.monotonic()
            call.join("Bob").start_video(100)
            assert call.room.expected_until == 0.0

    asyncio.run(scenario())


def test_a_report_has_the_room_and_everybody_in_it(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            call.join("Ann")
            call.join("Bob", has_screens=True)
            report = call.room.report()
            assert [participant.name for participant in report.participants] == ["Ann", "Bob"]
            assert report.values["views"] == 2
            assert "quality_level" in report.participants[1].values
            assert "quality_level" not in report.participants[0].values

    asyncio.run(scenario())
