"""The terminal client; it never imports the server.

``call``, ``chat`` and ``play`` are the three programs, ``mirror`` shows your own picture, and ``terminal`` serves
them all.  ``address`` parses server addresses, ``trust`` checks servers' identities, ``source`` opens picture sources
and ``waiting`` waits for the first of several tasks.  Begin at :class:`teleglyph.client.call.client.CallClient`.
"""
