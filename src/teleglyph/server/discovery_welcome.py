"""Start-up messages for the operator of a discovery service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from teleglyph.net import authority, is_loopback
from teleglyph.net.addresses import SERVICE_PORT
from teleglyph.server.discovery_config import DiscoveryConfig
from teleglyph.server.running_server import page_link

_ANY = ("0.0.0.0", "::")  # noqa: S104 - to be recognised, not listened on


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryWelcome:
    """A discovery service that has started.

    Attributes:
        bound: addresses and ports that it listens on.
        machine: this machine's own addresses that others may reach.
        names: of its certificate; the best one first.
        fingerprints: of the keys that it proves.
        config: its settings.
    """

    bound: Sequence[tuple[str, int]]
    machine: Sequence[str]
    names: Sequence[str]
    fingerprints: Sequence[str]
    config: DiscoveryConfig

    @property
    def host(self) -> str:
        """Name or address by which others reach it."""
        found = [*self.names]
        for address, _ in self.bound:
            if address in _ANY:
                found += [own for own in self.machine if (":" in own) == (":" in address)]
            elif not is_loopback(address):
                found.append(address)
        return found[0] if found else "localhost"

    def lines(self) -> Iterator[str]:
        """What the operator needs to know, in one line each."""
        port = self.bound[0][1]
        typed = self.host if port == SERVICE_PORT else authority(self.host, port)
        yield f"Hosts use it with: teleglyph server --discovery {typed}"
        if self.config.page:
            link = page_link(self.host, port, has_certificate=self.config.tls is not None)
            yield f"Friends join with the three words, or in a browser: {link}three-word-name"
        yield f"Data: {self.config.data_dir}{' and PostgreSQL' if self.config.database is not None else ''}"
        for text in self.fingerprints:
            yield f"Fingerprint: {text}"

    def warnings(self) -> Iterator[str]:
        """What the operator may not expect, in one line each."""
        if self.config.allow_plaintext:
            yield "ascii-chat's programs may connect without encryption (--allow-plaintext)"
        is_proxied = bool(self.config.trusted_proxies)
        if self.config.page and self.config.tls is None and not is_proxied and self.host != "localhost":
            yield "Browsers need https: use --tls-cert, or a proxy with --trusted-proxy; --no-page turns the page off"
        if not self.config.service.ice.turn:
            yield "Without --turn-servers, calls fail where both sides are behind strict routers"
