"""STUN and TURN servers as URLs (RFC 7064, RFC 7065)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

MAX_SERVERS = 8
"""Servers that are asked; others are ignored."""
_URL = re.compile(
    r"(?P<scheme>stun|turns?):(?P<host>\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:(?P<port>[0-9]{1,5}))?"
    r"(\?transport=(?P<transport>udp|tcp))?"
)


class IceServer(Protocol):
    """A server of a host's list; the messages of the discovery service have such objects."""

    @property
    def url(self) -> str:
        """For example ``turn:example.org:3478?transport=tcp``."""

    @property
    def username(self) -> str:
        """For TURN; otherwise empty."""

    @property
    def credential(self) -> str:
        """For TURN; otherwise empty."""


@dataclass(frozen=True, slots=True)
class StunServer:
    """A server that says from which address it sees us."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A relay.

    Attributes:
        url: for messages.
        host, port: where it is.
        transport: ``udp`` or ``tcp``.
        is_secure: TLS, over TCP.
        username, credential: its long-term credentials, which expire if they come from a discovery service.
    """

    url: str
    host: str
    port: int
    transport: str
    is_secure: bool
    username: str
    credential: str

    def __repr__(self) -> str:
        return f"TurnServer({self.url})"  # without the credential


def parse_servers(servers: Iterable[IceServer]) -> tuple[list[StunServer], list[TurnServer]]:
    """The servers that can be used; URLs that are damaged or of another kind are skipped."""
    stun: list[StunServer] = []
    turn: list[TurnServer] = []
    for server in list(servers)[:MAX_SERVERS]:
        match = _URL.fullmatch(server.url)
        if match is None:
            continue
        scheme, host, transport = match["scheme"], match["host"].strip("[]"), match["transport"]
        port = int(match["port"] or (5349 if scheme == "turns" else 3478))
        if not 0 < port < 65536:
            continue
        if scheme == "stun":
            stun.append(StunServer(host, port))
        elif scheme == "turn":
            turn.append(
                TurnServer(server.url, host, port, transport or "udp", False, server.username, server.credential)
            )
        elif transport != "udp":  # there is no library for TURN over DTLS
            turn.append(TurnServer(server.url, host, port, "tcp", True, server.username, server.credential))
    return stun, turn
