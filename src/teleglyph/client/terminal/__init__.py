"""The terminal: what it can do, its keys, and drawing on it."""
