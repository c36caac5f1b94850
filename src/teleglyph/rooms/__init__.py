"""Host-run shared sessions: a host, guests, seats that survive a lost connection (docs/protocol/rooms.md).

:class:`~teleglyph.rooms.room.RelayRoom` and :class:`~teleglyph.rooms.relay.Relay` hold all rules and use neither
sockets nor clocks; :mod:`teleglyph.rooms.service` connects them to WebSockets.  :mod:`teleglyph.rooms.client` hosts and
joins rooms from Python.
"""
