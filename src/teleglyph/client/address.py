"""Parse server addresses: one syntax for calls, chat and games."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from teleglyph.client.session_address import SessionAddress
from teleglyph.errors import UserError
from teleglyph.net import DEFAULT_PORT, authority
from teleglyph.room_name import LOBBY, parse_room_name

__all__ = [
    "ADDRESS_HELP",
    "CALL_PATH",
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "Address",
    "CallAddress",
    "WebSocketAddress",
    "parse_address",
    "parse_call_address",
    "websocket_url",
]

DEFAULT_HOST = "localhost"
ADDRESS_HELP = "HOST, HOST:PORT, an IPv4 or IPv6 address, or [IPv6]:PORT"
CALL_PATH = "/call"
"""The path of a server's WebSocket for calls."""
_FORMS = "Write HOST, HOST:PORT or [IPv6]:PORT."
_MAX_LENGTH = 2000
_MAX_QUOTED = 100
"""Characters of an invalid address in an error message."""


class Address(NamedTuple):
    """A host name or address literal, a TCP port, and a call room.

    As text it has no room: it names the server, which is the same for all rooms.

    Attributes:
        room: empty for the lobby.
    """

    host: str
    port: int
    room: str = ""

    def __str__(self) -> str:
        return authority(self.host, self.port)

    @property
    def as_typed(self) -> str:
        """The shortest text from which :func:`parse_address` makes this address."""
        return (self.host if self.port == DEFAULT_PORT else str(self)) + (f"/{self.room}" if self.room else "")

    @property
    def in_words(self) -> str:
        """The server and its room, for messages."""
        return f"{self}/{self.room}" if self.room else str(self)


class WebSocketAddress(NamedTuple):
    """The URL of a WebSocket for calls."""

    is_secure: bool
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        scheme, default = ("wss", 443) if self.is_secure else ("ws", 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host if self.port == default else authority(self.host, self.port)}{self.path}"

    @property
    def as_typed(self) -> str:
        """The shortest text from which :func:`parse_call_address` makes this address."""
        return str(self).removesuffix(CALL_PATH) if self.path == CALL_PATH else str(self)

    @property
    def in_words(self) -> str:
        """The server and its room, for messages."""
        return str(self)

    @property
    def room(self) -> str:
        """The call room in the path; empty if it names none."""
        return self.path.removeprefix(f"{CALL_PATH}/") if self.path.startswith(f"{CALL_PATH}/") else ""


CallAddress = Address | WebSocketAddress | SessionAddress


def parse_call_address(text: str | None, port: int | None = None, room: str | None = None) -> CallAddress:
    """Parse what :func:`parse_address` takes, or a ``ws://`` or ``wss://`` URL with default port 80 or 443.

    Args:
        text: the user's input; None means this machine.
        port: from ``--port``; must not contradict a port in the text.
        room: from ``--room``; must not contradict a room in the text.

    Raises:
        UserError: the text is not an address.
    """
    scheme, rest = ("", "") if text is None else _scheme(text)
    if text is None or scheme not in ("ws", "wss"):
        return parse_address(text, port, room)
    host, written, path = _websocket_parts(scheme, rest, text)
    if "#" in path:
        raise UserError(f"'{_shortened(text)}' is not an address: remove the # and everything after it.")
    default = 443 if scheme == "wss" else 80
    path = path or CALL_PATH
    if (name := _room(room or "")) and path != f"{CALL_PATH}/{name}":
        if path.rstrip("/") != CALL_PATH:
            raise UserError(
                f"'{_shortened(text)}' has a path, so it cannot be combined with --room. Write the room at the end of "
                f"the path, as in {scheme}://{host}{CALL_PATH}/{name}."
            )
        path = f"{CALL_PATH}/{name}"
    return WebSocketAddress(scheme == "wss", host, _agreed(written, port, text) or default, path)


def parse_address(
    text: str | None, port: int | None = None, room: str | None = None, *, default_port: int = DEFAULT_PORT
) -> Address:
    """Parse ``host``, ``host:port``, an IPv4 or IPv6 address or ``[IPv6]:port``.

    Each may follow ``tcp://``, and ``/room`` may follow each.

    Args:
        text: the user's input; None means this machine.
        port: from ``--port``; must not contradict a port in the text.
        room: from ``--room``; must not contradict a room in the text.
        default_port: the port if neither names one.

    Raises:
        UserError: the text is not an address.
    """
    if text is None:
        return Address(DEFAULT_HOST, port or default_port, _room(room or ""))
    scheme, rest = _scheme(text)
    if scheme in ("ws", "wss"):
        raise UserError(f"'{_shortened(text)}' is a WebSocket URL, which cannot be used here. {_FORMS}")
    place, _, tail = rest.partition("/")
    host, written = _authority(place, text)
    name = _room(tail or room or "")
    if tail and room is not None and name != _room(room):
        raise UserError(
            f"'{_shortened(text)}' and --room {_shortened(room)} name different rooms. Leave one of them out."
        )
    return Address(host or DEFAULT_HOST, _agreed(written, port, text) or default_port, name)


