"""Finds the router: the gateway of the system's IPv4 default route."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import sys
from pathlib import Path
from typing import Final, NamedTuple

_LINUX_TABLE: Final = Path("/proc/net/route")
_UP_AND_GATEWAY: Final = 0x0003
_ROUTE_COMMAND: Final = ("/sbin/route", "-n", "get", "-inet", "default")
_COMMAND_TIMEOUT: Final = 2.0


class Route(NamedTuple):
    """The way to the Internet.

    Attributes:
        gateway: the router's address on our side.
        own: our address on the way to it.
    """

    gateway: str
    own: str


async def default_route() -> Route | None:
    """The IPv4 default route through a router; None if there is none."""
    gateway = _gateway_of_table() if sys.platform == "linux" else await _gateway_of_command()
    if gateway is None:
        return None
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # A connected datagram socket knows its own address; no packet is sent.
        probe.connect((gateway, 9))
        return Route(gateway, str(probe.getsockname()[0]))
    return None


def gateway_in_table(text: str) -> str | None:
    """The gateway of the best default route in Linux's ``/proc/net/route``."""
    found: list[tuple[int, str]] = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        with contextlib.suppress(ValueError, IndexError):
            destination, gateway, flags, metric, mask = (
                int(fields[1], 16),
                int(fields[2], 16),
                int(fields[3], 16),
                int(fields[6]),
                int(fields[7], 16),
            )
            if destination == mask == 0 and flags & _UP_AND_GATEWAY == _UP_AND_GATEWAY:
                # The table has the bytes of addresses in the machine's own order.
                found.append((metric, str(ipaddress.IPv4Address(gateway.to_bytes(4, sys.byteorder)))))
    return min(found)[1] if found else None


def gateway_in_output(text: str) -> str | None:
    """The gateway in the output of ``route -n get default`` on macOS and the BSDs."""
    found = re.search(r"^\s*gateway: (\d+\.\d+\.\d+\.\d+)\s*$", text, re.MULTILINE)
    return found[1] if found else None


def _gateway_of_table() -> str | None:
    try:
        return gateway_in_table(_LINUX_TABLE.read_text())
    except OSError:
        return None


async def _gateway_of_command() -> str | None:
    try:
        process = await asyncio.create_subprocess_exec(
            *_ROUTE_COMMAND, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(_COMMAND_TIMEOUT):
            output, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return gateway_in_output(output.decode(errors="replace"))
