"""Nostr: events, filters, groups, keys and relay messages (docs/protocol/nostr.md)."""
