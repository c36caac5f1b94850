"""STUN servers as people write them, and their numeric addresses."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import NamedTuple

from teleglyph.errors import ConfigurationError
from teleglyph.net import authority
from teleglyph.wire.stun import DEFAULT_PORT, StunAddress

_SERVER = re.compile(
    r"(?:stun:)?(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/?#@\[\]]{1,253}))(?::(?P<port>\d{1,5}))?"
)


class StunServer(NamedTuple):
    """Where a STUN server listens.

    Attributes:
        host: a name or a numeric address.
        port: its UDP port.
    """

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return authority(self.host, self.port)


def parse_stun_server(text: str) -> StunServer:
    """A server from ``stun:HOST``, ``HOST`` or ``HOST:PORT``.

    Raises:
        ConfigurationError: the text is something else.
    """
    found = _SERVER.fullmatch(text)
    port = int(found["port"] or DEFAULT_PORT) if found else 0
    if found is None or not 0 < port <= 65535:
        raise ConfigurationError(
            f"{text!r} is not a STUN server. Write stun:HOST or stun:HOST:PORT, for example stun:stun.example.org:3478."
        )
    return StunServer(found["six"] or found["host"], port)


async def resolve(server: StunServer, timeout: float, family: int = socket.AF_UNSPEC) -> StunAddress | None:
    """A numeric address of a server; IPv4 if it has one, because NATs are a matter of IPv4.

    Args:
        server: to find.
        timeout: seconds.
        family: AF_INET or AF_INET6, if only such an address is of use.

    Returns:
        None if its name has no such address, or the answer takes too long.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            found = await loop.getaddrinfo(server.host, server.port, family=family, type=socket.SOCK_DGRAM)
    except (OSError, TimeoutError, UnicodeError):
        return None
    addresses = [StunAddress(str(entry[4][0]), server.port) for entry in found]
    return min(addresses, key=lambda address: ":" in address.host, default=None)
