"""The texts that end a player's connection, or refuse one (docs/protocol/rooms.md#texts).  Programs compare them.

Those of the original relay are kept letter for letter.
"""

from __future__ import annotations

EMPTY_MESSAGE = "Illegal empty message received."
ILLEGAL_FROM_HOST = "Illegal Server -> Client command."
ILLEGAL_FROM_GUEST = "Illegal Command from client"
HOST_LEFT = "Server disconnected intentionally"
GUEST_LEFT = "Client disconnected intentionally"
ROOM_ENDED = "Server has left the game."
HOST_GONE = "The host did not return."
"""Sent instead of :data:`ROOM_ENDED` to guests that asked for notices about absent players."""
KICKED = "We got rejected by server."
TAKEN_OVER = "This seat was taken over by another connection."
WRONG_TOKEN = "Invalid reconnect token."  # noqa: S105 - a text, not a token
WRONG_IDENTITY = "This seat belongs to an identity that was not proved."
