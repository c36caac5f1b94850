"""Lets people in who come through data channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from teleglyph.errors import RateLimitError
from teleglyph.net import Listener
from teleglyph.server.call_admission import CallAdmission
from teleglyph.wire.discovery import IceServer

MAX_CHANNELS = 64
"""Data channels at once, open or being opened."""
OPEN_SECONDS = 20.0
"""Until a data channel is open, after its offer."""


class Arrivals:
    """Opens data channels and passes them on to the usual services.

    Args:
        listener: takes streams as if they were connections by TCP.
        calls: takes pages.
    """

    def __init__(self, listener: Listener, calls: CallAdmission) -> None:
        self.opened = 0
        """Data channels that were opened."""
        self._listener = listener
        self._calls = calls
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open_channels(self) -> int:
        """Data channels that are open or being opened."""
        return len(self._tasks)

    def keep(self, task: asyncio.Task[None]) -> None:
        """Keep a task of a data channel until it ends."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def answer(self, offer: str, servers: Sequence[IceServer], reply: Callable[[str], None]) -> None:
        """Answer an offer, and serve the data channel until it is closed.

        Args:
            offer: SDP, from a stranger who has been admitted.
            servers: for ICE.
            reply: sends our SDP.

        Raises:
            RateLimitError: too many data channels are open.
            PeerError: the offer is invalid, or no connection came about.
        """
        if len(self._tasks) > MAX_CHANNELS:
            raise RateLimitError("The host has too many data channels open. Try again later.")
        # Imported here, because only few servers need these libraries.
        from teleglyph.net.data_channel import PAGE, DataChannelAnswer

        channel = DataChannelAnswer(charge=self._charge)
        try:
            reply(await channel.create(offer, servers))
            sock, protocol = await channel.open(OPEN_SECONDS)
            self.opened += 1
            self._listener.adopt(sock, channel.peer, self._calls.page if protocol == PAGE else None)
            await channel.wait_closed()
        finally:
            await channel.close()

    def _charge(self, peer: str, seconds: float) -> float:
        """Charge an address for its packets, since decrypting them happens before its connection is read."""
        return self._calls.gate.charge(peer, seconds) if peer else 0.0

    async def close(self) -> None:
        """Close all data channels."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
