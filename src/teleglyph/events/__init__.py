"""A Nostr relay: publishes, keeps and finds signed events (NIP-01 and others, docs/protocol/nostr.md).

:mod:`~teleglyph.events.admission` and :mod:`~teleglyph.events.matcher` know neither sockets nor clocks;
:mod:`~teleglyph.events.ingest` takes events to the store and on to subscriptions; :mod:`~teleglyph.events.service`
connects all of it to WebSockets.
"""
