"""Detecting stalls of this process, and silent peers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from teleglyph.events.limits import EventLimits
from teleglyph.net import Connection, ConnectionLimits, StallDetector, needs_ping
from teleglyph.net.websocket_server import ServerWebSocket

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def test_samples_in_time_report_no_stall() -> None:
    stalls = StallDetector(0.1)
    assert [stalls.sample(now) for now in (100.0, 100.1, 100.25, 100.8)] == [0.0] * 4


def test_a_stall_is_reported_once() -> None:
    stalls = StallDetector(0.1)
    stalls.sample(100.0)
    assert stalls.sample(106.1) == pytest.approx(6.0)
    assert stalls.sample(106.2) == 0.0


def test_silence_during_a_stall_is_not_counted_against_the_peer() -> None:
    async def run() -> None:
        connection = Connection(ServerWebSocket(REQUEST, origins=[None], max_message=1000), "a")
        now = time.monotonic()
        connection.last_received = connection.last_message = now - 7.0
        connection.writing_paused()
        connection.blocked_since = now - 8.0
        connection.postpone(6.0)
        assert now - connection.last_received == pytest.approx(1.0)
        assert now - connection.last_message == pytest.approx(1.0)
        assert now - connection.blocked_since == pytest.approx(2.0)
        connection.postpone(100.0)
        assert connection.last_received <= time.monotonic()

    asyncio.run(run())


def test_a_peer_that_only_listens_is_probed() -> None:
    async def run() -> None:
        connection = Connection(ServerWebSocket(REQUEST, origins=[None], max_message=1000), "a")
        timeouts = EventLimits()
        probes = 0
        now = connection.last_received
        for second in range(1, round(timeouts.silence_timeout)):
            connection.last_sent = now + second
            if needs_ping(connection, timeouts, now + second):
                connection.last_probed = now + second
                probes += 1
        assert probes > 1

    asyncio.run(run())


class Sink:
    """A transport that never delivers anything."""

    def pause_reading(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def test_a_peer_that_is_read_slowly_is_probed() -> None:
    async def run() -> None:
        limits = ConnectionLimits(receive_buffer=1000)
        connection = Connection(ServerWebSocket(REQUEST, origins=[None], max_message=1000), "a", limits)
        connection.opened(Sink())
        now = connection.last_received
        assert not needs_ping(connection, EventLimits(), now + 20)
        connection.bytes_received(bytes(2000))
        assert connection.is_reading_paused
        assert [second for second in range(20) if is_probed(connection, now + second)] == [6, 12, 18]

    def is_probed(connection: Connection, now: float) -> bool:
        connection.last_received = now  # as a reader that waits for its turn does
        if needs_ping(connection, EventLimits(), now):
            connection.last_probed = now
            return True
        return False

    asyncio.run(run())
