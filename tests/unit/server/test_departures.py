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
from teleglyph.call.sender import Sender
from teleglyph.client.address import Address, CallAddress, WebSocketAddress
from teleglyph.client.call.client import CallClient, CallEvents
from teleglyph.client.call.connection import Credentials
from teleglyph.server.app import Server
from teleglyph.server.config import ServerConfig
from teleglyph.wire.acip import Capabilities
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


def leave_over_link_2(port: int) -> None:
    leave_as_our_client(Address("127.0.0.1", port))


def leave_over_websocket(port: int) -> None:
    leave_as_our_client(WebSocketAddress(False, "127.0.0.1", port, "/call"))


def leave_as_our_client(address: CallAddress) -> None:
    async def main() -> None:
        joined = asyncio.Event()
        events = CallEvents(joined=lambda _: joined.set())
        client = CallClient(address, Credentials("ann"), Capabilities(40, 12), events=events)
        task = asyncio.create_task(client.run())
        waiting = asyncio.create_task(joined.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert joined.is_set(), task.exception()
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore:It is recommended to use web.RequestKey")
@pytest.mark.parametrize(
    "behave", [leave_during_the_handshake, leave_the_call, send_invalid_data, leave_over_link_2, leave_over_websocket]
)
def test_their_memory_is_free_before_the_garbage_collector_runs(
    behave: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[object]] = []

    def make(*arguments: Any) -> Participant:
        participant = Participant(*arguments)
        made.extend(map(weakref.ref, (participant, participant.connection)))
        return participant

    def make_sender(*arguments: Any, **options: Any) -> Sender:
        sender = Sender(*arguments, **options)
        made.append(weakref.ref(sender))
        return sender

    def act(port: int) -> None:
        behave(port)
        wait_for(lambda: bool(made) and not any(one() for one in made), "everything is released")

    async def main() -> None:
        server = Server(
            ServerConfig(
                addresses=("127.0.0.1",),
                port=0,
            )
        )
        await server.start()
        gc.disable()
        try:
            await asyncio.to_thread(act, server.bound[0][1])
        finally:
            gc.enable()
            await server.stop()

    monkeypatch.setattr("teleglyph.server.call_admission.Participant", make)
    monkeypatch.setattr("teleglyph.call.participant.Sender", make_sender)
    asyncio.run(main())
