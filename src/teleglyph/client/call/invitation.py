"""What somebody who is alone in a call can tell others, so that they come."""

from __future__ import annotations

import asyncio
import contextlib

from teleglyph.client.address import DEFAULT_PORT, Address
from teleglyph.net import is_loopback, own_addresses

_SECONDS = 0.5
_ALONE = "Nobody else is here yet."
"""Two short lines: they lie over the picture, in small windows too."""


async def invitation(address: Address, numeric_host: str) -> tuple[str, ...]:
    """Sentences for the screen of an empty call.

    Args:
        address: what the user joined.
        numeric_host: the numeric address behind it.  If that is this machine itself, others need another one; whether
            the server listens there is found out by connecting.
    """
    if not is_loopback(numeric_host):
        return (f"{_ALONE} Others join with", f"teleglyph client {_as_typed(address)}")
    for own in own_addresses():
        if await _answers(own, address.port):
            return (f"{_ALONE} Others join with", f"teleglyph client {_as_typed(Address(own, address.port))}")
    return (f"{_ALONE} Only this machine can join;", "to let others in: teleglyph server 0.0.0.0 ::")


def _as_typed(address: Address) -> str:
    return address.host if address.port == DEFAULT_PORT else str(address)


async def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_SECONDS):
            _reader, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True
    return False
