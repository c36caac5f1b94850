"""Ticks: equal viewers share their frames, full ones are skipped, and nothing happens without a change."""

import asyncio
from typing import Any

from teleglyph.wire.acip import AsciiFrame, ScreenAck, ScreenUpdate


def test_equal_viewers_share_one_rendered_frame(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann, bob, eve = (call.join(name) for name in ("Ann", "Bob", "Eve"))
            ann.start_video(200)
            await call.wait_for(lambda: all(viewer.counters.frames_delivered for viewer in call.room.viewers))
            frames = [peer.received_of(AsciiFrame) for peer in (ann, bob, eve)]
            assert frames[0] == frames[1] == frames[2]
            assert call.room.counters.frames_rendered == 1
            assert call.room.counters.frames_shared == 2

    asyncio.run(scenario())


def test_viewers_that_see_the_same_share_one_delta(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            sender = call.join("Ann")
            viewers = [call.join(name, has_screens=True) for name in ("Bob", "Eve")]
            sender.start_video(200)
            await call.wait_for(lambda: all(peer.connection.outbox.has_video for peer in viewers))
            first = [peer.received_of(ScreenUpdate)[0] for peer in viewers]
            assert first[0] == first[1]
            assert first[0].base == 0
            for peer in viewers:
                peer.say(ScreenAck(first[0].number))
            sender.show(20)
            await call.wait_for(lambda: all(peer.connection.outbox.has_video for peer in viewers))
            second = [peer.received_of(ScreenUpdate)[0] for peer in viewers]
            assert second[0] == second[1]
            assert second[0].base == first[0].number

    asyncio.run(scenario())


def test_a_viewer_whose_connection_is_full_is_left_out_and_then_gets_the_newest_picture(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann, bob = call.join("Ann"), call.join("Bob")
            bob.connection.writing_paused()
            ann.start_video(10)
            await call.wait_for(lambda: ann.connection.outbox.has_video)
            assert not bob.connection.outbox.has_video
            assert bob.participant.report().values["frames_skipped"] >= 1
            ann.received()
            ann.show(240)
            await call.wait_for(lambda: ann.connection.outbox.has_video)
            bob.connection.writing_resumed()
            await call.wait_for(lambda: bob.connection.outbox.has_video)
            assert bob.received_of(AsciiFrame) == ann.received_of(AsciiFrame)
            assert bob.participant.report().values["frames_delivered"] == 1

    asyncio.run(scenario())


def test_nothing_is_drawn_without_a_change(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann")
            ann.start_video(100)
            await call.wait_for(lambda: ann.connection.outbox.has_video)
            ticks = call.room.counters.ticks
            await asyncio.sleep(0.2)
            assert call.room.counters.ticks == ticks

    asyncio.run(scenario())


def test_each_viewer_has_its_own_rate(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            sender = call.join("Ann", rate=60)
            slow = call.join("Bob", rate=5, columns=30)
            sender.start_video(0)
            for shade in range(60):
                sender.show(4 * shade)
                await asyncio.sleep(0.01)
            counts = [peer.participant.report().values["frames_delivered"] for peer in (sender, slow)]
            assert counts[1] <= 6
            assert counts[0] >= 2 * counts[1]

    asyncio.run(scenario())


def test_a_batch_that_takes_long_is_drawn_in_two_threads_with_the_same_result(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            peers = [call.join(f"p{columns}", columns=columns) for columns in range(20, 32)]
            screens = [call.join(f"s{columns}", columns=columns, has_screens=True) for columns in range(20, 32)]
            for shade in range(0, 250, 25):
                peers[0].show(shade)
                await call.wait_for(lambda: all(peer.connection.outbox.has_video for peer in peers + screens))
                for peer in peers:
                    (frame,) = peer.received_of(AsciiFrame)
                    assert frame.text
                for peer, columns in zip(screens, range(20, 32), strict=True):
                    (update,) = peer.received_of(ScreenUpdate)
                    assert update.columns == columns
                    peer.say(ScreenAck(update.number))

    asyncio.run(scenario())
