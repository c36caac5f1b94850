"""Listens on the addresses of a configuration."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from teleglyph.errors import BindError
from teleglyph.net import Listener

_log = logging.getLogger(__name__)


def listen_on(
    listener: Listener, addresses: Sequence[str], port: int, defaults: Sequence[str]
) -> list[tuple[str, int]]:
    """Listen on all addresses with one port; returns the bound addresses and ports.

    Args:
        listener: accepts the connections.
        addresses: IPv4 and IPv6 literals.
        port: 0 lets the system choose one.
        defaults: the addresses without a choice of the user's; their IPv6 address may be missing, because machines
            without IPv6 are common.

    Raises:
        BindError: an address cannot be used.
    """
    bound: list[tuple[str, int]] = []
    for address in addresses:
        try:
            bound.append(listener.listen(address, port))
        except BindError as error:
            if not (tuple(addresses) == tuple(defaults) and ":" in address and bound):
                listener.close()
                raise
            _log.warning("%s Continuing without it.", error)
            continue
        port = bound[-1][1]
    if not bound:
        raise BindError(f"Cannot listen on any of the addresses {', '.join(addresses)}.")
    return bound
