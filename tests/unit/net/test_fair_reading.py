"""Fair reading: in bounded pieces, in turns with other connections, and within the cost limits of the peer."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import time

import pytest

from teleglyph.errors import RateLimitError
from teleglyph.net import Connection, ConnectionLimits, CostLedger, CostLimits, Stopwatch, charged
from teleglyph.wire.acip import Event


class Message(Event):
    """One byte."""


class State(enum.Enum):
    OPEN = 1


class Greedy:
    """A session that parses all it gets at once; each byte is a message that takes a while."""

    state = State.OPEN
    is_finished = False

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.fed: list[int] = []
        self._waiting = 0

    def receive_data(self, data: bytes) -> None:
        self.fed.append(len(data))
        self._waiting += len(data)
        until = time.thread_time() + self.seconds * len(data)
        while time.thread_time() < until:
            pass

    def data_to_send(self) -> bytes:
        return b""

    def next_event(self) -> Event | None:
        if not self._waiting:
            return None
        self._waiting -= 1
        return Message()

    def seal(self, packet: bytes) -> bytes:
        return packet


async def count(connection: Connection) -> int:
    async def read() -> int:
        return sum([1 async for _ in connection])

    return await charged(read(), connection.stopwatch)


def test_a_session_is_fed_in_pieces_and_others_run_in_between() -> None:
    async def run() -> None:
        session = Greedy(seconds=0.0002)
        connection = Connection(session, "a", feed_bytes=10)
        connection.bytes_received(bytes(25))
        connection.bytes_received(bytes(5))
        reader = asyncio.create_task(count(connection))
        steps = 0
        while not reader.done():
            await asyncio.sleep(0)
            steps += 1
            if sum(session.fed) == 30:
                connection.closed()
        assert await reader == 30
        assert session.fed == [10, 10, 5, 5]
        assert steps >= 4

    asyncio.run(run())


def test_a_costly_peer_is_read_slowly_and_then_refused() -> None:
    async def run() -> None:
        limits = CostLimits(
            peer_share=0.05,
            peer_burst=0.002,
            address_share=1.0,
            address_burst=1.0,
            max_overuse=0.3,
            refusal=60.0,
            busy=0.0,
        )
        ledger = CostLedger(limits)
        ledger.meter("somebody else")
        session = Greedy(seconds=0.001)
        connection = Connection(session, "a", meter=ledger.meter("a"), feed_bytes=1)
        connection.bytes_received(bytes(1000))
        with pytest.raises(RateLimitError, match="processor time"):
            await count(connection)
        assert 1 < len(session.fed) < 500
        assert connection.traffic.throttled > 1
        assert ledger.refused_for("a", time.monotonic()) > 0

    asyncio.run(run())


def test_silence_while_nothing_is_read_is_not_the_peers() -> None:
    async def run() -> None:
        limits = CostLimits(peer_share=0.02, peer_burst=0.001, max_overuse=60.0)
        ledger = CostLedger(limits)
        ledger.meter("somebody else")
        meter = ledger.meter("a")
        connection = Connection(Greedy(seconds=0.005), "a", meter=meter, feed_bytes=1)
        connection.bytes_received(bytes(3))
        began = connection.last_received
        reader = asyncio.create_task(count(connection))
        while connection.last_received == began:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        connection.closed()
        await reader

    asyncio.run(run())


def test_bytes_left_behind_by_a_costly_peer_are_not_read() -> None:
    async def run() -> None:
        ledger = CostLedger(CostLimits(peer_share=0.02, peer_burst=0.001, max_overuse=60.0))
        ledger.meter("somebody else")
        session = Greedy(seconds=0.005)
        connection = Connection(session, "a", meter=ledger.meter("a"), feed_bytes=1)
        connection.bytes_received(bytes(1000))
        reader = asyncio.create_task(count(connection))
        while not session.fed:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.001)
        connection.closed()
        async with asyncio.timeout(10):
            assert await reader < 10
        assert len(session.fed) < 10
        assert not ledger.is_alone
        await connection.close()
        assert ledger.is_alone, "it no longer counts"

    asyncio.run(run())


class Glue(asyncio.Protocol):
    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def data_received(self, data: bytes) -> None:
        self.connection.bytes_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.closed()


@pytest.mark.parametrize("how", ["closes", "breaks off"])
def test_a_costly_peer_that_leaves_is_detected_while_it_is_not_read(how: str) -> None:
    """With "closes", its end waits in its own kernel until it gets something."""

    async def run() -> None:
        ledger = CostLedger(CostLimits(peer_share=0.001, peer_burst=0.001, max_overuse=1000.0))
        ledger.meter("somebody else")
        session = Greedy(seconds=0.02)
        limits = ConnectionLimits(receive_buffer=1000)
        connection = Connection(session, "a", limits, meter=ledger.meter("a"), feed_bytes=1)
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            peer = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
        transport, _ = await loop.connect_accepted_socket(lambda: Glue(connection), ours)
        connection.opened(transport)
        peer.setblocking(False)
        reader = asyncio.create_task(count(connection))
        with contextlib.suppress(BlockingIOError):
            while True:
                peer.send(bytes(100_000))
                await asyncio.sleep(0.001)
        if how == "breaks off":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        await asyncio.sleep(0.1)
        connection.outbox.queue_raw(b"are you there?")
        async with asyncio.timeout(10):
            assert await reader < 100
            await connection.close()
            while not connection.is_closed:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.001)

    asyncio.run(run())


def test_a_running_stopwatch_that_takes_over_lets_others_run_and_charges_the_peer() -> None:
    """A WebSocket's reader continues the task of its HTTP request."""

    async def run() -> None:
        charged_before: list[float] = []
        stopwatch = Stopwatch(charged_before.append)
        ledger = CostLedger(CostLimits(peer_share=0.02, peer_burst=0.01, max_overuse=60.0))
        ledger.meter("somebody else")
        session = Greedy(seconds=0.002)
        connection = Connection(session, "a", meter=ledger.meter("a"), feed_bytes=1)
        connection.bytes_received(bytes(60))

        async def serve() -> None:
            connection.use_stopwatch(stopwatch)
            async for _ in connection:
                pass

        reader = asyncio.create_task(charged(serve(), stopwatch))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert connection.stopwatch is stopwatch
        assert 0 < len(session.fed) < 10, "the reader gives way within a step"
        async with asyncio.timeout(20):
            while not connection.traffic.throttled:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.001)
        connection.closed()
        await reader
        assert sum(charged_before) < 0.002
        await connection.close()

    asyncio.run(run())
