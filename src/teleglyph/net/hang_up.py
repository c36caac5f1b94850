"""Detects that a peer has closed its side of a connection while it is not read."""

from __future__ import annotations

import select
from typing import Protocol

_LEFT = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
"""Without POLLRDHUP, which only Linux has, an orderly close goes unnoticed."""


class HasDescriptor(Protocol):
    """A socket, or an event loop's substitute for one."""

    def fileno(self) -> int:
        """The descriptor, or -1 once it is closed."""


def has_hung_up(sock: HasDescriptor | None) -> bool:
    """Whether the peer has closed or reset the connection.

    The event loop notices that only while it reads.  Bytes sent before can still be read.
    """
    if sock is None or sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), _LEFT)
    return bool(poll.poll(0))
