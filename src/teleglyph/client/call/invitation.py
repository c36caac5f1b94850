"""How others can join, shown to a participant who is alone in a call."""

from __future__ import annotations

import asyncio
import contextlib

from teleglyph.client.address import CallAddress
from teleglyph.client.session_address import SessionAddress
from teleglyph.net import is_loopback, own_addresses

_CONNECT_SECONDS = 0.5
ALONE = "Nobody else is here yet."
"""The invitation is two short lines: it covers the picture, in small windows too."""


async def invitation(address: CallAddress, numeric_host: str) -> tuple[str, ...]:
    """The lines for a call without other participants.

    Args:
        address: the server, as the user typed it.
        numeric_host: its numeric address.  If that is this machine, others need another address; connecting to each
            shows whether the server listens there.
    """
    if isinstance(address, SessionAddress) or not is_loopback(numeric_host):
        return (f"{ALONE} Others join with", f"teleglyph client {address.as_typed}")
    for own in own_addresses():
        if await _accepts_connections(own, address.port):
            return (f"{ALONE} Others join with", f"teleglyph client {address._replace(host=own).as_typed}")
    return (f"{ALONE} Only this machine can join;", "to let others in: teleglyph server 0.0.0.0 ::")


async def _accepts_connections(host: str, port: int) -> bool:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CONNECT_SECONDS):
            _reader, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True
    return False
