"""Finding a call by three words instead of an address, through NATs.

Owns what hosts and joiners need to find each other.  May use ``wire``, ``net``, ``store`` and ``keys``; never imports
calls, rooms or events, nor the server or the client.  Begin at :func:`teleglyph.discovery.names.random_name`, and at
:mod:`teleglyph.discovery.stun` for public addresses.
"""
