"""Finding a call by three words instead of an address.

Owns what hosts and joiners need to find each other.  May use ``wire``, ``net``, ``store`` and ``keys``; never imports
calls, rooms or events, nor the server or the client.  Begin at :func:`teleglyph.discovery.names.random_name` for names,
at :class:`teleglyph.discovery.service.service.DiscoveryService` for the service that knows them, and at
:class:`teleglyph.discovery.service_client.ServiceClient` for its clients.
"""
