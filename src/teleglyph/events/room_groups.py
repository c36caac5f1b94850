"""Ids of the groups that belong to relay rooms and to call rooms."""

from __future__ import annotations

import hashlib

from teleglyph.room_name import LOBBY

ROOM_PREFIX = "room-"
"""Only the relay may create groups whose ids begin with this."""
_CALL = "call"


def call_group(room: str) -> str:
    """The id of a call room's group.

    Args:
        room: its name, from :func:`~teleglyph.room_name.parse_room_name`.
    """
    return room if room == LOBBY else f"{ROOM_PREFIX}{_CALL}-{room}"


def room_group(game: str, room: str) -> str:
    """The id of a relay room's group: readable if the names are simple, otherwise a hash of them."""
    name = f"{ROOM_PREFIX}{game}-{room}"
    readable = set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    if "-" not in game and game != _CALL and len(name) <= 64 and readable.issuperset(name):
        return name
    return ROOM_PREFIX + hashlib.sha256(f"{len(game)} {game} {room}".encode()).hexdigest()[:32]
