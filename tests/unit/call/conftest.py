"""A call without a network: packets to a participant are read from its outbox."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import Any

import numpy as np
import pytest

from teleglyph.call.decoding import ThreadDecoding
from teleglyph.call.limits import CallLimits
from teleglyph.call.pacer import Pacer
from teleglyph.call.participant import Participant
from teleglyph.call.room import CallRoom
from teleglyph.errors import PeerError
from teleglyph.net import Connection
from teleglyph.wire.acip import (
    AsciiFrame,
    Capabilities,
    ClientJoin,
    Feature,
    ImageFrame,
    Message,
    PictureRequest,
    RemoteLog,
    Roster,
    ScreenUpdate,
    ServerSession,
    ServerState,
    StreamKind,
    StreamStart,
    ViewState,
)
from teleglyph.wire.acip.packet import parse_packet

_READ = AsciiFrame, PictureRequest, RemoteLog, Roster, ScreenUpdate, ServerState, ViewState
_KINDS = {int(kind.type): kind for kind in _READ}


class Peer:
    """One participant, from its peer's side."""

    def __init__(
        self,
        call: Call,
        number: int,
        *,
        has_screens: bool,
        extensions: Feature = Feature.NONE,
        may_send: bool = True,
    ) -> None:
        self.connection = Connection(ServerSession(), f"peer {number}")
        self.participant = Participant(number, self.connection, call, call.limits, call.decoding)
        features = extensions | (Feature.SCREEN_UPDATES if has_screens else Feature.NONE)
        self.participant.secure("", features, may_send=may_send)

    def say(self, *messages: Message) -> None:
        for message in messages:
            self.participant.receive(message)

    def show(self, shade: int) -> None:
        """Send a picture of one colour."""
        self.say(ImageFrame(16, 9, np.full((9, 16, 3), shade, np.uint8).tobytes()))

    def start_video(self, shade: int) -> None:
        self.say(StreamStart(StreamKind.VIDEO))
        self.show(shade)

    def received(self) -> list[Any]:
        """The messages sent since the last call that these tests check."""
        packets = [parse_packet(item.data) for item in self.connection.outbox.next_batch()]
        return [_KINDS[packet.type].decode_payload(packet.payload) for packet in packets if packet.type in _KINDS]

    def received_of(self, kind: type[Message]) -> list[Any]:
        return [message for message in self.received() if isinstance(message, kind)]


class Call:
    """One room, with a pacer that runs; for participants, all rooms of a server."""

    def __init__(self, limits: CallLimits) -> None:
        self.limits = limits
        self.entered = 0
        """Participants that have entered the room and not left it."""
        self.refusal: PeerError | None = None
        """Why nobody may enter the room."""
        self.room = CallRoom("test")
        self.decoding = ThreadDecoding(limits)
        self._numbers = iter(range(1, 1000))

    def enter(self, name: str) -> CallRoom:
        assert name == ""
        if self.refusal is not None:
            raise self.refusal
        self.entered += 1
        return self.room

    async def leave(self, room: CallRoom) -> None:
        assert room is self.room
        self.entered -= 1

    def connect(self, *, has_screens: bool = False, extensions: Feature = Feature.NONE, may_send: bool = True) -> Peer:
        return Peer(self, next(self._numbers), has_screens=has_screens, extensions=extensions, may_send=may_send)

    def join(
        self,
        name: str,
        *,
        has_screens: bool = False,
        columns: int = 20,
        rate: int = 60,
        extensions: Feature = Feature.NONE,
    ) -> Peer:
        peer = self.connect(has_screens=has_screens, extensions=extensions)
        peer.say(Capabilities(width=columns, height=8, color_level=3, desired_fps=rate), ClientJoin(name, 0))
        return peer

    async def wait_for(self, condition: Callable[[], bool], seconds: float = 3.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - there is no event for everything that a test looks at
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def _open_call(limits: CallLimits | None = None) -> AsyncIterator[Call]:
    call = Call(limits or CallLimits())
    with ThreadPoolExecutor(2) as pool:
        task = asyncio.create_task(Pacer(call.room, pool).run())
        try:
            yield call
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await call.decoding.close()


@pytest.fixture(name="open_call")
def open_call_fixture() -> Callable[..., AbstractAsyncContextManager[Call]]:
    return _open_call
