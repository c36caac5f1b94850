"""Pairs of data channels, and what they carry."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from teleglyph.net.data_channel import STREAM, DataChannelAnswer, DataChannelOffer
from teleglyph.net.ice_servers import IceServer

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if sys.platform != "win32":
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


@dataclass(frozen=True)
class Server:
    """A STUN or TURN server."""

    url: str
    username: str = ""
    credential: str = ""


@dataclass
class Channels:
    """An open channel: the sockets of both sides."""

    offer: DataChannelOffer
    answer: DataChannelAnswer
    joiner: socket.socket
    host: socket.socket


def run(loop: str, main: Callable[[], Coroutine[Any, Any, None]], *, debug: bool = False) -> None:
    """Run a test on an event loop; it must leave no task, no open file, and no error that nobody has seen."""
    errors: list[dict[str, Any]] = []

    async def supervised() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        before = open_files()
        await main()
        await asyncio.sleep(0)
        left = [str(task.get_coro()) for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left
        assert open_files() == before

    with asyncio.Runner(debug=debug, loop_factory=LOOPS[loop]) as runner:
        runner.run(supervised())
    assert not errors


def open_files() -> list[str]:
    """The sockets of this process; on other systems than Linux, nothing."""
    found = []
    for descriptor in os.listdir("/proc/self/fd") if sys.platform == "linux" else []:
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue  # the one that lists
        if target.startswith("socket:"):
            found.append(target)
    return sorted(found)


@asynccontextmanager
async def open_channels(
    servers: Sequence[IceServer] = (),
    *,
    protocol: str = STREAM,
    relay_only: bool = False,
    change_answer: Callable[[str], str] = str,
    timeout: float = 20,
    charge: Callable[[str, float], float] | None = None,
) -> AsyncIterator[Channels]:
    """Open a channel between two sides in this process; closes everything at the end.  ``charge`` is the host's."""
    offer, answer = DataChannelOffer(relay_only=relay_only), DataChannelAnswer(relay_only=relay_only, charge=charge)
    try:
        text = await answer.create(await offer.create(servers, protocol), servers)
        await offer.accept(change_answer(text))
        joiner, (host, carried) = await asyncio.gather(offer.open(timeout), answer.open(timeout))
        assert carried == protocol
        try:
            yield Channels(offer, answer, joiner, host)
        finally:
            joiner.close()
            host.close()
    finally:
        await offer.close()
        await answer.close()


async def send(sock: socket.socket, data: bytes) -> None:
    """Write bytes to a channel's socket."""
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def receive(sock: socket.socket, size: int) -> bytes:
    """Read up to ``size`` bytes; fewer only at the end of the channel."""
    data = bytearray()
    while len(data) < size:
        part = await asyncio.get_running_loop().sock_recv(sock, min(65536, size - len(data)))
        if not part:
            break
        data += part
    return bytes(data)


def digest(data: bytes) -> str:
    """What two equal transfers have in common, short enough for a message."""
    return hashlib.sha256(data).hexdigest()
