"""Ids of the groups that belong to rooms of games."""

from __future__ import annotations

import hashlib

ROOM_PREFIX = "room-"
"""Only the relay may create groups whose ids begin with this."""


def room_group(game: str, room: str) -> str:
    """The id of a room's group: readable if the names are simple, otherwise a hash of them."""
    name = f"{ROOM_PREFIX}{game}-{room}"
    readable = set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    if "-" not in game and len(name) <= 64 and readable.issuperset(name):
        return name
    return ROOM_PREFIX + hashlib.sha256(f"{len(game)} {game} {room}".encode()).hexdigest()[:32]
