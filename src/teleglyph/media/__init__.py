"""Pictures in, characters out: layout, glyphs and colours, the native canvas, codecs and capture sources.

Owns everything that touches a pixel.  Never knows the wire, a socket or the event loop.  Begin at
:class:`teleglyph.media.canvas.Canvas`, which turns pictures into the text of a frame in a
:class:`teleglyph.media.style.Style`; :func:`teleglyph.media.layout.arrange` says where each picture goes.
"""

from teleglyph.media._native import retain_large_buffers

__all__ = ["retain_large_buffers"]
