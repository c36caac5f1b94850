"""Calls: the participants of a room, what each of them sees, and when.

Owns participants, their latest pictures, what their viewers share, and the pacing.  Never touches a socket (that is
:mod:`teleglyph.net`) or a pixel (that is :mod:`teleglyph.media`).  Begin at :class:`teleglyph.call.room.CallRoom`; one
connection's whole life is :func:`teleglyph.call.session.run_participant`.
"""
