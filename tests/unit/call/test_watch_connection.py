"""Signs of life of a participant: PING over TCP, the WebSocket's own pings over WebSocket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from teleglyph.call.limits import CallLimits
from teleglyph.call.session import watch_connection
from teleglyph.errors import PeerError

LIMITS = CallLimits()


class Envelope:
    """Counts pings."""

    def __init__(self) -> None:
        self.pings = 0

    def ping(self) -> None:
        self.pings += 1

    def closing_bytes(self, ending: BaseException | None) -> bytes:
        del ending
        return b""


async def failure_of(peer: Any) -> str:
    """Why the connection's reader fails; empty if it does not."""
    try:
        async with asyncio.timeout(0.05):
            async for _ in peer.connection:
                pass
    except PeerError as error:
        return str(error)
    except TimeoutError:
        pass
    return ""


def watched(open_call: Any, seconds: float, *, over_websocket: bool, answers: bool = True, packets: bool = True) -> Any:
    """Watch a participant that sends nothing by itself; return its PINGs, the WebSocket's pings, and the failure."""

    async def run() -> tuple[int, int, str]:
        async with open_call() as call:
            peer = call.connect()
            envelope = Envelope()
            connection = peer.connection
            connection.envelope = envelope if over_websocket else None
            start = now = connection.last_received
            sent: list[object] = []
            connection.send = sent.append
            seen = 0
            while now < start + seconds:
                now += 0.1
                watch_connection(peer.participant, LIMITS, now)
                if envelope.pings > seen and answers:
                    seen, connection.last_received = envelope.pings, now
                    if packets:
                        connection.last_message = now
            return len(sent), envelope.pings, await failure_of(peer)

    return asyncio.run(run())


def test_over_tcp_silence_ends_the_connection_and_pings_are_packets(open_call: Any) -> None:
    packets, pings, failure = watched(open_call, 6, over_websocket=False)
    assert packets > 0
    assert pings == 0
    assert "sent nothing for 5 s" in failure


def test_over_websocket_a_client_that_answers_pings_stays(open_call: Any) -> None:
    packets, pings, failure = watched(open_call, 60, over_websocket=True)
    assert packets == 0, "ascii-chat's browser client does not know PING"
    assert 60 / (LIMITS.websocket.ping_after + 0.2) - 1 <= pings <= 60 / LIMITS.websocket.ping_after
    assert failure == ""


@pytest.mark.parametrize(
    ("answers", "packets", "message"),
    [(False, False, "has been silent for 20 s"), (True, False, "sent no complete packet for 20 s")],
)
def test_over_websocket_others_do_not(open_call: Any, answers: bool, packets: bool, message: str) -> None:
    sent, pings, failure = watched(open_call, 21, over_websocket=True, answers=answers, packets=packets)
    assert sent == 0
    assert pings >= 2
    assert message in failure
