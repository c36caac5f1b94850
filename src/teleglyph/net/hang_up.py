"""Whether a peer has closed its side of a connection that nobody reads."""

from __future__ import annotations

import select
from typing import Protocol

_LEFT = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
"""Without POLLRDHUP, which only Linux has, a peer that closes in order is not noticed."""


class HasDescriptor(Protocol):
    """A socket, or what an event loop gives out for one."""

    def fileno(self) -> int:
        """The descriptor, or -1 once it is closed."""


def has_hung_up(sock: HasDescriptor | None) -> bool:
    """Whether the peer has ended or broken off the connection.

    The event loop notices that only while it reads, and what was sent before is still there to be read.
    """
    if sock is None or sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), _LEFT)
    return bool(poll.poll(0))
