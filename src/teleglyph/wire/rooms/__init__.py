"""The messages of the room relay (docs/protocol/rooms.md)."""
