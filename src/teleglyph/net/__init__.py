"""Connections: everything between a socket and whole wire messages.

Owns the transports, one :class:`Outbox` and one writer per connection, rate limits and admission counters.  Never
knows what a message means.  Begin at :class:`teleglyph.net.connection.Connection`.
"""

from teleglyph.net.addresses import DEFAULT_PORT, authority, is_loopback, network_of, own_addresses
from teleglyph.net.connection import Connection, ConnectionLimits, Traffic
from teleglyph.net.cost import CostLedger, CostLimits, CostMeter, LoopLoad, Stopwatch, charged, seconds_in_queue
from teleglyph.net.descriptors import raise_descriptor_limit
from teleglyph.net.liveness import Absences, needs_ping, overdue
from teleglyph.net.outbox import Outbox, OutboxBudget, OutboxCounters, OutboxLimits
from teleglyph.net.own_names import OwnName, OwnNames
from teleglyph.net.ratelimit import GuessLimiter, Places, SlidingWindow, TokenBucket
from teleglyph.net.tcp import Listener, connect_tcp

__all__ = [
    "DEFAULT_PORT",
    "Absences",
    "Connection",
    "ConnectionLimits",
    "CostLedger",
    "CostLimits",
    "CostMeter",
    "GuessLimiter",
    "Listener",
    "LoopLoad",
    "Outbox",
    "OutboxBudget",
    "OutboxCounters",
    "OutboxLimits",
    "OwnName",
    "OwnNames",
    "Places",
    "SlidingWindow",
    "Stopwatch",
    "TokenBucket",
    "Traffic",
    "authority",
    "charged",
    "connect_tcp",
    "is_loopback",
    "needs_ping",
    "network_of",
    "overdue",
    "own_addresses",
    "raise_descriptor_limit",
    "seconds_in_queue",
]
