"""A page's conversation without I/O: packets in, events out, packets to send."""

from __future__ import annotations

from teleglyph.wire.acip.messages import ALL_CODECS, Feature
from teleglyph.wire.acip.server_handshake import ProofGuard
from teleglyph.wire.acip.session import ServerRole
from teleglyph.wire.invitation import InvitationCheck
from teleglyph.wire.page.server_handshake import PageRoomLookup, PageServerHandshake


class PageServerSession(ServerRole):
    """The server's side of a page's connection.  Its packets are in plaintext: ``wss`` encrypts them.

    Args:
        find_room: the requirements of rooms.
        features: the extensions that this server supports.
        codecs: bits of the codecs that it decodes (:attr:`~teleglyph.wire.acip.Codec.bit`).
        guard: limits how often passwords are tried; None for no limit.
        admit: checks invitations; None refuses them.
    """

    def __init__(
        self,
        find_room: PageRoomLookup,
        *,
        features: Feature = Feature.NONE,
        codecs: int = ALL_CODECS,
        guard: ProofGuard | None = None,
        admit: InvitationCheck | None = None,
    ) -> None:
        super().__init__(PageServerHandshake(find_room, features, codecs, guard, admit))
