"""Kinds of events that the relay treats specially, besides those of groups and of the basic protocol."""

from __future__ import annotations

import enum


class EventKind(enum.IntEnum):
    """Kinds by their names in the NIPs."""

    PROFILE = 0
    REPOST = 6
    GENERIC_REPOST = 16
    PRESENCE = 10312
    HTTP_AUTHENTICATION = 27235
    LIVE_ACTIVITY = 30311


FIRST_REPLACEABLE, FIRST_EPHEMERAL, AFTER_ADDRESSABLE = 10_000, 20_000, 40_000
"""Bounds of the ranges of kinds (NIP-01)."""
