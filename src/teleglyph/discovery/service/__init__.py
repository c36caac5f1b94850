"""The discovery service: sessions by their names, participants, and messages between them.

Without sockets: connections give it messages, and get messages from it.  Begin at
:class:`teleglyph.discovery.service.service.DiscoveryService`.
"""
