"""Link 2, the secure link between Teleglyph's own programs: its handshake, inside a TLS 1.3 connection.

TLS encrypts; this handshake proves identities, keys and passwords, each bound to that TLS connection.  The session
after it is that of :mod:`teleglyph.wire.acip`, without a cipher of its own.  Begin at
:mod:`teleglyph.wire.link2.session`; the protocol is described in docs/protocol/link2.md.
"""

from teleglyph.wire.link2.channel import ALPN, Channel
from teleglyph.wire.link2.server_handshake import Invited, Requirements
from teleglyph.wire.link2.session import LinkClientSession, LinkServerSession

__all__ = ["ALPN", "Channel", "Invited", "LinkClientSession", "LinkServerSession", "Requirements"]
