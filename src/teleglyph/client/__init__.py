"""The terminal client: what a person's terminal shows and sends.

Never imports the server or the call.  Begin at :class:`teleglyph.client.call.connection.CallClient`.
"""
