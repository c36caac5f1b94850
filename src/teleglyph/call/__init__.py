"""Calls: who is in a room, what everybody sees of it, and when.

Owns participants, their latest pictures, the shared views and their pacing.  Never touches a socket (that is
:mod:`teleglyph.net`) or a pixel (that is :mod:`teleglyph.media`).  Begin at :class:`teleglyph.call.room.Room`; one
connection's whole life is :func:`teleglyph.call.session.run_participant`.
"""
