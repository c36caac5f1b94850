"""Messages of link 2's handshake (docs/protocol/link2.md#packets)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import ClassVar, Self

from teleglyph.errors import ProtocolError
from teleglyph.wire.acip.messages.base import Message, require_size
from teleglyph.wire.acip.messages.handshake import KEY_SIZE, SIGNATURE_SIZE, ChallengeFlag
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.invitation import MAX_INVITATION, MIN_INVITATION

VERSION = 2
NONE = bytes(KEY_SIZE)
"""Stands for a missing key."""
PAKE_SIZE = 33
"""Bytes of a message of the password exchange: its side and a point of Curve25519 in Edwards form."""
MAX_ROOM = 128
"""Bytes of a room's name: 32 characters of at most 4 bytes."""

_HELLO = struct.Struct(">HI32s32sB")
_CHALLENGE = struct.Struct(">IB32s32s")
_PROOF_SIZE = KEY_SIZE + SIGNATURE_SIZE
_PASSWORD_SIZE = PAKE_SIZE + KEY_SIZE
_FLAGS = ChallengeFlag.PASSWORD | ChallengeFlag.CLIENT_KEY | ChallengeFlag.INVITATION


@dataclass(frozen=True, slots=True)
class LinkHello(Message):
    """The client's first packet.

    Attributes:
        features: bits of :class:`~teleglyph.wire.acip.Feature` that it supports.
        nonce: 32 random bytes.
        identity: the Ed25519 key of the server that it expects; zeros for any.
        room: the call room to join; empty for the lobby.
    """

    type: ClassVar = PacketType.LINK_HELLO
    features: int
    nonce: bytes
    identity: bytes = NONE
    room: str = ""
    version: int = VERSION

    def encode_payload(self) -> bytes:
        room = self.room.encode()
        return _HELLO.pack(self.version, self.features, self.nonce, self.identity, len(room)) + room

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if not _HELLO.size <= len(payload) <= _HELLO.size + MAX_ROOM:
            raise ProtocolError(
                f"LINK_HELLO payload size {len(payload)} (expected {_HELLO.size}-{_HELLO.size + MAX_ROOM})"
            )
        version, features, nonce, identity, length = _HELLO.unpack_from(payload)
        room = payload[_HELLO.size :]
        if length != len(room):
            raise ProtocolError(f"LINK_HELLO announces a room name of {length} bytes, but has {len(room)}")
        try:
            return cls(features, nonce, identity, room.decode(), version)
        except UnicodeDecodeError:
            raise ProtocolError("LINK_HELLO has a room name that is not UTF-8") from None


@dataclass(frozen=True, slots=True)
class LinkChallenge(Message):
    """The server's answer: who it is, and what it asks for.  Without flags it also ends the handshake.

    Attributes:
        features: bits of :class:`~teleglyph.wire.acip.Feature` that both sides support.
        flags: bits of :class:`~teleglyph.wire.acip.ChallengeFlag`.
        nonce: 32 random bytes.
        identity: the server's Ed25519 key; zeros for none.
        exchange: the server's message of the password exchange; empty if it asks for no password.
        signature: of the identity; zeros if the identity is the key of the certificate, or none.
    """

    type: ClassVar = PacketType.LINK_CHALLENGE
    features: int
    flags: int
    nonce: bytes
    identity: bytes = NONE
    exchange: bytes = b""
    signature: bytes = bytes(SIGNATURE_SIZE)

    def encode_payload(self) -> bytes:
        return self.signed_part() + self.signature

    def signed_part(self) -> bytes:
        """The payload without the signature."""
        return _CHALLENGE.pack(self.features, self.flags, self.nonce, self.identity) + self.exchange

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        size = _CHALLENGE.size + SIGNATURE_SIZE
        require_size("LINK_CHALLENGE", payload, size, size + PAKE_SIZE)
        features, flags, nonce, identity = _CHALLENGE.unpack_from(payload)
        exchange, signature = payload[_CHALLENGE.size : -SIGNATURE_SIZE], payload[-SIGNATURE_SIZE:]
        if flags & ~int(_FLAGS):
            raise ProtocolError(f"LINK_CHALLENGE has unknown flags {flags:#04x}")
        if flags & ChallengeFlag.INVITATION and flags != ChallengeFlag.INVITATION:
            raise ProtocolError(f"LINK_CHALLENGE has flags {flags:#04x}, but an invitation replaces all other proofs")
        if bool(flags & ChallengeFlag.PASSWORD) != bool(exchange):
            raise ProtocolError(f"LINK_CHALLENGE has flags {flags:#04x}, but {len(exchange)} bytes of an exchange")
        return cls(features, flags, nonce, identity, exchange, signature)


@dataclass(frozen=True, slots=True)
class LinkProof(Message):
    """The client's proofs.

    Attributes:
        identity: the client's Ed25519 key; zeros for none.
        signature: of the identity; zeros for none.
        exchange: the client's message of the password exchange; empty if no password was asked for.
        tag: proves the key of that exchange; empty without one.
        invitation: the bytes of an invitation, instead of everything else; empty without one.
    """

    type: ClassVar = PacketType.LINK_PROOF
    identity: bytes = NONE
    signature: bytes = bytes(SIGNATURE_SIZE)
    exchange: bytes = b""
    tag: bytes = field(default=b"", repr=False)
    invitation: bytes = field(default=b"", repr=False)

    def encode_payload(self) -> bytes:
        return self.identity + self.signature + self.exchange + self.tag + self.invitation

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        identity, signature, rest = payload[:KEY_SIZE], payload[KEY_SIZE:_PROOF_SIZE], payload[_PROOF_SIZE:]
        # Every invitation is longer than the proof of a password, which it replaces.
        if MIN_INVITATION <= len(rest) <= MAX_INVITATION:
            return cls(identity, signature, invitation=rest)
        require_size("LINK_PROOF", payload, _PROOF_SIZE, _PROOF_SIZE + _PASSWORD_SIZE)
        return cls(identity, signature, rest[:PAKE_SIZE], rest[PAKE_SIZE:])


@dataclass(frozen=True, slots=True)
class LinkWelcome(Message):
    """The server accepts the client's proofs.

    Attributes:
        tag: proves the key of the password exchange; zeros without one.
    """

    type: ClassVar = PacketType.LINK_WELCOME
    tag: bytes = field(default=bytes(KEY_SIZE), repr=False)

    def encode_payload(self) -> bytes:
        return self.tag

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("LINK_WELCOME", payload, KEY_SIZE)
        return cls(payload)
