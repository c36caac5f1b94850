"""The server: configuration, admission, rooms, HTTP, orderly shutdown.

It connects the services and has no protocol or media code of its own.  Begin at :class:`teleglyph.server.app.Server`.
"""
