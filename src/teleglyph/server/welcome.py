"""Start-up messages for the host: how others join, what they need, and which ports to open."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from teleglyph.net import authority, is_loopback

DEFAULT_PORT = 27224
_ANY = ("0.0.0.0", "::")  # noqa: S104 - to be recognised, not listened on


@dataclass(frozen=True, slots=True)
class Welcome:
    """A server that has started.

    Attributes:
        bound: addresses and ports that it listens on for calls.
        machine: this machine's own addresses that others may reach.
        http_port: None without HTTP.
        has_password: joining needs a password.
        has_keys: joining needs a listed key.
        has_identity: the server proves a key.
    """

    bound: Sequence[tuple[str, int]]
    machine: Sequence[str]
    http_port: int | None
    has_password: bool
    has_keys: bool
    has_identity: bool

    def lines(self) -> Iterator[tuple[int, str]]:
        """The messages, with their log levels."""
        port = self.bound[0][1]
        if all(is_loopback(address) for address, _ in self.bound):
            yield self._info("Only this machine can join. To let others in, start it with: teleglyph server 0.0.0.0 ::")
            return
        if not self.has_password and not self.has_keys:
            yield (
                logging.WARNING,
                "Anybody who can reach this machine can join: there is no password and no list of keys. "
                "Set one with TELEGLYPH_PASSWORD or --client-keys",
            )
        reachable = self._reachable()
        for address in reachable:
            yield self._info(f"Others join with: teleglyph client {_as_typed(address, port)}")
        if not reachable:
            yield self._info(f"Others join with this machine's name and port {port}; no address for them was found")
        yield self._info(f"To join they need {self._needed()}")
        yield self._info(f"In a firewall, open {self._ports(port)}")
        if reachable and all(_is_private(address) for address in reachable):
            yield self._info(f"For people on the internet, have your router forward TCP port {port} to this machine")

    @staticmethod
    def _info(text: str) -> tuple[int, str]:
        return logging.INFO, text

    def _reachable(self) -> list[str]:
        found: list[str] = []
        for address, _ in self.bound:
            if address in _ANY:
                found += [own for own in self.machine if (":" in own) == (":" in address)]
            elif not is_loopback(address):
                found.append(address)
        return list(dict.fromkeys(found))

    def _needed(self) -> str:
        wanted = ["the password"] if self.has_password else []
        wanted += ["a key that you listed"] if self.has_keys else []
        wanted += ["a look at the server's fingerprint, the first time"] if self.has_identity else []
        return " and ".join(wanted) or "nothing"

    def _ports(self, port: int) -> str:
        if self.http_port is None:
            return f"TCP port {port}"
        return f"TCP port {port} ({self.http_port} is a second one for pages, if you want it)"


def _as_typed(address: str, port: int) -> str:
    if port != DEFAULT_PORT:
        return authority(address, port)
    return address


def _is_private(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_private or parsed.is_link_local
