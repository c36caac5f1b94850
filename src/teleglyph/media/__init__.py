"""Pictures and sound: layout, glyphs and colours, the native canvas, the mixer, codecs and capture sources.

Owns all work on pixels and samples.  Never imports the wire, a socket or the event loop.  Begin at
:class:`teleglyph.media.canvas.Canvas`, which turns pictures into the text of a frame in a
:class:`teleglyph.media.style.Style`; :func:`teleglyph.media.layout.arrange` places the pictures.
"""

from teleglyph.media._native import retain_large_buffers

__all__ = ["retain_large_buffers"]
