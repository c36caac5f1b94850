"""How a joiner meets a host through a discovery service that neither trusts.

The service only relays a *sealed channel*: encrypted messages between the two.  Inside it runs the usual handshake of
link 2, or that of the page, and then the host says in which ways it can be reached.  Begin at
:mod:`teleglyph.wire.rendezvous.session`; the protocol is described in docs/protocol/discovery.md#sealed-channel.
"""

from teleglyph.wire.rendezvous.sealed import MAX_SEALED_PACKETS, JoinerKind, SealedHost, SealedJoiner
from teleglyph.wire.rendezvous.session import (
    MAX_MESSAGES,
    RendezvousClientSession,
    RendezvousRequirements,
    RendezvousServerSession,
)

__all__ = [
    "MAX_MESSAGES",
    "MAX_SEALED_PACKETS",
    "JoinerKind",
    "RendezvousClientSession",
    "RendezvousRequirements",
    "RendezvousServerSession",
    "SealedHost",
    "SealedJoiner",
]
