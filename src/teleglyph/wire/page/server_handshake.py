"""The server's side of the page's handshake (docs/protocol/page.md#handshake)."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from teleglyph.errors import AuthenticationError, HandshakeError, PeerError
from teleglyph.wire.acip.handshake import HandshakeResult, Transitions
from teleglyph.wire.acip.messages.handshake import AuthFailure, Feature
from teleglyph.wire.acip.messages.page import PAGE_VERSION, PageFlag, PageHello, PageWelcome
from teleglyph.wire.acip.messages.text import ErrorMessage
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.acip.server_handshake import Admission, ProofGuard, RefusingHandshake
from teleglyph.wire.invitation import InvitationCheck
from teleglyph.wire.page.password import PasswordDigest


class PageRequirements(Protocol):
    """What a room asks of pages."""

    @property
    def name(self) -> str:
        """The room's name."""

    @property
    def group(self) -> str:
        """Id of its chat group; empty for none."""

    @property
    def password(self) -> PasswordDigest | None:
        """Its password; None for none."""

    @property
    def admits(self) -> Admission | None:
        """Decides which client keys are admitted; None asks for no key.  A page has none."""


PageRoomLookup = Callable[[str], PageRequirements]
"""The requirements of a room by its name, empty for the lobby.  Raises a PeerError if there is no such room."""


class PageServerStep(enum.Enum):
    """The packet that the server waits for."""

    HELLO = "waiting for the page's first packet"
    DONE = "the handshake is over"


class PageServerHandshake(RefusingHandshake):
    """The server's side.

    Args:
        find_room: the requirements of rooms.
        features: the extensions that this server supports.
        codecs: bits of the codecs that it decodes.
        guard: limits how often passwords are tried; None for no limit.
        admit: checks invitations; None refuses them.
    """

    def __init__(
        self,
        find_room: PageRoomLookup,
        features: Feature,
        codecs: int,
        guard: ProofGuard | None,
        admit: InvitationCheck | None,
    ) -> None:
        super().__init__(guard)
        self.step: PageServerStep = PageServerStep.HELLO
        self._find_room = find_room
        self._features = features
        self._codecs = codecs
        self._admit = admit

    @property
    def transitions(self) -> Transitions:
        return _TRANSITIONS

    def _on_hello(self, message: PageHello) -> None:
        try:
            if message.version < PAGE_VERSION:
                raise HandshakeError(f"The page speaks version {message.version}, which does not exist. Reload it.")
            room = self._find_room(message.room)
            view_only = self._check_invitation(message.invitation, room.name) if message.invitation else False
        except PeerError as error:
            self.send(ErrorMessage(error.exit_code, str(error)))
            raise
        if not message.invitation:
            self._check_password(message, room)
        features = self._features & message.features
        flags = PageFlag.VIEW_ONLY if view_only else PageFlag(0)
        self.send(PageWelcome(features, self._codecs, flags, room.name, room.group))
        self.result = HandshakeResult(
            None,
            authenticated=bool(message.invitation) or room.password is not None,
            features=features,
            room=room.name,
            view_only=view_only,
        )
        self.step = PageServerStep.DONE

    def _check_invitation(self, invitation: str, room: str) -> bool:
        if self._admit is None:
            raise AuthenticationError("This server takes no invitations. Open the room's address without one.")
        return self._admit(invitation, room).view_only

    def _check_password(self, message: PageHello, room: PageRequirements) -> None:
        """Check what a page without an invitation needs."""
        if room.admits is not None:
            raise self._refuse(AuthFailure.CLIENT_KEY_REQUIRED, "A page has no key, and it has no invitation.")
        if (password := room.password) is None:
            return
        if not message.password:
            raise self._refuse(AuthFailure.PASSWORD_REQUIRED, "The page sent no password.")
        self._check_guess(None, lambda: password.matches(message.password))


_TRANSITIONS: Transitions = {
    (PageServerStep.HELLO, PacketType.PAGE_HELLO): (PageHello, PageServerHandshake._on_hello),
}
