"""Moves packets between two interfaces, each after a delay: ``python delayed_link.py SECONDS DESCRIPTOR DESCRIPTOR``.

The kernels that run the tests often lack netem, which would do the same.
"""

import collections
import os
import select
import sys
import time

_MAX_PACKET = 1 << 16
_MAX_WAITING = 20_000
"""Packets on their way in one direction; the link drops what comes in addition."""


def move(delay: float, one: int, other: int) -> None:
    """Move packets until an interface vanishes."""
    destinations = {one: other, other: one}
    waiting: dict[int, collections.deque[tuple[float, bytes]]] = {one: collections.deque(), other: collections.deque()}
    while True:
        due = [packets[0][0] for packets in waiting.values() if packets]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        readable = select.select([one, other], [], [], timeout)[0]
        now = time.monotonic()
        for source in readable:
            packet = os.read(source, _MAX_PACKET)
            if len(waiting[source]) < _MAX_WAITING:
                waiting[source].append((now + delay, packet))
        for source, packets in waiting.items():
            while packets and packets[0][0] <= now:
                os.write(destinations[source], packets.popleft()[1])


if __name__ == "__main__":
    move(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
