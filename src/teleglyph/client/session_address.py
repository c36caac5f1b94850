"""Calls by their three-word names: ``brave-otter-lamp``, ``brave-otter-lamp/ROOM``, ``brave-otter-lamp@SERVICE``."""

from __future__ import annotations

from typing import NamedTuple

from teleglyph.net import authority
from teleglyph.net.addresses import SERVICE_PORT


class Service(NamedTuple):
    """A discovery service."""

    host: str
    port: int = SERVICE_PORT

    def __str__(self) -> str:
        return self.host if self.port == SERVICE_PORT else authority(self.host, self.port)


class SessionAddress(NamedTuple):
    """A call by its name at a discovery service, which knows where the host is.

    Attributes:
        name: three words.
        service: that was named; None looks only in the local network.
        room: empty for the lobby.
    """

    name: str
    service: Service | None = None
    room: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def host(self) -> str:
        """The name, where other addresses have a host."""
        return self.name

    @property
    def port(self) -> int:
        """The port of the service."""
        return SERVICE_PORT if self.service is None else self.service.port

    @property
    def known_as(self) -> str:
        """Under which the host's identity is remembered: a name means nothing without its service."""
        return f"{self.name}@{'local' if self.service is None else authority(*self.service)}"

    @property
    def as_typed(self) -> str:
        """The shortest text that means this call."""
        service = "" if self.service is None else f"@{self.service}"
        return f"{self.name}{service}" + (f"/{self.room}" if self.room else "")

    @property
    def in_words(self) -> str:
        """The call and its room, for messages."""
        return f"{self.name}/{self.room}" if self.room else self.name
