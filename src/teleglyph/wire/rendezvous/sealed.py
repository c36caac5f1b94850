"""The sealed channel: encrypted messages through a relay that must not read or change them.

Layout and keys are in docs/protocol/discovery.md#sealed-channel.
"""

from __future__ import annotations

import enum
import hashlib
import os
import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from teleglyph.errors import CryptoError, HandshakeError, ProtocolError, VerificationError
from teleglyph.wire.acip.primitives import EphemeralKey, Identity, RandomBytes, verify_signature
from teleglyph.wire.discovery.layout import ID_SIZE
from teleglyph.wire.discovery.messages.rendezvous import MAX_RELAYED
from teleglyph.wire.link2.channel import Channel

_FIRST = struct.Struct(">BB32s")
_ANSWER = struct.Struct(">B32s32s64s")
_NONCE = struct.Struct(">4xQ")
_SEALED = b"\x03"
_TAG_SIZE = 16
_SIGNATURE_SIZE = 64
MAX_SEALED_PACKETS = MAX_RELAYED - len(_SEALED) - _TAG_SIZE
"""Bytes of packets in one message."""


class JoinerKind(enum.IntEnum):
    """The program that joins, and with it the handshake inside the channel."""

    TERMINAL = 0
    """Link 2."""
    PAGE = 1
    """That of the page."""


class _Step(enum.IntEnum):
    """The first byte of a message."""

    FIRST = 1
    ANSWER = 2
    SEALED = 3


class _Keys(NamedTuple):
    to_host: bytes
    to_joiner: bytes


