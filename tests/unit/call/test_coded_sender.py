"""A participant that sends compressed pictures: its video, its limits and its keyframes."""

import asyncio
from typing import Any

import pytest

from coded_pictures import encode_pictures, plain
from teleglyph.call.life_cycle import State
from teleglyph.errors import BadDataError
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.wire.acip import Codec, CodedPicture, PictureRequest

RED = (200, 40, 30)


def pictures(codec: Codec, count: int = 2) -> list[CodedPicture]:
    """Pictures whose flags all claim a keyframe; only the first is one, except for JPEG."""
    outputs = encode_pictures(PictureCodec(codec), [plain(RED)] * count)
    return [CodedPicture(codec, 64, 48, output, keyframe=True) for output in outputs]


@pytest.mark.parametrize("codec", Codec)
def test_a_compressed_picture_starts_the_video(open_call: Any, codec: Codec) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            peer = call.join("ann")
            peer.say(*pictures(codec))
            assert peer.participant.state is State.STREAMING
            await call.wait_for(lambda: peer.participant.sender.counters.pictures_in == 2, 30)
            assert peer.participant.sender.has_picture
            await peer.participant.leave()

    asyncio.run(scenario())


def test_a_picture_that_claims_to_be_too_large_is_an_error(open_call: Any) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            peer = call.join("ann")
            with pytest.raises(BadDataError, match="8192x8192"):
                peer.say(CodedPicture(Codec.VP9, 8192, 8192, b"\x82"))
            assert peer.participant.state is State.JOINED

    asyncio.run(scenario())


@pytest.mark.parametrize("codec", Codec)
def test_keyframes_are_requested_when_one_is_missing_whatever_the_flag_says(open_call: Any, codec: Codec) -> None:
    async def scenario() -> None:
        async with open_call() as call:
            peer = call.join("ann", has_screens=True)
            sender = peer.participant.sender
            (_, later) = pictures(codec)
            peer.say(later)
            sender.request_picture(sender._demand)
            requests = peer.received_of(PictureRequest)
            assert any(request.keyframe for request in requests) is (codec is not Codec.JPEG)
            assert sender.counters.pictures_skipped == (codec is not Codec.JPEG)
            await peer.participant.leave()

    asyncio.run(scenario())
