"""Finding a call without knowing its address, and reaching it through NAT.

Owns what hosts and joiners need for that: names of three words (:mod:`~teleglyph.discovery.names`), calls on the local
network (:mod:`~teleglyph.discovery.lan`), port mapping, STUN, and the service that knows names.  May use ``wire``,
``net``, ``store`` and ``keys``; never imports calls, rooms or events, nor the server or the client.  Begin at
:class:`teleglyph.discovery.service.service.DiscoveryService`, and for its clients at
:class:`teleglyph.discovery.service_client.ServiceClient`.
"""
