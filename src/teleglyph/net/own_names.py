"""The names of this server, to reject proofs that clients made for another one.

A client signs the name of the server it believes it is talking to.  The server compares it with its configured names.
The request's ``Host`` header proves nothing, because a hostile server in between can forge it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import idna

from teleglyph.net.addresses import authority, numeric

_DEFAULT_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_MAX_URL = 2000
_SHOWN = 3
"""Names that a refusal lists."""


@dataclass(frozen=True, slots=True)
class OwnName:
    """One name of the server.

    Attributes:
        host: in the form of :func:`plain_host`; a leading ``*.`` matches one label, as in certificates.
        port: the only port of that name; None for any.
        shown: the configured spelling, for messages and for comparison with proofs.
    """

    host: str
    port: int | None = None
    shown: str = ""

    def __str__(self) -> str:
        return self.shown or (self.host if self.port is None else authority(self.host, self.port))

    def matches(self, host: str, ports: Sequence[int]) -> bool:
        """Whether this name matches a host with one of these ports."""
        if self.port is not None and self.port not in ports:
            return False
        if self.host.startswith("*."):
            label, dot, rest = host.partition(".")
            return bool(label and dot) and rest == self.host[2:]
        return host == self.host


@dataclass(frozen=True, slots=True)
class OwnNames:
    """The server's names on one connection.

    Attributes:
        names: the configured names.
        asked: the ``Host`` header of the connection's request; it counts only if it matches a name.
    """

    names: tuple[OwnName, ...] = ()
    asked: str = ""

    def is_own_url(self, url: str) -> bool:
        """Whether the host and port of a URL (``ws``, ``wss``, ``http`` or ``https``) are this server's.

        The path does not matter.
        """
        found = _read_url(url)
        return found is not None and self._knows(found[0], [found[1]])

    def is_own_host(self, host: str) -> bool:
        """Whether ``host`` or ``host:port``, as in a ``Host`` header, is this server.

        Without a port it can have either default port, that of HTTP or that of HTTPS.
        """
        found = _read_authority(host)
        return found is not None and self._knows(found[0], [80, 443] if found[1] is None else [found[1]])

    @property
    def spellings(self) -> tuple[str, ...]:
        """The hosts that a proof may be signed for: the request's ``Host``, and the configured spellings."""
        asked = [self.asked] if self.is_own_host(self.asked) else []
        return tuple(dict.fromkeys([*asked, *(name.shown for name in self.names if name.shown)]))

    def __str__(self) -> str:
        """The server's names and how to change them, as the end of a sentence."""
        shown = list(dict.fromkeys(map(str, self.names)))
        if not shown:
            return "this server has no name yet; its host sets one with --relay-url"
        return f"this server is called {', '.join(shown[:_SHOWN])}; its host adds names with --relay-url"

    def _knows(self, host: str, ports: Sequence[int]) -> bool:
        return any(name.matches(host, ports) for name in self.names)


def plain_host(host: str) -> str | None:
    """The canonical form of a host: lower case, ASCII, without a final dot; addresses in the form of ``ipaddress``.

    Returns:
        None if it is neither a name nor an address.
    """
    address = numeric(host)
    if address is not None:
        return address
    host = host.removesuffix(".")
    if not host or any(character in ":/\\@?#%[]" or ord(character) <= 0x20 for character in host):
        return None
    if host.isascii() and len(host) < 254:
        # Names in local networks may have an underscore, which IDNA does not know.
        return host.lower() if all(0 < len(label) < 64 for label in host.split(".")) else None
    try:
        return idna.encode(host, uts46=True, transitional=False).decode().lower().removesuffix(".")
    except (UnicodeError, ValueError):
        return None


def read_relay_url(text: str) -> OwnName | None:
    """The name in a URL of this server, or in ``host`` or ``host:port``; None if the text is neither."""
    if "://" in text:
        found = _read_url(text)
        if found is None:
            return None
        parts = urlsplit(text.strip())
        return OwnName(found[0], parts.port, parts.netloc)
    named = _read_authority(text)
    return None if named is None else OwnName(named[0], named[1], text.strip())


def _read_url(url: str) -> tuple[str, int] | None:
    """Host and port of a URL, or None."""
    url = url.strip(" ")
    # Python's parser removes line feeds and tabs, and allows a backslash in a host.  Browsers read both differently.
    if len(url) > _MAX_URL or "\\" in url or any(ord(character) <= 0x20 for character in url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None:
        return None
    found = _read_authority(parts.netloc)
    return None if found is None else (found[0], found[1] or default)


def _read_authority(text: str) -> tuple[str, int | None] | None:
    text = text.strip(" ")
    if len(text) > _MAX_URL:
        return None
    if text.startswith("["):
        literal, bracket, tail = text[1:].partition("]")
        if not bracket or ":" not in literal or (tail and not tail.startswith(":")):
            return None
        # A URL writes the zone of an address after %25 (RFC 6874).
        host, port = numeric(literal.replace("%25", "%")), tail[1:]
    else:
        name, _, port = text.partition(":")
        host = plain_host(name)
    if host is None or (port and not (port.isascii() and port.isdecimal() and len(port) <= 5)):
        return None
    return (host, int(port)) if port and 0 < int(port) < 65536 else None if port else (host, None)
