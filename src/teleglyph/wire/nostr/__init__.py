"""Nostr: events, filters, groups, keys and the messages of relays (NIP-01 and others)."""
