"""Encrypted packets after the handshake (spec acip-crypto 6)."""

from __future__ import annotations

import struct

import nacl.bindings
import nacl.exceptions

from teleglyph.errors import CryptoError
from teleglyph.wire.acip.packet import HEADER, MAX_PLAINTEXT

SESSION_ID_SIZE = 16
_NONCE = struct.Struct(">16sQ")
_OVERHEAD = 24 + 16
MAX_SEALED = MAX_PLAINTEXT + _OVERHEAD
"""Largest payload of an ENCRYPTED packet, in bytes."""
REORDER_WINDOW = 64
"""How far a packet may come late; ascii-chat's server numbers its log lines without the lock of its
frames."""


class SessionCipher:
    """Seals and opens packets with one key and a counter for each direction.

    Args:
        key: the 32-byte session key.
        session_id: our random 16 bytes, different from the peer's.
    """

    def __init__(self, key: bytes, session_id: bytes) -> None:
        self._key = key
        self._session_id = session_id
        self._sent = 0
        self._peer_id: bytes | None = None
        self._highest = 0
        self._seen = 0
        """Bit n: counter ``_highest - n`` was used."""

    def seal(self, packet: bytes) -> tuple[bytes, bytes]:
        """Nonce and ciphertext, together the payload of an ENCRYPTED packet that carries a whole plain packet.

        Raises:
            ValueError: the packet exceeds ``MAX_PLAINTEXT``.
        """
        if len(packet) > MAX_PLAINTEXT:
            raise ValueError(f"a packet of {len(packet)} bytes exceeds {MAX_PLAINTEXT}, the most that is encrypted")
        self._sent += 1
        nonce = _NONCE.pack(self._session_id, self._sent)
        return nonce, nacl.bindings.crypto_secretbox_easy(packet, nonce, self._key)

    def open(self, payload: bytes) -> bytes:
        """The plain packet inside an ENCRYPTED payload.

        Raises:
            CryptoError: too short or too long, not made with our key, sent before, much too late, from
                another session, or our own packet sent back to us.
        """
        size = len(payload) - _OVERHEAD
        if not HEADER.size <= size <= MAX_PLAINTEXT:
            raise CryptoError(f"an encrypted packet of {len(payload)} bytes has a wrong size")
        nonce = payload[: _NONCE.size]
        session_id, counter = _NONCE.unpack(nonce)
        self._check_fresh(session_id, counter)
        try:
            packet = nacl.bindings.crypto_secretbox_open_easy(payload[_NONCE.size :], nonce, self._key)
        except nacl.exceptions.CryptoError:
            raise CryptoError("an encrypted packet was not made with this session's key") from None
        self._note(session_id, counter)
        return packet

    def _check_fresh(self, session_id: bytes, counter: int) -> None:
        if session_id == self._session_id:
            raise CryptoError("our own packet was sent back to us")
        if self._peer_id is not None and session_id != self._peer_id:
            raise CryptoError("an encrypted packet belongs to another session")
        behind = self._highest - counter
        if counter == 0 or behind >= REORDER_WINDOW or (behind >= 0 and self._seen >> behind & 1):
            raise CryptoError(f"encrypted packet {counter} was sent before or comes too late")

    def _note(self, session_id: bytes, counter: int) -> None:
        self._peer_id = session_id
        ahead = counter - self._highest
        if ahead > 0:
            shift = min(ahead, REORDER_WINDOW)
            self._seen = (self._seen << shift | 1) & ((1 << REORDER_WINDOW) - 1)
            self._highest = counter
        else:
            self._seen |= 1 << -ahead
