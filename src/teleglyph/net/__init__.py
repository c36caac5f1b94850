"""Connections: everything between a socket and whole messages.

Owns the transports, rate limits, and one :class:`Outbox` and one writer per connection.  Never interprets messages.
Begin at :class:`teleglyph.net.connection.Connection`.
"""

from teleglyph.net.addresses import DEFAULT_PORT, authority, is_loopback, network_of, own_addresses
from teleglyph.net.connection import Connection
from teleglyph.net.cost import CostLedger, CostLimits, CostMeter
from teleglyph.net.descriptors import raise_descriptor_limit
from teleglyph.net.listener import Listener
from teleglyph.net.liveness import StallDetector, needs_ping, timeout_error
from teleglyph.net.loop_load import LoopLoad, seconds_in_queue
from teleglyph.net.outbox import Outbox, OutboxBudget, OutboxCounters, OutboxLimits
from teleglyph.net.own_names import OwnName, OwnNames
from teleglyph.net.ratelimit import GuessLimiter, SlidingWindow, SlotPool, TokenBucket
from teleglyph.net.stopwatch import Stopwatch, charged
from teleglyph.net.tcp import connect_tcp, connect_tls
from teleglyph.net.traffic import ConnectionLimits, Traffic

__all__ = [
    "DEFAULT_PORT",
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
    "SlidingWindow",
    "SlotPool",
    "StallDetector",
    "Stopwatch",
    "TokenBucket",
    "Traffic",
    "authority",
    "charged",
    "connect_tcp",
    "connect_tls",
    "is_loopback",
    "needs_ping",
    "network_of",
    "own_addresses",
    "raise_descriptor_limit",
    "seconds_in_queue",
    "timeout_error",
]
