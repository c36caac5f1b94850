"""A Nostr relay: receives, stores and finds signed events (NIP-01 and others, docs/protocol/nostr.md).

:mod:`~teleglyph.events.admission` and :mod:`~teleglyph.events.matcher` use no sockets and no clocks;
:mod:`~teleglyph.events.ingest` stores events and passes them on to subscriptions;
:mod:`~teleglyph.events.service` serves clients over WebSockets.
"""
