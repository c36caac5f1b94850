"""Tries whether a peer's port can be reached from here, for people who set up a host."""

from __future__ import annotations

import asyncio
import contextlib

from teleglyph.net import is_loopback
from teleglyph.net.addresses import numeric
from teleglyph.wire.discovery import ProbeResult

_SECONDS = 4.0
_MAX_PROBES = 32
"""At once, from everywhere."""


class NatProber:
    """Connects to peers, only to the address that they come from."""

    def __init__(self) -> None:
        self._running = 0

    async def probe(self, address: str, port: int) -> ProbeResult:
        """Try a TCP connection.

        Args:
            address: the peer's.
            port: on it.

        Returns:
            the result.  An address of this machine is never tried: behind a proxy that names no clients, all peers
            would have it, and could explore this machine's ports.
        """
        if is_loopback(address) or numeric(address) is None:
            return ProbeResult.NO_ANSWER
        if self._running >= _MAX_PROBES:
            return ProbeResult.RATE_LIMITED
        self._running += 1
        try:
            async with asyncio.timeout(_SECONDS):
                _, writer = await asyncio.open_connection(address, port)
        except ConnectionRefusedError:
            return ProbeResult.REFUSED
        except OSError:  # includes TimeoutError
            return ProbeResult.NO_ANSWER
        finally:
            self._running -= 1
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return ProbeResult.REACHED
