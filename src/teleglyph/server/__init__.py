"""The server: configuration, admission, rooms, HTTP status, orderly shutdown.

This is the composition root; it wires the services together and holds no protocol or media code of its own.  Begin
at :class:`teleglyph.server.app.Server`.
"""
