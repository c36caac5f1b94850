"""The server on the local network, where ``teleglyph client`` finds it without an address."""

from __future__ import annotations

from collections.abc import Sequence

from teleglyph.discovery.lan import LanAnnouncement
from teleglyph.net import is_loopback
from teleglyph.server.config import ServerConfig


def announcement_for(config: ServerConfig, bound: Sequence[tuple[str, int]]) -> LanAnnouncement | None:
    """The server's announcement, not yet started; None if it wants none, or only this machine can connect.

    Args:
        config: of the server.
        bound: addresses and ports that it listens on for calls.
    """
    reachable = [address for address, _ in bound if not is_loopback(address)]
    if not config.lan or not reachable:
        return None
    identity = config.identities[0].public_key if config.identities else None
    return LanAnnouncement("", identity, reachable, bound[0][1])