class _Direction:
    """The messages of one direction, in order.

    Args:
        key: for this direction only.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._count = 0

    def seal(self, packets: bytes) -> bytes:
        return _SEALED + self._cipher.encrypt(self._next_nonce(), packets, _SEALED)

    def open(self, message: bytes) -> bytes:
        return self._cipher.decrypt(self._next_nonce(), message[len(_SEALED) :], _SEALED)

    def _next_nonce(self) -> bytes:
        nonce = _NONCE.pack(self._count)
        self._count += 1
        return nonce


class _SealedEnd:
    """The common part of both ends.

    Args:
        session_id: 16 bytes, from the discovery service.
        random: makes the secret key (32 bytes).
    """

    def __init__(self, session_id: bytes, random: RandomBytes) -> None:
        if len(session_id) != ID_SIZE:
            raise ValueError(f"session id of {len(session_id)} bytes (expected {ID_SIZE})")
        self._session_id = session_id
        self._key = EphemeralKey(random)
        self._sending: _Direction | None = None
        self._receiving: _Direction | None = None
        self._channel: Channel | None = None
        self._is_broken = False

    @property
    def is_open(self) -> bool:
        """Whether packets may be sent."""
        return self._sending is not None

    @property
    def channel(self) -> Channel:
        """What the proofs of link 2 are bound to.

        Raises:
            RuntimeError: the keys are not exchanged yet.
        """
        if self._channel is None:
            raise RuntimeError("A sealed channel has no binding before the keys are exchanged.")
        return self._channel

    def seal(self, packets: bytes) -> bytes:
        """A message with whole ACIP packets.

        Raises:
            RuntimeError: the keys are not exchanged yet.
            ValueError: nothing to send, or more than :data:`MAX_SEALED_PACKETS` bytes.
        """
        if self._sending is None:
            raise RuntimeError("A sealed channel cannot send before the keys are exchanged.")
        if not 1 <= len(packets) <= MAX_SEALED_PACKETS:
            raise ValueError(f"{len(packets)} bytes for a sealed message (expected 1-{MAX_SEALED_PACKETS})")
        return self._sending.seal(packets)

    def _open(self, message: bytes) -> bytes:
        """The packets of a message; any failure ends the channel."""
        if self._is_broken:
            raise HandshakeError("The sealed channel has ended.")
        if self._receiving is None:
            raise HandshakeError("A sealed message came before the keys were exchanged.")
        smallest = len(_SEALED) + _TAG_SIZE + 1
        if not smallest <= len(message) <= MAX_RELAYED:
            raise ProtocolError(f"Sealed message of {len(message)} bytes (expected {smallest}-{MAX_RELAYED}).")
        try:
            return self._receiving.open(message)
        except InvalidTag:
            raise CryptoError(
                f"A sealed message of {len(message)} bytes cannot be decrypted: it was changed or repeated on the way, "
                "or an earlier one was lost. The discovery service may be faulty or hostile."
            ) from None

    def _finish(self, first: bytes, answer: bytes, peer_key: bytes, identity: bytes) -> _Keys:
        """Derive the keys of both directions, and the binding.

        Raises:
            HandshakeError: the peer's key is of low order.
        """
        salt = hashlib.sha256(first + answer[:-_SIGNATURE_SIZE]).digest()
        shared = self._key.exchange(peer_key)
        derived = HKDF(SHA256(), 64, salt, b"teleglyph rendezvous keys").derive(shared)
        binding = hashlib.sha256(b"teleglyph rendezvous channel" + first + answer).digest()
        self._channel = Channel(binding, identity)
        return _Keys(derived[:32], derived[32:])


class SealedJoiner(_SealedEnd):
    """The joiner's end.

    Args:
        session_id: 16 bytes, from the discovery service.
        kind: what runs inside.
        random: makes the secret key (32 bytes).
    """

    def __init__(
        self, session_id: bytes, kind: JoinerKind = JoinerKind.TERMINAL, random: RandomBytes = os.urandom
    ) -> None:
        super().__init__(session_id, random)
        self.kind = kind
        self.peer_identity: bytes | None = None
        """The Ed25519 key of the other end, which proved it; None before its answer.  Anyone may have one: check it."""
        self._first = _FIRST.pack(_Step.FIRST, kind, self._key.public_key)

    def first_message(self) -> bytes:
        """The message that begins the channel."""
        return self._first

    def receive(self, message: bytes) -> bytes:
        """Handle a message of the host.

        Returns:
            The bytes of ACIP packets; none for the host's answer, which opens the channel.

        Raises:
            PeerError: the message was changed, repeated, or is not the expected one.  The channel has ended.
        """
        try:
            if self._receiving is None:
                self._on_answer(message)
                return b""
            return self._open(_expect(message, _Step.SEALED))
        except Exception:
            self._is_broken = True
            raise

    def _on_answer(self, message: bytes) -> None:
        if self._is_broken:
            raise HandshakeError("The sealed channel has ended.")
        if len(_expect(message, _Step.ANSWER)) != _ANSWER.size:
            raise ProtocolError(f"The host's answer has {len(message)} bytes (expected {_ANSWER.size}).")
        _, key, identity, signature = _ANSWER.unpack(message)
        try:
            verify_signature(identity, _signed_text(self._first, key, self._session_id), signature)
        except VerificationError:
            raise VerificationError(
                "The host's answer is not signed for this session. The discovery service may be faulty or hostile."
            ) from None
        keys = self._finish(self._first, message, key, identity)
        self.peer_identity = identity
        self._sending, self._receiving = _Direction(keys.to_host), _Direction(keys.to_joiner)


class SealedHost(_SealedEnd):
    """The host's end.

    Args:
        identity: the host's.
        session_id: 16 bytes, from the discovery service.
        random: makes the secret key (32 bytes).
    """

    def __init__(self, identity: Identity, session_id: bytes, random: RandomBytes = os.urandom) -> None:
        super().__init__(session_id, random)
        self._identity = identity
        self.kind: JoinerKind | None = None
        """What runs inside; None before the joiner's first message."""

    def answer(self, first: bytes) -> bytes:
        """Handle the joiner's first message, and open the channel.

        Returns:
            The message that answers it.

        Raises:
            PeerError: it is not a valid first message, or there was one already.  The channel has ended.
        """
        try:
            if self._is_broken or self._receiving is not None:
                raise HandshakeError("The joiner began the sealed channel twice.")
            return self._answer(first)
        except Exception:
            self._is_broken = True
            raise

    def receive(self, message: bytes) -> bytes:
        """The ACIP packets of a later message.

        Raises:
            PeerError: the message was changed, repeated, or is not the expected one.  The channel has ended.
        """
        try:
            return self._open(_expect(message, _Step.SEALED))
        except Exception:
            self._is_broken = True
            raise

    def _answer(self, first: bytes) -> bytes:
        if len(_expect(first, _Step.FIRST)) != _FIRST.size:
            raise ProtocolError(f"The joiner's first message has {len(first)} bytes (expected {_FIRST.size}).")
        _, kind, key = _FIRST.unpack(first)
        if kind not in tuple(JoinerKind):
            raise ProtocolError(f"The joiner is of the unknown kind {kind}.")
        signature = self._identity.sign(_signed_text(first, self._key.public_key, self._session_id))
        answer = _ANSWER.pack(_Step.ANSWER, self._key.public_key, self._identity.public_key, signature)
        keys = self._finish(first, answer, key, self._identity.public_key)
        self.kind = JoinerKind(kind)
        self._sending, self._receiving = _Direction(keys.to_joiner), _Direction(keys.to_host)
        return answer


def _expect(message: bytes, step: _Step) -> bytes:
    """The message, if it is of that step."""
    if not message or message[0] != step:
        begin = f"begins with {message[0]:#04x}" if message else "is empty"
        raise HandshakeError(f"A message of the sealed channel {begin} (expected {step.value:#04x}).")
    return message


def _signed_text(first: bytes, host_key: bytes, session_id: bytes) -> bytes:
    return b"teleglyph rendezvous 1" + hashlib.sha256(first).digest() + host_key + session_id
