"""A conversation over link 2 without I/O: bytes inside TLS in, events out, bytes to send."""

from __future__ import annotations

import os
from collections.abc import Sequence

from teleglyph.wire.acip.client_handshake import IdentityCheck
from teleglyph.wire.acip.messages import Feature
from teleglyph.wire.acip.primitives import Identity, RandomBytes
from teleglyph.wire.acip.server_handshake import ProofGuard
from teleglyph.wire.acip.session import ClientRole, ServerRole
from teleglyph.wire.invitation import Invitation, InvitationCheck
from teleglyph.wire.link2.channel import Channel
from teleglyph.wire.link2.client_handshake import LinkClientHandshake
from teleglyph.wire.link2.server_handshake import LinkServerHandshake, RoomLookup


class LinkServerSession(ServerRole):
    """The server's side of a link.

    Args:
        channel: the TLS connection.
        find_room: the requirements of rooms.
        identities: the server's Ed25519 keys; the first is the default.
        features: the extensions that this server supports.
        guard: limits how often passwords are tried; None for no limit.
        random: source of random bytes.
        admit_invited: checks invitations; None if this server takes none.
    """

    def __init__(
        self,
        channel: Channel,
        find_room: RoomLookup,
        *,
        identities: Sequence[Identity] = (),
        features: Feature = Feature.NONE,
        guard: ProofGuard | None = None,
        random: RandomBytes = os.urandom,
        admit_invited: InvitationCheck | None = None,
    ) -> None:
        super().__init__(
            LinkServerHandshake(channel, identities, find_room, features, guard, random, admit_invited), random
        )


class LinkClientSession(ClientRole):
    """The client's side of a link.

    Args:
        channel: the TLS connection.
        password_key: from :func:`~teleglyph.wire.acip.primitives.derive_password_key`, or None.
        client_key: our own identity for servers that ask for one, or None.
        check_identity: receives the server's proven identity, or None without one, and raises a PeerError to refuse the
            server.  Without it every identity is accepted.
        expected: the identity that a server with several must show; None for any.
        room: the call room to join; empty for the lobby.
        features: the extensions that this client supports.
        random: source of random bytes.
        invitation: to the room, instead of a password and a key; None without one.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        password_key: bytes | None = None,
        client_key: Identity | None = None,
        check_identity: IdentityCheck | None = None,
        expected: bytes | None = None,
        room: str = "",
        features: Feature = Feature.NONE,
        random: RandomBytes = os.urandom,
        invitation: Invitation | None = None,
    ) -> None:
        super().__init__(
            LinkClientHandshake(
                channel, password_key, client_key, check_identity, expected, room, features, random, invitation
            ),
            random,
        )
