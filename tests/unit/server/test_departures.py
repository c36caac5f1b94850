"""The memory of participants who have left."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import acip_peer as acip
from acip_peer import AcipPeer
from teleglyph.call.participant import Participant
from teleglyph.server.app import Server
from teleglyph.server.config import ServerConfig
from terminal import wait_for


def leave_during_the_handshake(port: int) -> None:
    peer = AcipPeer(port)
    peer.send_raw(acip.packet(acip.PROTOCOL_VERSION, bytes(16)))
    peer.close()


def leave_the_call(port: int) -> None:
    peer = AcipPeer(port).join()
    peer.send_color(200, 10, 10)
    peer.frame()
    peer.close()


def send_invalid_data(port: int) -> None:
    peer = AcipPeer(port).join()
    peer.send(acip.IMAGE_FRAME, b"short")
    peer.wait_closed()
    peer.close()


@pytest.mark.parametrize("behave", [leave_during_the_handshake, leave_the_call, send_invalid_data])
def test_their_memory_is_free_before_the_garbage_collector_runs(
    behave: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[object]] = []

    def make(*arguments: Any) -> Participant:
        participant = Participant(*arguments)
        made.extend(map(weakref.ref, (participant, participant.connection, participant.sender)))
        return participant

    def act(port: int) -> None:
        behave(port)
        wait_for(lambda: bool(made) and not any(one() for one in made), "everything is released")

    async def main() -> None:
        server = Server(ServerConfig(addresses=("127.0.0.1",), port=0, http=False))
        await server.start()
        gc.disable()
        try:
            await asyncio.to_thread(act, server.bound[0][1])
        finally:
            gc.enable()
            await server.stop()

    monkeypatch.setattr("teleglyph.server.call_admission.Participant", make)
    asyncio.run(main())
