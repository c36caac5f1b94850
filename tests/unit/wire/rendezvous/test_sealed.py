"""The sealed channel: its bytes, and what a discovery service that relays it can and cannot do."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import nacl.bindings
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from teleglyph.errors import CryptoError, HandshakeError, PeerError, ProtocolError, VerificationError
from teleglyph.keys import FileIdentity
from teleglyph.wire.rendezvous import MAX_SEALED_PACKETS, JoinerKind, SealedHost, SealedJoiner

HOST, SERVICE = FileIdentity(b"\1" * 32), FileIdentity(b"\2" * 32)
SESSION, OTHER_SESSION = bytes(range(16)), bytes(range(1, 17))
JOINER_SECRET, HOST_SECRET = bytes(range(32)), bytes(range(32, 64))
LOW_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]
"""All points of X25519 whose shared secret is zero (RFC 7748, section 6.1)."""


def known(secret: bytes) -> Callable[[int], bytes]:
    def random(size: int) -> bytes:
        assert size == len(secret)
        return secret

    return random


def channel(kind: JoinerKind = JoinerKind.TERMINAL) -> tuple[SealedJoiner, SealedHost]:
    """Both ends of an open channel."""
    joiner, host = SealedJoiner(SESSION, kind), SealedHost(HOST, SESSION)
    assert joiner.receive(host.answer(joiner.first_message())) == b""
    return joiner, host


def flipped(data: bytes, place: int) -> bytes:
    return data[: place // 8] + bytes((data[place // 8] ^ (1 << place % 8),)) + data[place // 8 + 1 :]


def each_byte(size: int) -> list[int]:
    """A bit of each byte; the highest of the last one, which X25519 ignores in a key at the end of a message."""
    return [8 * number + (7 if number == size - 1 else number % 8) for number in range(size)]


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_the_bytes_are_those_of_the_documentation() -> None:
    joiner = SealedJoiner(SESSION, JoinerKind.PAGE, known(JOINER_SECRET))
    host = SealedHost(HOST, SESSION, known(HOST_SECRET))
    joiner_key, host_key = map(nacl.bindings.crypto_scalarmult_base, (JOINER_SECRET, HOST_SECRET))

    first = b"\1\1" + joiner_key
    assert joiner.first_message() == first
    signature = HOST.sign(b"teleglyph rendezvous 1" + hashlib.sha256(first).digest() + host_key + SESSION)
    answer = host.answer(first)
    assert answer == b"\2" + host_key + HOST.public_key + signature

    shared = nacl.bindings.crypto_scalarmult(JOINER_SECRET, host_key)
    salt = hashlib.sha256(first + answer[:65]).digest()
    extracted = hmac.digest(salt, shared, "sha256")
    to_host = hmac.digest(extracted, b"teleglyph rendezvous keys\1", "sha256")
    to_joiner = hmac.digest(extracted, to_host + b"teleglyph rendezvous keys\2", "sha256")

    joiner.receive(answer)
    for count in range(3):
        nonce = bytes(4) + count.to_bytes(8, "big")
        message = joiner.seal(b"a packet")
        assert message == b"\3" + AESGCM(to_host).encrypt(nonce, b"a packet", b"\3")
        assert host.receive(message) == b"a packet"
        message = host.seal(b"another")
        assert message == b"\3" + AESGCM(to_joiner).encrypt(nonce, b"another", b"\3")
        assert joiner.receive(message) == b"another"

    binding = hashlib.sha256(b"teleglyph rendezvous channel" + first + answer).digest()
    for end in (joiner, host):
        assert end.channel.certificate_hash == binding
        assert end.channel.certificate_key == HOST.public_key
    assert joiner.peer_identity == HOST.public_key
    assert host.kind is JoinerKind.PAGE


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_the_largest_message_fits_into_a_relayed_one() -> None:
    joiner, host = channel()
    message = joiner.seal(bytes(MAX_SEALED_PACKETS))
    assert len(message) == 16384
    assert host.receive(message) == bytes(MAX_SEALED_PACKETS)


@pytest.mark.parametrize("size", [0, MAX_SEALED_PACKETS + 1])
def test_other_sizes_are_not_sent(size: int) -> None:
    joiner, _ = channel()
    with pytest.raises(ValueError, match=rf"{size} bytes for a sealed message \(expected 1-16367\)"):
        joiner.seal(bytes(size))


@pytest.mark.parametrize("size", [1, 17, 16385, 2**20])
def test_other_sizes_are_refused_before_they_are_decrypted(size: int) -> None:
    _, host = channel()
    with pytest.raises(ProtocolError, match=rf"Sealed message of {size} bytes \(expected 18-16384\)"):
        host.receive(b"\3".ljust(size, b"\0"))


@pytest.mark.parametrize("end", ["joiner", "host"])
def test_nothing_is_sent_before_the_keys_are_exchanged(end: str) -> None:
    one = SealedJoiner(SESSION) if end == "joiner" else SealedHost(HOST, SESSION)
    assert not one.is_open
    with pytest.raises(RuntimeError, match="cannot send"):
        one.seal(b"packet")
    with pytest.raises(RuntimeError, match="no binding"):
        _ = one.channel


def test_the_session_id_must_have_its_size() -> None:
    with pytest.raises(ValueError, match=r"session id of 15 bytes \(expected 16\)"):
        SealedJoiner(bytes(15))


# --- a hostile service ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", each_byte(34))
def test_no_byte_of_the_first_message_can_be_changed(place: int) -> None:
    joiner, host = SealedJoiner(SESSION), SealedHost(HOST, SESSION)
    with pytest.raises(PeerError):
        joiner.receive(host.answer(flipped(joiner.first_message(), place)))
    assert not joiner.is_open


@pytest.mark.parametrize("place", each_byte(129))
def test_no_byte_of_the_answer_can_be_changed(place: int) -> None:
    joiner, host = SealedJoiner(SESSION), SealedHost(HOST, SESSION)
    with pytest.raises(PeerError):
        joiner.receive(flipped(host.answer(joiner.first_message()), place))
    assert not joiner.is_open
    assert joiner.peer_identity is None


@pytest.mark.parametrize("to_host", [True, False], ids=["to the host", "to the joiner"])
@pytest.mark.parametrize("place", each_byte(1 + 6 + 16))
def test_no_byte_of_a_sealed_message_can_be_changed(place: int, to_host: bool) -> None:
    joiner, host = channel()
    sender, receiver = (joiner, host) if to_host else (host, joiner)
    message = sender.seal(b"packet")
    with pytest.raises((CryptoError, HandshakeError)):
        receiver.receive(flipped(message, place))
    with pytest.raises(HandshakeError, match="has ended"):
        receiver.receive(message)


def test_a_message_cannot_be_repeated() -> None:
    joiner, host = channel()
    message = joiner.seal(b"packet")
    host.receive(message)
    with pytest.raises(CryptoError, match="changed or repeated on the way, or an earlier one was lost"):
        host.receive(message)


def test_messages_cannot_be_reordered_or_dropped() -> None:
    joiner, host = channel()
    joiner.seal(b"first")
    with pytest.raises(CryptoError):
        host.receive(joiner.seal(b"second"))


def test_a_message_cannot_be_sent_back() -> None:
    joiner, host = channel()
    with pytest.raises(CryptoError):
        joiner.receive(joiner.seal(b"packet"))
    with pytest.raises(CryptoError):
        host.receive(host.seal(b"packet"))


def test_a_first_message_cannot_be_sent_back() -> None:
    joiner = SealedJoiner(SESSION)
    with pytest.raises(HandshakeError, match=r"begins with 0x01 \(expected 0x02\)"):
        joiner.receive(joiner.first_message())


def test_a_message_of_another_channel_is_refused() -> None:
    joiner, _ = channel()
    _, host = channel()
    with pytest.raises(CryptoError):
        host.receive(joiner.seal(b"packet"))


def test_an_answer_to_another_joiner_is_refused() -> None:
    host = SealedHost(HOST, SESSION)
    answer = host.answer(SealedJoiner(SESSION).first_message())
    with pytest.raises(VerificationError, match="not signed for this session"):
        SealedJoiner(SESSION).receive(answer)


def test_an_answer_for_another_session_is_refused() -> None:
    joiner, host = SealedJoiner(SESSION), SealedHost(HOST, OTHER_SESSION)
    with pytest.raises(VerificationError, match="may be faulty or hostile"):
        joiner.receive(host.answer(joiner.first_message()))


def test_the_identity_of_the_answer_cannot_be_replaced_alone() -> None:
    joiner, host = SealedJoiner(SESSION), SealedHost(HOST, SESSION)
    answer = host.answer(joiner.first_message())
    with pytest.raises(VerificationError):
        joiner.receive(answer[:33] + SERVICE.public_key + answer[65:])


@pytest.mark.parametrize("key", LOW_ORDER, ids=lambda key: key[:2].hex())
def test_the_host_refuses_keys_that_give_no_secret(key: bytes) -> None:
    host = SealedHost(HOST, SESSION)
    with pytest.raises(HandshakeError, match="low order"):
        host.answer(b"\1\0" + key)
    assert not host.is_open


@pytest.mark.parametrize("key", LOW_ORDER, ids=lambda key: key[:2].hex())
def test_the_joiner_refuses_keys_that_give_no_secret(key: bytes) -> None:
    joiner = SealedJoiner(SESSION)
    text = b"teleglyph rendezvous 1" + hashlib.sha256(joiner.first_message()).digest() + key + SESSION
    with pytest.raises(HandshakeError, match="low order"):
        joiner.receive(b"\2" + key + HOST.public_key + HOST.sign(text))
    assert not joiner.is_open


def test_a_service_that_replaces_all_keys_shows_its_own_identity() -> None:
    joiner, its_host = SealedJoiner(SESSION), SealedHost(SERVICE, SESSION)
    its_joiner, host = SealedJoiner(SESSION), SealedHost(HOST, SESSION)
    joiner.receive(its_host.answer(joiner.first_message()))
    its_joiner.receive(host.answer(its_joiner.first_message()))
    assert joiner.peer_identity == SERVICE.public_key
    assert joiner.channel.certificate_hash != host.channel.certificate_hash


# --- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "is empty"),
        (b"\2", r"begins with 0x02 \(expected 0x01\)"),
        (b"\3" + bytes(40), r"begins with 0x03 \(expected 0x01\)"),
        (b"\1\0" + bytes(31), r"has 33 bytes \(expected 34\)"),
        (b"\1\0" + bytes(33), r"has 35 bytes \(expected 34\)"),
        (b"\1\2" + bytes(32), "unknown kind 2"),
    ],
)
def test_the_host_refuses_other_first_messages(message: bytes, reason: str) -> None:
    host = SealedHost(HOST, SESSION)
    with pytest.raises(PeerError, match=reason):
        host.answer(message)
    with pytest.raises(HandshakeError, match="twice"):
        host.answer(SealedJoiner(SESSION).first_message())


@pytest.mark.parametrize("size", [1, 128, 130, 16384])
def test_the_joiner_refuses_answers_of_other_sizes(size: int) -> None:
    joiner = SealedJoiner(SESSION)
    with pytest.raises(ProtocolError, match=rf"answer has {size} bytes \(expected 129\)"):
        joiner.receive(b"\2".ljust(size, b"\0"))
    with pytest.raises(HandshakeError, match="has ended"):
        joiner.receive(SealedHost(HOST, SESSION).answer(joiner.first_message()))


def test_a_channel_begins_once() -> None:
    joiner, host = channel()
    with pytest.raises(HandshakeError, match="twice"):
        host.answer(SealedJoiner(SESSION).first_message())
    with pytest.raises(HandshakeError, match="has ended"):
        host.receive(joiner.seal(b"packet"))


def test_a_sealed_message_before_the_first_is_refused() -> None:
    with pytest.raises(HandshakeError, match="came before the keys were exchanged"):
        SealedHost(HOST, SESSION).receive(b"\3" + bytes(40))
