"""Start-up messages for the host: how others join, what they need, which port to open, and where data is stored."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from teleglyph.net import authority, is_loopback
from teleglyph.net.addresses import reachable_addresses
from teleglyph.server.config import DEFAULT_ADDRESSES, DEFAULT_PORT
from teleglyph.server.running_server import page_link


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """A server that has started.

    Attributes:
        bound: addresses and ports that it listens on for calls.
        machine: this machine's own addresses that others may reach.
        http_port: None without HTTP.
        has_password: joining needs a password.
        has_keys: joining needs a listed key.
        fingerprints: of the keys that the server proves.
        has_chat: it runs the Nostr relay.
        has_rooms: it has relay rooms.
        data_dir: where it stores its files; None if it stores nothing.
        has_database: records and events are in PostgreSQL.
        names: by which others may know the server, such as those of its certificate; the best one first.
        has_certificate: browsers can check its certificate.
        has_page: it serves the page for browsers on the port for calls.
        is_announced: it is announced on the local network.
        is_found_by_name: it registers with a discovery service.
    """

    bound: Sequence[tuple[str, int]]
    machine: Sequence[str]
    http_port: int | None
    has_password: bool
    has_keys: bool
    fingerprints: Sequence[str]
    has_chat: bool
    has_rooms: bool
    data_dir: Path | None
    has_database: bool
    names: Sequence[str] = ()
    has_certificate: bool = False
    has_page: bool = True
    is_announced: bool = False
    is_found_by_name: bool = False

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        return all(is_loopback(address) for address, _ in self.bound)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names and addresses for links, the best one first; never empty."""
        if self.is_local:
            address = self.bound[0][0]
            return ("localhost" if address in DEFAULT_ADDRESSES else address,)
        return tuple(dict.fromkeys([*self.names, *self._reachable()])) or ("localhost",)

    @property
    def link(self) -> str:
        """The URL of the lobby; empty without a page."""
        port = self.bound[0][1]
        return page_link(self.hosts[0], port, has_certificate=self.has_certificate) if self.has_page else ""

    def lines(self) -> Iterator[str]:
        """What a host needs to know, in one line each."""
        port = self.bound[0][1]
        if self.is_local:
            typed = "" if port == DEFAULT_PORT else authority(self.bound[0][0], port)
            yield f"Join on this machine: {_command('client', typed)}"
            if self.link:
                yield f"Or in a browser: {self.link}"
            if self.has_chat:
                yield f"Chat on this machine: {_command('chat', typed and f'--server {typed}')}"
            if needed := self._needed():
                yield f"Joining needs {needed}"
            if self.is_found_by_name:
                yield "Others can only join by name. To let them connect directly: teleglyph server 0.0.0.0 ::"
            else:
                yield "Nobody else can join. To let friends in: teleglyph server 0.0.0.0 ::"
        else:
            yield from self._invitation(port)
        yield f"Data: {self._place()}"
        for text in self.fingerprints:
            yield f"Fingerprint: {text}"

    def warnings(self) -> Iterator[str]:
        """What a host may not expect, in one line each."""
        is_open = not self.has_password and not self.has_keys
        if is_open and (self.is_found_by_name or not self.is_local):
            yield "Anybody can join. Set TELEGLYPH_PASSWORD or use --client-keys."
        if not is_open and self.has_chat:
            yield "Chat needs no password or key; --no-events turns it off."
        if not is_open and self.has_rooms:
            yield "Rooms need no password or key; remove --game to close them."

    def _invitation(self, port: int) -> Iterator[str]:
        reachable = self._reachable()
        for address in reachable:
            yield f"Friends join with: teleglyph client {_as_typed(address, port)}"
        if self.is_announced and any(_is_private(address) for address in reachable):
            yield "On your own network they find it with: teleglyph client"
        if self.link and (reachable or self.names):
            yield f"Or in a browser: {self.link}"
        if not reachable:
            yield f"Friends join with this machine's name and port {port}; no address for them was found"
        elif self.has_chat:
            yield f"Friends chat with: teleglyph chat --server {_as_typed(reachable[0], port)}"
        check = ", and confirm the fingerprint the first time" if self.fingerprints else ""
        yield f"They need {self._needed() or 'no password'}{check}"
        if self._needed() and self.fingerprints and self.data_dir is not None:
            yield "To let someone in without that: teleglyph invite"
        yield f"In a firewall, open {self._ports(port)}"
        if reachable and all(_is_private(address) for address in reachable) and not self.is_found_by_name:
            yield f"For friends on the internet, forward TCP port {port} in your router"

    def _reachable(self) -> list[str]:
        return list(dict.fromkeys(address for address, _ in reachable_addresses(self.bound, self.machine)))

    def _needed(self) -> str:
        wanted = ["the password"] if self.has_password else []
        wanted += ["a key that you listed"] if self.has_keys else []
        return " and ".join(wanted)

    def _place(self) -> str:
        if self.data_dir is None:
            return "nothing is stored (--ephemeral)"
        return f"{self.data_dir} and PostgreSQL" if self.has_database else str(self.data_dir)

    def _ports(self, port: int) -> str:
        if self.http_port is None:
            return f"TCP port {port}"
        return f"TCP port {port}; {self.http_port} is optional"


def _command(name: str, rest: str) -> str:
    return f"teleglyph {name} {rest}".rstrip()


def _as_typed(address: str, port: int) -> str:
    if port != DEFAULT_PORT:
        return authority(address, port)
    return address


def _is_private(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_private or parsed.is_link_local
