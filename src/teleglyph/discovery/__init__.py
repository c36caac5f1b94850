"""Finding each other by three words instead of an address, through NATs.

Owns what hosts and joiners need to find each other: names, the service that knows where they are, and the ways through
NATs.  Knows connections and messages, but neither calls, rooms nor events, and neither the server nor the client.

Begin at :func:`teleglyph.discovery.names.random_name` for names, at
:class:`teleglyph.discovery.service.service.DiscoveryService` for the service that knows them, at
:class:`teleglyph.discovery.service_client.ServiceClient` for its clients, and at :mod:`teleglyph.discovery.stun` for
public addresses.
"""
