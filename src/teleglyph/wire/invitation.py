"""Invitations: texts that a server's identity signed, and that let their owner join one call room.

Layout and rules are in docs/protocol/link2.md#invitations.
"""

from __future__ import annotations

import base64
import binascii
import enum
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, Self

from teleglyph.errors import InvitationError, VerificationError
from teleglyph.room_name import LOBBY, MAX_ROOM_NAME, parse_room_name
from teleglyph.wire.acip.primitives import Identity, RandomBytes, verify_signature

VERSION = 1
ID_SIZE = 8
_HEAD = struct.Struct(f">BBII{ID_SIZE}s32s")
_SIGNATURE_SIZE = 64
MIN_INVITATION = _HEAD.size + _SIGNATURE_SIZE
"""Bytes of an invitation to the lobby."""
MAX_INVITATION = MIN_INVITATION + MAX_ROOM_NAME
"""Bytes of the longest invitation."""
_PURPOSE = b"teleglyph invitation\0"
"""Precedes what is signed: the identity also signs texts of other kinds."""
_DAMAGED = "The invitation is damaged. Copy the whole link again, or ask for a new one."
_NEW = "Ask for a new one."


class Invited(Protocol):
    """What an invitation allows."""

    @property
    def view_only(self) -> bool:
        """Its owner may watch and listen, not send."""


InvitationCheck = Callable[[str, str], Invited]
"""Checks the text of an invitation to a room.  Raises an InvitationError to refuse it."""


class InvitationFlag(enum.IntFlag):
    """What an invitation allows."""

    VIEW_ONLY = 0x01
    """Its owner may watch and listen, not send."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation.

    Attributes:
        identity: the Ed25519 key of the server that signed it.
        room: the room that it is for; empty for the lobby.
        issued: when it was made, in seconds since 1970.
        expires: until when it can be used, in seconds since 1970; 0 for no end.
        id: 8 random bytes, by which it can be revoked.
        flags: bits of :class:`InvitationFlag`.
        signature: of the identity.
    """

    identity: bytes
    room: str
    issued: int
    expires: int
    id: bytes
    flags: int = 0
    signature: bytes = field(default=b"", repr=False)

    @property
    def view_only(self) -> bool:
        """Its owner may watch and listen, not send."""
        return bool(self.flags & InvitationFlag.VIEW_ONLY)

    @classmethod
    def issue(
        cls, identity: Identity, room: str, issued: int, expires: int, random: RandomBytes, *, view_only: bool = False
    ) -> Self:
        """Make and sign an invitation.

        Args:
            identity: of the server.
            room: its name as :func:`~teleglyph.room_name.parse_room_name` returns it, or empty for the lobby.
            issued: when it is made, in seconds since 1970.
            expires: until when it can be used, in seconds since 1970; 0 for no end.
            random: makes the id.
            view_only: its owner may watch and listen, not send.

        Raises:
            KeyFileError: the identity cannot sign.
        """
        name = "" if room == LOBBY else room
        flags = InvitationFlag.VIEW_ONLY if view_only else InvitationFlag(0)
        unsigned = cls(identity.public_key, name, issued, expires, random(ID_SIZE), flags)
        signature = identity.sign(_PURPOSE + unsigned._signed_part())
        return cls(identity.public_key, name, issued, expires, unsigned.id, flags, signature)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of an invitation; the signature is not verified.

        Raises:
            InvitationError: it is not one.
        """
        try:
            data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except (UnicodeEncodeError, binascii.Error, ValueError):
            raise InvitationError(_DAMAGED) from None
        # The decoder skips foreign characters and unused bits; only one text is right for each invitation.
        if as_text(data) != text:
            raise InvitationError(_DAMAGED)
        return cls.decode(data)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the bytes of an invitation; the signature is not verified.

        Raises:
            InvitationError: they are not one.
        """
        if len(data) >= MIN_INVITATION and data[0] > VERSION:
            raise InvitationError("The invitation was made by a newer version of Teleglyph. Update this one.")
        if not MIN_INVITATION <= len(data) <= MAX_INVITATION:
            raise InvitationError(_DAMAGED)
        version, flags, issued, expires, number, identity = _HEAD.unpack_from(data)
        try:
            room = data[_HEAD.size : -_SIGNATURE_SIZE].decode("ascii")
            is_canonical = not room or (parse_room_name(room) == room != LOBBY)
        except ValueError:
            raise InvitationError(_DAMAGED) from None
        if version != VERSION or flags & ~int(InvitationFlag.VIEW_ONLY) or not is_canonical:
            raise InvitationError(_DAMAGED)
        return cls(identity, room, issued, expires, number, flags, data[-_SIGNATURE_SIZE:])

    def encode(self) -> bytes:
        """Its bytes."""
        return self._signed_part() + self.signature

    @property
    def text(self) -> str:
        """The text for links: at most 195 characters of base64 for URLs."""
        return as_text(self.encode())

    def _signed_part(self) -> bytes:
        head = _HEAD.pack(VERSION, self.flags, self.issued, self.expires, self.id, self.identity)
        return head + self.room.encode("ascii")

    def verify(self) -> None:
        """Check the signature.

        Raises:
            InvitationError: the owner of the identity did not make it.
        """
        try:
            verify_signature(self.identity, _PURPOSE + self._signed_part(), self.signature)
        except VerificationError:
            raise InvitationError(_DAMAGED) from None


def as_text(data: bytes) -> str:
    """The bytes of an invitation as text."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def check(
    text: str, identities: Collection[bytes], room: str, now: float, is_revoked: Callable[[Invitation], bool]
) -> Invitation:
    """Check that an invitation lets its owner join a room.

    Args:
        text: of the invitation.
        identities: the server's Ed25519 keys.
        room: the room's name in any form; empty for the lobby.
        now: seconds since 1970.
        is_revoked: whether an invitation with a valid signature was revoked.

    Raises:
        InvitationError: it does not.
    """
    invitation = Invitation.parse(text)
    if invitation.identity not in identities:
        raise InvitationError("The invitation is for another server. Check the address, or ask for a new link.")
    invitation.verify()
    check_room(invitation, room)
    if invitation.expires and now >= invitation.expires:
        raise InvitationError(f"The invitation expired on {format_time(invitation.expires)}. {_NEW}")
    if is_revoked(invitation):
        raise InvitationError(f"The invitation was revoked. {_NEW}")
    return invitation


def check_room(invitation: Invitation, room: str) -> None:
    """Check that an invitation is for a room.

    Args:
        invitation: with or without a valid signature.
        room: the room's name in any form; empty for the lobby.

    Raises:
        InvitationError: it is for another one.
    """
    wanted = room.lower() or LOBBY
    if wanted != (invitation.room or LOBBY):
        raise InvitationError(f"The invitation is for another room: {_described(invitation.room)}.")


def _described(room: str) -> str:
    return f"'{room}'" if room else "the lobby"


def format_time(seconds: int) -> str:
    """A time for people who may be anywhere: ``2026-11-28 at 21:30 UTC``."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d at %H:%M} UTC"
