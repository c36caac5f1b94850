"""What the service counts, for its metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class ServiceCounters:
    """Counts since the start.

    Attributes:
        requests: by kind.
        refused: requests by the reason for which they were refused.
        relayed: messages that were passed on, by packet type.
        relayed_bytes: of those.
        undelivered: messages whose recipient could not be reached.
        probes: connections to hosts' ports, by result.
        created, reregistered, ended, expired: sessions.
        hosts_lost: hosts that did not come back in time.
    """

    requests: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    relayed: Counter[str] = field(default_factory=Counter)
    relayed_bytes: int = 0
    undelivered: int = 0
    probes: Counter[str] = field(default_factory=Counter)
    created: int = 0
    reregistered: int = 0
    ended: int = 0
    expired: int = 0
    hosts_lost: int = 0
