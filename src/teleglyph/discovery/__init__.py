"""Discovery: names for sessions, the service that knows them, and ways to a host.

Begin at :class:`teleglyph.discovery.service.service.DiscoveryService` for the service, and at
:class:`teleglyph.discovery.service_client.ServiceClient` for its clients.
"""
