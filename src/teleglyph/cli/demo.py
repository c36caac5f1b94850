"""``teleglyph demo``: a whole call on this machine, for looking at.

It is a real server and real participants over real sockets; only the people are drawn.
"""

from __future__ import annotations
