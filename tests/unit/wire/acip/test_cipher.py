"""The session cipher and its replay window."""

from __future__ import annotations

import pytest

from teleglyph.errors import CryptoError
from teleglyph.wire.acip.cipher import MAX_SEALED, REORDER_WINDOW, SessionCipher
from teleglyph.wire.acip.packet import HEADER, MAX_PLAINTEXT, encode_packet
from unit.wire.examples import (
    SEALED_PING,
    SEALED_PING_OTHER_KEY,
    SEALED_STREAM_START,
    SESSION_ID,
    SHARED,
    VECTORS,
)

PING = VECTORS["ping"][1]
OWN_ID = bytes(16)


def receiver(key: bytes = SHARED) -> SessionCipher:
    return SessionCipher(key, OWN_ID)


def sealed(count: int) -> list[bytes]:
    """Payloads with the counters 1 to ``count``."""
    sender = SessionCipher(SHARED, SESSION_ID)
    return [b"".join(sender.seal(PING)) for _ in range(count)]


def test_packets_seal_to_their_known_bytes() -> None:
    sender = SessionCipher(SHARED, SESSION_ID)
    for plain, expected in ((PING, SEALED_PING), (VECTORS["stream start"][1], SEALED_STREAM_START)):
        assert encode_packet(1200, b"".join(sender.seal(plain))) == expected


@pytest.mark.parametrize(
    ("key", "packet", "plain"),
    [
        (SHARED, SEALED_PING, PING),
        (SHARED, SEALED_STREAM_START, VECTORS["stream start"][1]),
        (bytes(range(32)), SEALED_PING_OTHER_KEY, PING),
    ],
)
def test_known_bytes_open_to_their_packets(key: bytes, packet: bytes, plain: bytes) -> None:
    assert receiver(key).open(packet[HEADER.size :]) == plain


def test_a_repeated_packet_is_refused() -> None:
    cipher, (first, second) = receiver(), sealed(2)
    cipher.open(first)
    cipher.open(second)
    for payload in (first, second):
        with pytest.raises(CryptoError, match="sent before"):
            cipher.open(payload)


def test_a_late_packet_is_accepted_once_within_the_window() -> None:
    cipher, payloads = receiver(), sealed(REORDER_WINDOW)
    cipher.open(payloads[-1])
    for payload in reversed(payloads[:-1]):
        assert cipher.open(payload) == PING
    for payload in payloads:
        with pytest.raises(CryptoError, match="sent before"):
            cipher.open(payload)


def test_a_packet_beyond_the_window_is_refused() -> None:
    cipher, payloads = receiver(), sealed(REORDER_WINDOW + 1)
    cipher.open(payloads[-1])
    with pytest.raises(CryptoError, match="too late"):
        cipher.open(payloads[0])


def test_a_jump_beyond_the_window_does_not_allow_replays() -> None:
    cipher, payloads = receiver(), sealed(200)
    for payload in (*payloads[:3], payloads[150], payloads[140], payloads[199]):
        cipher.open(payload)
    for payload in (payloads[150], payloads[140], payloads[2], payloads[199]):
        with pytest.raises(CryptoError, match="sent before"):
            cipher.open(payload)
    assert cipher.open(payloads[198]) == PING


def test_a_counter_of_zero_is_refused() -> None:
    payload = bytearray(sealed(1)[0])
    payload[16:24] = bytes(8)
    with pytest.raises(CryptoError, match="Encrypted packet 0"):
        receiver().open(bytes(payload))


def test_our_own_reflected_packet_is_refused() -> None:
    cipher = receiver()
    with pytest.raises(CryptoError, match="sent back"):
        cipher.open(b"".join(cipher.seal(PING)))


def test_the_peers_session_id_is_pinned_by_its_first_packet() -> None:
    cipher = receiver()
    cipher.open(sealed(1)[0])
    stranger = SessionCipher(SHARED, bytes([9]) * 16)
    stranger.seal(PING)
    with pytest.raises(CryptoError, match="another session"):
        cipher.open(b"".join(stranger.seal(PING)))


def test_a_forged_first_packet_pins_nothing_and_uses_up_no_counter() -> None:
    cipher, (payload,) = receiver(), sealed(1)
    forged = bytes([9]) * 16 + payload[16:]
    damaged = payload[:-1] + bytes([payload[-1] ^ 1])
    for attempt in (forged, damaged):
        with pytest.raises(CryptoError, match="not made with this session's key"):
            cipher.open(attempt)
    assert cipher.open(payload) == PING


@pytest.mark.parametrize("position", range(len(SEALED_PING) - HEADER.size))
def test_a_flipped_bit_anywhere_is_detected(position: int) -> None:
    payload = bytearray(SEALED_PING[HEADER.size :])
    payload[position] ^= 0x10
    with pytest.raises(CryptoError):
        receiver().open(bytes(payload))


@pytest.mark.parametrize("size", [0, 1, 23, 24, 39, 40, 61])
def test_a_truncated_packet_is_refused(size: int) -> None:
    with pytest.raises(CryptoError, match=f"of {size} bytes"):
        receiver().open(SEALED_PING[HEADER.size :][:size])


def test_the_largest_packet_is_sealed_and_opened() -> None:
    packet = encode_packet(3000, bytes(MAX_PLAINTEXT - HEADER.size))
    payload = b"".join(SessionCipher(SHARED, SESSION_ID).seal(packet))
    assert len(payload) == MAX_SEALED
    assert receiver().open(payload) == packet


def test_a_larger_packet_is_neither_sealed_nor_opened() -> None:
    with pytest.raises(ValueError, match=str(MAX_PLAINTEXT + 1)):
        SessionCipher(SHARED, SESSION_ID).seal(bytes(MAX_PLAINTEXT + 1))
    with pytest.raises(CryptoError, match=f"of {MAX_SEALED + 1} bytes"):
        receiver().open(bytes(MAX_SEALED + 1))


def test_a_packet_too_large_to_seal_uses_up_no_counter() -> None:
    cipher = SessionCipher(SHARED, SESSION_ID)
    with pytest.raises(ValueError, match="exceeds"):
        cipher.seal(bytes(MAX_PLAINTEXT + 1))
    assert encode_packet(1200, b"".join(cipher.seal(PING))) == SEALED_PING
