"""Keep a connection alive, and end it when the server falls silent."""

from __future__ import annotations

import asyncio
import time

from teleglyph.client.address import CallAddress
from teleglyph.errors import PeerTimeoutError
from teleglyph.net import Connection
from teleglyph.wire.acip import Ping

_PING_AFTER = 0.4
"""Seconds without a packet of ours before a ping; ascii-chat's programs expect a packet every second."""
_PROBE_AFTER, _GIVE_UP_AFTER = 3.0, 12.0
"""Seconds of silence before the server is pinged, and before the connection counts as lost."""
_PROBE_INTERVAL = 1.0
_TICK = 0.1


async def keep_alive(connection: Connection, address: CallAddress) -> None:
    """Send pings until cancelled, over WebSocket those of the WebSocket.

    Fails the connection when the server has been silent for too long.
    """
    probed_at = 0.0
    while True:
        await asyncio.sleep(_TICK)
        now = time.monotonic()
        silence = now - connection.last_received
        if silence > _GIVE_UP_AFTER:
            connection.fail(PeerTimeoutError(f"{address} has not responded for {silence:.0f} s."))
            return
        is_probe_due = silence > _PROBE_AFTER and now - probed_at > _PROBE_INTERVAL
        is_due = is_probe_due or (connection.envelope is None and now - connection.last_sent > _PING_AFTER)
        if not is_due or connection.blocked_since is not None:
            continue
        probed_at = now
        if connection.envelope is None:
            connection.send(Ping())
        else:
            connection.ping(now)
