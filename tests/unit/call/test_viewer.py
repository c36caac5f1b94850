"""The two kinds of viewers: what they need, when they can take a frame, and what they get."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from teleglyph.call.batch import Batch
from teleglyph.call.moment import Alarm, Moment
from teleglyph.call.pacing import Schedules
from teleglyph.call.screen_viewer import ScreenViewer
from teleglyph.call.text_viewer import TextViewer
from teleglyph.call.viewer import Viewer
from teleglyph.wire.acip import (
    AsciiFrame,
    Capabilities,
    ClientJoin,
    JoinFlag,
    ScreenAck,
    ScreenUpdate,
    ViewFlag,
    ViewSettings,
    ViewState,
)


@pytest.mark.parametrize("has_screens", [False, True])
def test_a_viewer_is_of_the_kind_that_its_peer_understands(open_call: Any, has_screens: bool) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            viewer = call.join("Ann", has_screens=has_screens).participant.viewer
            assert isinstance(viewer, ScreenViewer if has_screens else TextViewer)

    asyncio.run(scenario())


@pytest.mark.parametrize("has_screens", [False, True])
def test_equal_viewers_share_and_the_last_one_ends_it(open_call: Any, has_screens: bool) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann, bob = (call.join(name, has_screens=has_screens) for name in ("Ann", "Bob"))
            pool = call.room.screens if has_screens else call.room.texts
            assert ann.participant.viewer.shared is bob.participant.viewer.shared
            assert len(pool) == 1
            bob.say(Capabilities(width=33, height=8, color_level=3))
            assert ann.participant.viewer.shared is not bob.participant.viewer.shared
            assert len(pool) == 2
            await bob.participant.leave()
            assert len(pool) == 1
            await ann.participant.leave()
            assert len(pool) == 0

    asyncio.run(scenario())


def test_a_new_text_viewer_waits_for_a_picture_that_was_announced(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.connect()
            ann.say(Capabilities(width=20, height=8), ClientJoin("Ann", JoinFlag.VIDEO))
            await asyncio.sleep(0.1)
            assert not ann.connection.outbox.has_video
            ann.show(250)
            await call.wait_for(lambda: ann.connection.outbox.has_video)
            (frame,) = ann.received_of(AsciiFrame)
            assert b"Nobody" not in frame.text

    asyncio.run(scenario())


def test_a_text_viewer_gets_the_placeholder_when_no_picture_is_expected_any_more(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.connect()
            ann.say(Capabilities(width=40, height=8), ClientJoin("Ann", 0))
            await call.wait_for(lambda: ann.connection.outbox.has_video)
            (frame,) = ann.received_of(AsciiFrame)
            assert b"Nobody is sending video" in frame.text

    asyncio.run(scenario())


def test_a_screen_viewer_that_lost_its_screen_gets_a_full_frame(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann", has_screens=True)
            ann.start_video(200)
            await call.wait_for(lambda: ann.participant.viewer.counters.frames_delivered > 0)
            (first,) = ann.received_of(ScreenUpdate)
            assert first.base == 0
            ann.say(ScreenAck(first.number, wants_whole=True))
            await call.wait_for(lambda: ann.connection.outbox.has_video)
            (second,) = ann.received_of(ScreenUpdate)
            assert second.base == 0
            assert ann.participant.report().values["updates_lost"] == 1

    asyncio.run(scenario())


def test_a_screen_viewer_does_not_get_a_delta_before_the_last_one_has_left(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann", has_screens=True)
            ann.start_video(200)
            await call.wait_for(lambda: ann.connection.outbox.has_video)
            for shade in (10, 90, 170, 250):
                ann.show(shade)
                await asyncio.sleep(0.03)
            assert ann.connection.outbox.counters.video_dropped == 0
            assert ann.participant.report().values["updates"] == 1
            assert ann.participant.report().values["updates_held"] >= 1

    asyncio.run(scenario())


def drawn_batch(call: Any, viewer: Viewer, meanwhile: Callable[[], None]) -> Batch:
    """A tick for one viewer, with something that happens while it is drawn."""
    room, now = call.room, time.monotonic()
    moment = Moment(now, room.revision, room.scene_revision, 0.0, Schedules(), Alarm(room.wake))
    batch = Batch(moment, room.pictures, room.scene, room.counters)
    viewer.contribute(batch)
    drawing = batch.plan()
    assert drawing.jobs
    meanwhile()
    batch.finish(drawing.draw(), now)
    viewer.deliver(batch)
    return batch


@pytest.mark.parametrize("has_screens", [False, True])
def test_a_viewer_that_leaves_while_its_frame_is_drawn_gets_nothing(open_call: Any, has_screens: bool) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann", has_screens=has_screens)
            ann.start_video(100)
            viewer = ann.participant.viewer
            drawn_batch(call, viewer, viewer.close)
            assert viewer.shared is None
            assert viewer.counters.frames_delivered == 0

    asyncio.run(scenario())


def test_a_viewer_that_asks_for_a_full_frame_while_a_delta_is_drawn_does_not_get_the_delta(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann", has_screens=True)
            ann.start_video(100)
            viewer = ann.participant.viewer
            drawn_batch(call, viewer, lambda: None)
            (first,) = ann.received_of(ScreenUpdate)
            ann.show(200)
            drawn_batch(call, viewer, lambda: ann.say(ScreenAck(first.number, wants_whole=True)))
            assert ann.received_of(ScreenUpdate) == []
            drawn_batch(call, viewer, lambda: None)
            (second,) = ann.received_of(ScreenUpdate)
            assert second.base == 0

    asyncio.run(scenario())


def test_a_viewer_learns_its_spotlight_even_if_its_request_cannot_be_met(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann", has_screens=True)
            call.join("Bob")
            flags = ViewFlag.NAMES | ViewFlag.SEND_STATE
            ann.say(ViewSettings(flags=flags, spotlight=2))
            assert ann.received_of(ViewState)[-1:] == [ViewState(2, 2, "Bob")]
            ann.say(ViewSettings(flags=flags, spotlight=7))
            assert ann.received_of(ViewState)[-1:] == [ViewState(0, 2, "")]

    asyncio.run(scenario())


def test_the_spotlight_follows_the_person_and_not_the_tile(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann, bob = call.join("Ann", has_screens=True), call.join("Bob")
            call.join("Eve")
            ann.say(ViewSettings(flags=ViewFlag.NAMES | ViewFlag.SEND_STATE, spotlight=3))
            ann.received()
            await bob.participant.leave()
            assert ann.received_of(ViewState) == [ViewState(2, 2, "Eve")]

    asyncio.run(scenario())