def _agreed(written: int | None, port: int | None, text: str) -> int | None:
    """The port in the text or that of ``--port``, which must not differ; None for neither."""
    if port is not None and written is not None and port != written:
        raise UserError(f"'{_shortened(text)}' and --port {port} name different ports. Leave one of them out.")
    return written or port


def websocket_url(text: str | None, path: str) -> str:
    """The URL of a server's WebSocket service.

    Args:
        text: an address for :func:`parse_address`, or a ``ws://`` or ``wss://`` URL with default port 80 or 443.
        path: of the service on our servers, such as ``/rooms``.  A URL with a path keeps it.

    Raises:
        UserError: the text is not an address.
    """
    scheme, rest = ("", "") if text is None else _scheme(text)
    if text is None or scheme not in ("ws", "wss"):
        address = parse_address(text)
        if address.room:
            raise UserError(f"'{address.as_typed}' names a call room, but this is the address of a server. {_FORMS}")
        return f"ws://{address}{path}"
    host, port, written = _websocket_parts(scheme, rest, text)
    where = (f"[{host}]" if ":" in host else host) if port is None else authority(host, port)
    return f"{scheme}://{where}{written or path}"


def _websocket_parts(scheme: str, rest: str, text: str) -> tuple[str, int | None, str]:
    """Split a WebSocket URL into host, port, which may be missing, and path, which is empty for none or ``/``."""
    place, slash, tail = rest.partition("/")
    if any(not 0x20 < ord(character) < 0x7F for character in tail):
        raise UserError(f"'{_shortened(text)}' is not an address: its path has a character that URLs do not allow.")
    host, port = _authority(place, text)
    if not host:
        raise UserError(f"'{_shortened(text)}' is not an address: there is no host after {scheme}://.")
    return host, port, slash + tail if tail.strip("/") else ""


def _room(name: str) -> str:
    """A call room's name in lower case; empty for the lobby."""
    try:
        found = parse_room_name(name)
    except ValueError as error:
        raise UserError(f"'{_shortened(name)}' is not a room. {error}") from None
    return "" if found == LOBBY else found


def _scheme(text: str) -> tuple[str, str]:
    """Split off the scheme, in lower case; empty if there is none."""
    rest = text.strip()
    if not rest:
        raise UserError(f"The address is empty. {_FORMS} Omit it to use this machine.")
    scheme, separator, after = rest.partition("://")
    if not separator:
        return "", rest
    scheme = scheme.lower()
    if scheme in ("ws", "wss"):
        return scheme, after
    if scheme == "tcp":
        return scheme, after.rstrip("/")
    raise UserError(f"'{_shortened(text)}' is not a server address: {scheme[:20]}:// is not supported. {_FORMS}")


def _authority(place: str, text: str) -> tuple[str, int | None]:
    """Split into host, which may be empty, and port, which may be missing."""
    if len(place) > _MAX_LENGTH:
        raise UserError(f"'{_shortened(text)}' is not an address: it is too long. {_FORMS}")
    if place.startswith("["):
        host, bracket, tail = place[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (tail and not tail.startswith(":")):
            raise _ipv6_error(text)
        return host, _port(tail[1:], text) if tail else None
    if place.count(":") > 1:
        if not _is_ipv6(place):
            raise _ipv6_error(text)
        return place, None
    host, colon, port = place.partition(":")
    if not all(character.isalnum() or character in "-._" for character in host) or not _is_name(host):
        raise UserError(f"'{_shortened(text)}' is not an address. {_FORMS}")
    return host, _port(port, text) if colon else None


def _ipv6_error(text: str) -> UserError:
    return UserError(f"'{_shortened(text)}' is not an address. Write an IPv6 address with a port as [ADDRESS]:PORT.")


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return all(character.isalnum() or character in ":.%-_" for character in host)


def _is_name(host: str) -> bool:
    """Whether the resolver accepts the name: no empty or overlong labels."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _port(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 5 and 1 <= int(digits) <= 65535):
        raise UserError(
            f"'{_shortened(text)}' has an invalid port '{_shortened(digits)}'. Use a number from 1 to 65535."
        )
    return int(digits)


def _shortened(text: str) -> str:
    # Invitations do not appear in messages.
    head, mark, _ = text.partition("#i=")
    text = f"{head}#…" if mark else text
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…"
