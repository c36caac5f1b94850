"""Host-run shared sessions: a host, guests, seats that survive a lost connection (docs/protocol/rooms.md).

:class:`~teleglyph.rooms.room.Room` and :class:`~teleglyph.rooms.relay.Relay` hold all rules and know neither sockets
nor clocks; :mod:`teleglyph.rooms.service` connects them to WebSockets.
"""
