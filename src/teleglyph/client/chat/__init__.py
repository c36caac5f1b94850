"""Text chat on a Nostr relay."""
