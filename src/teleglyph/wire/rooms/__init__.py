"""The messages of the room relay."""
