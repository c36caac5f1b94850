"""Four in a row on a room of the relay."""
