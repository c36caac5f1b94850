"""Server addresses as people write them: one syntax for calls, chat and games."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from teleglyph.errors import UserError
from teleglyph.net import DEFAULT_PORT, authority

__all__ = ["ADDRESS_HELP", "DEFAULT_HOST", "DEFAULT_PORT", "Address", "parse_address", "websocket_url"]

DEFAULT_HOST = "localhost"
ADDRESS_HELP = "HOST, HOST:PORT, an IPv4 or IPv6 address, or [IPv6]:PORT"
_FORMS = "Write HOST, HOST:PORT or [IPv6]:PORT."
_MAX_LENGTH = 2000
_SHOWN = 100
"""Characters of a wrong address that an error repeats."""


class Address(NamedTuple):
    """A host name or address literal, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return authority(self.host, self.port)


def parse_address(text: str | None, port: int | None = None) -> Address:
    """Read ``host``, ``host:port``, an IPv4 or IPv6 address or ``[IPv6]:port``, each also after ``tcp://``.

    Args:
        text: what the user wrote; None means this machine.
        port: the port of ``--port``, which must not contradict one in the text.

    Raises:
        UserError: it is none of these.
    """
    if text is None:
        return Address(DEFAULT_HOST, port or DEFAULT_PORT)
    scheme, rest = _scheme(text)
    if scheme in ("ws", "wss"):
        raise UserError(f"'{_shown(text)}' is a WebSocket URL, which only chat and play can use. {_FORMS}")
    host, written = _authority(rest, text)
    if port is not None and written is not None and port != written:
        raise UserError(f"'{_shown(text)}' and --port {port} name different ports. Leave one of them out.")
    return Address(host or DEFAULT_HOST, written or port or DEFAULT_PORT)


def websocket_url(text: str | None, path: str) -> str:
    """The URL of a server's WebSocket service.

    Args:
        text: what :func:`parse_address` reads, or a ``ws://`` or ``wss://`` URL, whose default ports are 80 and 443.
        path: of the service on our servers, such as ``/rooms``.  A URL that has a path keeps its own.

    Raises:
        UserError: the text is none of these.
    """
    scheme, rest = ("", "") if text is None else _scheme(text)
    if text is None or scheme not in ("ws", "wss"):
        return f"ws://{parse_address(text)}{path}"
    place, slash, tail = rest.partition("/")
    if any(not 0x20 < ord(character) < 0x7F for character in tail):
        raise UserError(f"'{_shown(text)}' is not an address: its path has a character that URLs must not contain.")
    host, port = _authority(place, text)
    if not host:
        raise UserError(f"'{_shown(text)}' is not an address: there is no host after {scheme}://.")
    where = (f"[{host}]" if ":" in host else host) if port is None else authority(host, port)
    return f"{scheme}://{where}{slash + tail if tail.strip('/') else path}"


def _scheme(text: str) -> tuple[str, str]:
    """The lower-case scheme, or nothing, and what follows it."""
    rest = text.strip()
    if not rest:
        raise UserError(f"The address is empty. {_FORMS} Without an address it is this machine.")
    scheme, separator, after = rest.partition("://")
    if not separator:
        return "", rest
    scheme = scheme.lower()
    if scheme in ("ws", "wss"):
        return scheme, after
    if scheme == "tcp":
        return scheme, after.rstrip("/")
    raise UserError(f"'{_shown(text)}' is not an address of a server: {scheme[:20]}:// is not used here. {_FORMS}")


def _authority(place: str, text: str) -> tuple[str, int | None]:
    """Host, which may be empty, and port, if there is one."""
    if len(place) > _MAX_LENGTH:
        raise UserError(f"'{_shown(text)}' is not an address: it is too long. {_FORMS}")
    if place.startswith("["):
        host, bracket, tail = place[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (tail and not tail.startswith(":")):
            raise _no_ipv6(text)
        return host, _port(tail[1:], text) if tail else None
    if place.count(":") > 1:
        if not _is_ipv6(place):
            raise _no_ipv6(text)
        return place, None
    host, colon, port = place.partition(":")
    if not all(character.isalnum() or character in "-._" for character in host) or not _is_name(host):
        raise UserError(f"'{_shown(text)}' is not an address. {_FORMS}")
    return host, _port(port, text) if colon else None


def _no_ipv6(text: str) -> UserError:
    return UserError(f"'{_shown(text)}' is not an address: an IPv6 address with a port is written [ADDRESS]:PORT.")


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return all(character.isalnum() or character in ":.%-_" for character in host)


def _is_name(host: str) -> bool:
    """Whether the resolver will take it: no empty or overlong labels."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _port(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 5 and 1 <= int(digits) <= 65535):
        raise UserError(f"'{_shown(text)}': the port '{_shown(digits)}' is not a number from 1 to 65535.")
    return int(digits)


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
