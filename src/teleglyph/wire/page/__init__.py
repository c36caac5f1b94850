"""The page in a browser: the server's side of its handshake, inside a WebSocket.

HTTPS encrypts and proves the server; this handshake admits its user.  The session after it is that of
:mod:`teleglyph.wire.acip`, without a cipher of its own.  Begin at :mod:`teleglyph.wire.page.session`; the protocol is
described in docs/protocol/page.md.
"""

from teleglyph.wire.page.password import PasswordDigest
from teleglyph.wire.page.server_handshake import PageRequirements, PageRoomLookup
from teleglyph.wire.page.session import PageServerSession

__all__ = ["PageRequirements", "PageRoomLookup", "PageServerSession", "PasswordDigest"]
