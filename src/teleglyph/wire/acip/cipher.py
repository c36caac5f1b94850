"""Encrypted packets after the handshake (docs/protocol/framing.md#encrypted-packets)."""

from __future__ import annotations

import struct

import nacl.bindings
import nacl.exceptions

from teleglyph.errors import CryptoError
from teleglyph.wire.acip.packet import HEADER, MAX_PLAINTEXT

SESSION_ID_SIZE = 16
NONCE = struct.Struct(">16sQ")
_OVERHEAD = 24 + 16
MAX_SEALED = MAX_PLAINTEXT + _OVERHEAD
"""Largest payload of an ENCRYPTED packet, in bytes."""
REORDER_WINDOW = 64
"""A packet whose counter is this far behind is refused.  Without a window ascii-chat's server would be refused: it
numbers its log lines without the lock of its frames."""


class SessionCipher:
    """Encrypts and decrypts the packets of one session: one key, and a counter for each direction.

    Args:
        key: the 32-byte session key.
        session_id: 16 random bytes of our own.
    """

    def __init__(self, key: bytes, session_id: bytes) -> None:
        self._key = key
        self._session_id = session_id
        self._sent = 0
        self._peer_id: bytes | None = None
        self._highest = 0
        self._seen = 0
        """Bit n: counter ``_highest - n`` was received."""

    def seal(self, packet: bytes) -> tuple[bytes, bytes]:
        """Encrypt a whole packet; the result is nonce and ciphertext, the payload of an ENCRYPTED packet.

        Raises:
            ValueError: the packet exceeds ``MAX_PLAINTEXT``.
        """
        if len(packet) > MAX_PLAINTEXT:
            raise ValueError(f"A packet of {len(packet)} bytes exceeds {MAX_PLAINTEXT}, the limit for encryption.")
        self._sent += 1
        nonce = NONCE.pack(self._session_id, self._sent)
        return nonce, nacl.bindings.crypto_secretbox_easy(packet, nonce, self._key)

    def open(self, payload: bytes) -> bytes:
        """Decrypt the payload of an ENCRYPTED packet.

        Raises:
            CryptoError: its size or key is wrong, it was received before or is too far behind, it belongs to another
                session, or it is our own.
        """
        size = len(payload) - _OVERHEAD
        if not HEADER.size <= size <= MAX_PLAINTEXT:
            raise CryptoError(f"An encrypted packet of {len(payload)} bytes has a wrong size.")
        nonce = payload[: NONCE.size]
        session_id, counter = NONCE.unpack(nonce)
        self._check_fresh(session_id, counter)
        try:
            packet = nacl.bindings.crypto_secretbox_open_easy(payload[NONCE.size :], nonce, self._key)
        except nacl.exceptions.CryptoError:
            raise CryptoError("An encrypted packet was not made with this session's key.") from None
        self._mark_received(session_id, counter)
        return packet

    def _check_fresh(self, session_id: bytes, counter: int) -> None:
        if session_id == self._session_id:
            raise CryptoError("Our own packet was sent back to us.")
        if self._peer_id is not None and session_id != self._peer_id:
            raise CryptoError("An encrypted packet belongs to another session.")
        behind = self._highest - counter
        if counter == 0 or behind >= REORDER_WINDOW or (behind >= 0 and self._seen >> behind & 1):
            raise CryptoError(f"Encrypted packet {counter} was sent before or comes too late.")

    def _mark_received(self, session_id: bytes, counter: int) -> None:
        self._peer_id = session_id
        ahead = counter - self._highest
        if ahead > 0:
            shift = min(ahead, REORDER_WINDOW)
            self._seen = (self._seen << shift | 1) & ((1 << REORDER_WINDOW) - 1)
            self._highest = counter
        else:
            self._seen |= 1 << -ahead
