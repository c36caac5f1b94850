"""The life of a participant, and what its messages do."""

import asyncio
import itertools
from typing import Any

import pytest

from teleglyph.call.life_cycle import TRANSITIONS, LifeCycle, State
from teleglyph.call.limits import CallLimits
from teleglyph.errors import BadDataError, ServerFullError
from teleglyph.wire.acip import (
    Capabilities,
    ClientLeave,
    ImageFrame,
    OpusBatch,
    PaletteType,
    RemoteLog,
    StreamKind,
    StreamStart,
    StreamStop,
)

CAPABILITIES = Capabilities(width=20, height=8)
OPUS = OpusBatch(48000, 20, (b"\xf8\xff\xfe",))


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_only_the_transitions_of_the_table_are_allowed(before: State, after: State) -> None:
    life = LifeCycle()
    life.state = before
    if after in TRANSITIONS[before]:
        life.advance(after)
        assert life.state is after
    else:
        with pytest.raises(ValueError, match="cannot go from"):
            life.advance(after)


def test_a_participant_passes_through_all_states(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            peer = call.connect()
            participant = peer.participant
            assert participant.state is State.SECURED
            assert call.entered == 0
            peer.say(CAPABILITIES)
            assert participant.state is State.JOINED  # type: ignore[comparison-overlap]
            assert call.entered == 1
            peer.say(StreamStart(StreamKind.VIDEO))
            assert participant.state is State.STREAMING
            peer.say(StreamStop(StreamKind.VIDEO))
            assert participant.state is State.JOINED
            peer.say(ClientLeave())
            assert participant.has_left
            await participant.leave()
            assert participant.state is State.GONE
            assert len(call.room) == 0
            await participant.leave()  # a second time changes nothing
            assert call.entered == 0

    asyncio.run(scenario())


def test_a_picture_turns_video_on_by_itself(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann")
            ann.show(100)
            assert ann.participant.state is State.STREAMING
            assert ann.participant.tile().pixels is not None
            texts = [message.text for message in ann.received_of(RemoteLog)]
            assert texts[-1] == "First video frame received - streaming active"

    asyncio.run(scenario())


def test_a_room_that_refuses_a_peer_keeps_nothing_of_it(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            call.join("Ann")
            late = call.connect()
            call.refusal = ServerFullError("The server is full.")
            with pytest.raises(ServerFullError):
                late.say(Capabilities(width=70, height=8))
            assert "frames_delivered" not in late.participant.report().values
            await late.participant.leave()
            assert len(call.room) == len(call.room.texts) == call.entered == 1

    asyncio.run(scenario())


def test_sound_is_refused_before_the_stream_has_started(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.join("Ann")
            with pytest.raises(BadDataError):
                ann.say(OPUS)
            ann.say(StreamStart(StreamKind.AUDIO), OPUS, StreamStop(StreamKind.AUDIO))
            with pytest.raises(BadDataError):
                ann.say(OPUS)

    asyncio.run(scenario())


def test_a_picture_that_is_too_large_is_refused_and_starts_nothing(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call(CallLimits(max_picture_pixels=100)) as call:
            ann = call.join("Ann")
            with pytest.raises(BadDataError):
                ann.say(ImageFrame(16, 9, bytes(16 * 9 * 3)))
            assert ann.participant.state is State.JOINED

    asyncio.run(scenario())


def test_pictures_over_the_rate_are_dropped_and_counted(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call(CallLimits(frames_per_second=8)) as call:
            ann = call.join("Ann")
            for shade in range(10):
                ann.show(shade)
            values = ann.participant.report().values
            assert values["pictures_in"] + values["pictures_over_rate"] == 10
            assert values["pictures_in"] < 5

    asyncio.run(scenario())


def test_the_standard_palette_replaces_an_unusable_one(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann = call.connect()
            ann.say(Capabilities(width=20, height=8, palette_type=PaletteType.CUSTOM, palette_custom="世"))
            first = ann.received_of(RemoteLog)[0].text
            assert first.endswith(". You see the standard palette.")
            assert ann.participant.viewer.shared.key.style.palette.name == "standard"

    asyncio.run(scenario())
