"""Finding a call without knowing its address, and reaching it through NAT.

Owns what hosts and joiners need for that: names of three words (:mod:`~teleglyph.discovery.names`), calls on the local
network (:mod:`~teleglyph.discovery.lan`), port mapping, STUN, the discovery service and its client.  Nothing here knows
calls or participants.  Begin at :mod:`teleglyph.discovery.service_client`.
"""
