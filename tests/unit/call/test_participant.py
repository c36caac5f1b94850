"""The life of a participant, and what its messages do."""

import asyncio
import itertools
from typing import Any

import pytest

from talker import tone
from teleglyph.call.life_cycle import TRANSITIONS, LifeCycle, State
from teleglyph.call.limits import CallLimits
from teleglyph.errors import BadDataError, ServerFullError
from teleglyph.media.opus import OpusEncoder
from teleglyph.wire.acip import (
    Capabilities,
    ClientJoin,
    ClientLeave,
    HevcFrame,
    ImageFrame,
    JoinFlag,
    LogLevel,
    OpusBatch,
    PacketType,
    PaletteType,
    RemoteLog,
    StreamKind,
    StreamStart,
    StreamStop,
)
from teleglyph.wire.acip.packet import parse_packet

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


def test_a_guest_with_a_view_only_invitation_is_told_once_and_not_seen(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call(CallLimits(max_picture_pixels=1000)) as call:
            guest = call.connect(may_send=False)
            guest.say(CAPABILITIES, ClientJoin("Eve", JoinFlag.VIDEO | JoinFlag.AUDIO), CAPABILITIES)
            guest.say(StreamStart(StreamKind.VIDEO | StreamKind.AUDIO))
            guest.show(100)
            guest.say(ImageFrame(160, 90, bytes(160 * 90 * 3)), HevcFrame(16, 9, b"not HEVC"), OPUS)
            guest.say(StreamStop(StreamKind.AUDIO), OPUS, StreamStop(StreamKind.VIDEO))
            participant = guest.participant
            assert participant.state is State.JOINED
            assert participant.tile().pixels is None
            assert not participant.sender.is_on
            assert participant.sender.expected_until <= asyncio.get_running_loop().time()
            values = participant.report().values
            assert (values["view_only"], values["packets_not_allowed"], values["pictures_in"]) == (1, 5, 0)
            warnings = [line.text for line in guest.received_of(RemoteLog) if line.level == LogLevel.WARN]
            assert warnings == ["Your invitation lets you watch and listen, not send."]

    asyncio.run(scenario())


def test_a_guest_with_a_view_only_invitation_hears_the_others(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            ann, guest = call.join("Ann"), call.connect(may_send=False)
            mixing = asyncio.create_task(call.room.sound.run())
            guest.say(CAPABILITIES, StreamStart(StreamKind.AUDIO))
            ann.say(StreamStart(StreamKind.AUDIO))
            encoder = OpusEncoder()
            packets = tuple(encoder.encode(tone(440, 0.02)) for _ in range(10))
            kinds: set[int] = set()

            def hears() -> bool:
                ann.say(OpusBatch(48000, 20, packets))
                kinds.update(parse_packet(item.data).type for item in guest.connection.outbox.next_batch())
                return PacketType.AUDIO_OPUS_BATCH in kinds

            await call.wait_for(hears)
            mixing.cancel()
            await asyncio.gather(mixing, return_exceptions=True)
            assert ann.participant.report().values["view_only"] == 0

    asyncio.run(scenario())
