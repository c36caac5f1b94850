"""Where a server is, as people write it."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

from teleglyph.errors import UserError
from teleglyph.net import authority

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 27224


class Address(NamedTuple):
    """A host name or address literal, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return authority(self.host, self.port)


def parse_address(text: str, port: int | None = None) -> Address:
    """Read ``host``, ``host:port``, an IPv4 or IPv6 address, ``[IPv6]:port``, each also after ``tcp://`` (cli.md 1).

    Args:
        text: what the user wrote; empty means this machine.
        port: the port of ``--port``, which must not contradict one in the text.

    Raises:
        UserError: it is none of these.
    """
    rest = text.strip()
    scheme, separator, after = rest.partition("://")
    if separator:
        if scheme.lower() != "tcp":
            raise UserError(f"'{text}': calls are reached over tcp://, not {scheme}://")
        rest = after.rstrip("/")
    host, written = _split(rest, text)
    if port is not None and written is not None and port != written:
        raise UserError(f"'{text}' and --port {port} name different ports: leave one out")
    if any(char.isspace() or char in "/@[]" for char in host):
        raise UserError(f"'{text}' is not an address: write HOST, HOST:PORT or [IPv6]:PORT")
    return Address(host or DEFAULT_HOST, written or port or DEFAULT_PORT)


def _split(rest: str, text: str) -> tuple[str, int | None]:
    if rest.startswith("["):
        host, bracket, tail = rest[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (tail and not tail.startswith(":")):
            raise UserError(f"'{text}' is not an address: an IPv6 address with a port is written [ADDRESS]:PORT")
        return host, _port(tail[1:], text) if tail else None
    if rest.count(":") > 1:
        if not _is_ipv6(rest):
            raise UserError(f"'{text}' is not an address: an IPv6 address with a port is written [ADDRESS]:PORT")
        return rest, None
    host, colon, port = rest.partition(":")
    return host, _port(port, text) if colon else None


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _port(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 5 and 1 <= int(digits) <= 65535):
        raise UserError(f"'{text}': the port '{digits}' is not a number from 1 to 65535")
    return int(digits)


def websocket_url(text: str, default_port: int, path: str) -> str:
    """Where a server's WebSocket is.

    Args:
        text: HOST, HOST:PORT, a ``ws://`` or ``wss://`` URL, or nothing for this machine.
        default_port: if none is named.
        path: on servers of ours; a URL with a path of its own keeps that.

    Raises:
        UserError: the text is none of these.
    """
    if text.startswith(("ws://", "wss://")):
        return text if urlsplit(text).path.strip("/") else f"{text.rstrip('/')}{path}"
    address = parse_address(text) if text else None
    where = address._replace(port=default_port) if address and ":" not in text.rpartition("]")[2] else address
    return f"ws://{where or f'localhost:{default_port}'}{path}"
