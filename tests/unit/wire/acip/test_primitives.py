"""Cryptographic primitives against known values."""

import os
import re

import pytest

from teleglyph.errors import HandshakeError, UserError, VerificationError
from teleglyph.wire.acip.primitives import (
    EphemeralKey,
    authentication_tag,
    derive_password_key,
    fingerprint,
    tags_equal,
    verify_signature,
)
from unit.wire.examples import (
    CLIENT_NONCE,
    CLIENT_PUBLIC,
    CLIENT_SECRET,
    CLIENT_TAG,
    IDENTITY,
    IDENTITY_PUBLIC,
    IDENTITY_SIGNATURE,
    PASSWORD,
    PASSWORD_KEY,
    SERVER_NONCE,
    SERVER_PUBLIC,
    SERVER_SECRET,
    SERVER_TAG,
    SHARED,
    WRONG_KEY,
    scripted,
)


def test_both_sides_derive_the_known_secret() -> None:
    server, client = EphemeralKey(scripted(SERVER_SECRET)), EphemeralKey(scripted(CLIENT_SECRET))
    assert (server.public_key, client.public_key) == (SERVER_PUBLIC, CLIENT_PUBLIC)
    assert server.exchange(CLIENT_PUBLIC) == client.exchange(SERVER_PUBLIC) == SHARED


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31)])
def test_points_of_low_order_are_refused(point: bytes) -> None:
    with pytest.raises(HandshakeError, match="low order"):
        EphemeralKey(os.urandom).exchange(point)


@pytest.mark.parametrize(("password", "key"), [(PASSWORD, PASSWORD_KEY), ("password123", WRONG_KEY)])
def test_passwords_have_their_known_keys(password: str, key: bytes) -> None:
    assert derive_password_key(password) == key


@pytest.mark.parametrize("password", ["", "1234567", "x" * 257, "ä" * 129])
def test_passwords_of_a_wrong_length_are_refused_with_their_size(password: str) -> None:
    with pytest.raises(UserError, match=f"has {len(password.encode())} bytes"):
        derive_password_key(password)


@pytest.mark.parametrize("password", ["12345678", "äöüß", "x" * 256])
def test_passwords_of_the_shortest_and_longest_lengths_are_accepted(password: str) -> None:
    assert len(derive_password_key(password)) == 32


def test_tags_have_their_known_values() -> None:
    assert authentication_tag(PASSWORD_KEY, SERVER_NONCE, SHARED) == CLIENT_TAG
    assert authentication_tag(PASSWORD_KEY, CLIENT_NONCE, SHARED) == SERVER_TAG
    without_password = bytes.fromhex("9d634559d784b534a51cfaf2dce5efad13d2d6321e42f3f238e5e0068f6f18aa")
    assert authentication_tag(SHARED, CLIENT_NONCE, SHARED) == without_password


def test_tags_of_different_length_or_content_differ() -> None:
    assert tags_equal(CLIENT_TAG, bytes(CLIENT_TAG))
    assert not tags_equal(CLIENT_TAG, SERVER_TAG)
    assert not tags_equal(CLIENT_TAG, CLIENT_TAG[:-1])


def test_a_known_signature_is_verified() -> None:
    assert IDENTITY.sign(SERVER_PUBLIC) == IDENTITY_SIGNATURE
    verify_signature(IDENTITY_PUBLIC, SERVER_PUBLIC, IDENTITY_SIGNATURE)


@pytest.mark.parametrize(
    ("identity", "data", "signature"),
    [
        (IDENTITY_PUBLIC, CLIENT_PUBLIC, IDENTITY_SIGNATURE),
        (IDENTITY_PUBLIC, SERVER_PUBLIC, bytes(64)),
        (CLIENT_PUBLIC, SERVER_PUBLIC, IDENTITY_SIGNATURE),
        (bytes(32), SERVER_PUBLIC, bytes(64)),
        (bytes([255]) * 32, SERVER_PUBLIC, IDENTITY_SIGNATURE),
    ],
    ids=["other message", "zeros", "other key", "zero key", "no point"],
)
def test_a_signature_that_does_not_fit_is_refused(identity: bytes, data: bytes, signature: bytes) -> None:
    with pytest.raises(VerificationError, match=re.escape(fingerprint(identity))):
        verify_signature(identity, data, signature)
