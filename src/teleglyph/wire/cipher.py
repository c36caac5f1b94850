"""Encryption of packets after the handshake (spec acip-crypto 6)."""

from __future__ import annotations

import nacl.bindings
import nacl.exceptions

from teleglyph.errors import CryptoError
from teleglyph.wire.packet import HEADER, MAX_PLAINTEXT, pack_header
from teleglyph.wire.packet_type import PacketType

SESSION_ID_SIZE = 16
NONCE_SIZE = nacl.bindings.crypto_secretbox_NONCEBYTES
MAC_SIZE = nacl.bindings.crypto_secretbox_MACBYTES
MAX_SEALED = NONCE_SIZE + MAC_SIZE + MAX_PLAINTEXT
"""Largest payload of an ENCRYPTED packet in bytes."""
REPLAY_WINDOW = 64
"""How far behind the newest packet another one may arrive: ascii-chat's server sends its log lines on a path of its
own, which can overtake."""


class ReplayWindow:
    """Remembers which counters were seen, down to ``REPLAY_WINDOW`` below the highest (the way of RFC 4303, A2)."""

    def __init__(self) -> None:
        self._highest = 0
        self._seen = 0
        """Bit i stands for the counter ``_highest - i``."""

    def check(self, counter: int) -> None:
        """Raise CryptoError unless the counter is new; changes nothing."""
        age = self._highest - counter
        if counter == 0 or age >= REPLAY_WINDOW:
            raise CryptoError(f"encrypted packet {counter} comes too late: {self._highest} was already here")
        if age >= 0 and self._seen >> age & 1:
            raise CryptoError(f"encrypted packet {counter} was repeated")

    def add(self, counter: int) -> None:
        """Remember a counter that passed :meth:`check`."""
        age = self._highest - counter
        if age < 0:
            kept = self._seen << -age if -age < REPLAY_WINDOW else 0
            self._seen = kept & (1 << REPLAY_WINDOW) - 1
            self._highest, age = counter, 0
        self._seen |= 1 << age


class SessionCipher:
    """XSalsa20-Poly1305 with one key for both directions, kept apart by the two sides' session ids.

    Args:
        key: the 32-byte shared secret of the handshake.
        session_id: 16 random bytes that no other session of this key uses.
    """

    def __init__(self, key: bytes, session_id: bytes) -> None:
        self._key = key
        self._session_id = session_id
        self._counter = 0
        self._peer_id: bytes | None = None
        self._window = ReplayWindow()

    def seal(self, packet: bytes) -> bytes:
        """Encrypt a whole plain packet; returns the whole ENCRYPTED packet.

        Raises:
            ValueError: the packet exceeds ``MAX_PLAINTEXT``.
        """
        if len(packet) > MAX_PLAINTEXT:
            raise ValueError(f"a packet of {len(packet)} bytes cannot be encrypted; the limit is {MAX_PLAINTEXT}")
        self._counter += 1
        nonce = self._session_id + self._counter.to_bytes(8, "big")
        sealed = nacl.bindings.crypto_secretbox_easy(packet, nonce, self._key)
        return b"".join((pack_header(PacketType.ENCRYPTED, nonce, sealed), nonce, sealed))

    def open(self, payload: bytes) -> bytes:
        """Decrypt the payload of an ENCRYPTED packet.

        Raises:
            CryptoError: truncated, damaged, repeated, too late, reflected, or of another session.
        """
        if len(payload) < NONCE_SIZE + MAC_SIZE + HEADER.size:
            raise CryptoError(f"an encrypted packet of {len(payload)} bytes is too short")
        nonce = payload[:NONCE_SIZE]
        peer_id, counter = nonce[:SESSION_ID_SIZE], int.from_bytes(nonce[SESSION_ID_SIZE:], "big")
        if peer_id == self._session_id:
            raise CryptoError("one of our own encrypted packets came back")
        if self._peer_id not in (None, peer_id):
            raise CryptoError("the peer changed its session id")
        self._window.check(counter)
        try:
            packet = nacl.bindings.crypto_secretbox_open_easy(payload[NONCE_SIZE:], nonce, self._key)
        except nacl.exceptions.CryptoError:
            raise CryptoError(f"encrypted packet {counter} is damaged or was made with another key") from None
        self._peer_id = peer_id
        self._window.add(counter)
        return packet
