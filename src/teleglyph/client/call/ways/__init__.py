"""Ways to a host that is known by a three-word name: found, tried side by side, and the first that works is used.

Begin at :class:`teleglyph.client.call.ways.session_connector.SessionConnector`.
"""
