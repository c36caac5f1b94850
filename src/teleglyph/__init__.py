"""Teleglyph: live video calls drawn in characters.

The package is layered; a layer imports only the layers below it:

``cli`` → ``server``, ``client`` → ``call`` → ``net``, ``media`` → ``wire``.

Start reading at :mod:`teleglyph.wire` for the protocol, :mod:`teleglyph.call` for what a call is, and
:mod:`teleglyph.server` for how the parts are put together.
"""

__version__ = "0.1.0"
