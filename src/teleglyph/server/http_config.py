"""The settings that serving HTTP needs, of any server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from teleglyph.net import OwnName
from teleglyph.net.forwarding import Network


class HttpConfig(Protocol):
    """Settings of a server with HTTP."""

    @property
    def connections_per_minute(self) -> int:
        """New connections per minute from one address; 0: any number, and any number of requests."""

    @property
    def trusted_proxies(self) -> Sequence[Network]:
        """Proxies whose forwarding headers are trusted."""

    @property
    def admin_token(self) -> str | None:
        """Authorizes reading figures from elsewhere; None: nobody may."""

    @property
    def origins(self) -> Sequence[str]:
        """Origins of other servers' pages that may connect."""

    @property
    def relay_urls(self) -> Sequence[OwnName]:
        """URLs by which clients know this server, besides those it finds by itself."""

    @property
    def announce(self) -> str | None:
        """An address that it announces; None for none."""

    @property
    def tls(self) -> tuple[Path, Path | None] | None:
        """Certificate and key for TLS; None: it makes its own."""
