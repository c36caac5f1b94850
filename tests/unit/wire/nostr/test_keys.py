"""npub and nsec against NIP-19's examples."""

from __future__ import annotations

import secrets

import pytest

from teleglyph.errors import KeyFileError
from teleglyph.wire.nostr.keys import decode_key, encode_key, public_key

EXAMPLES = [
    (
        "npub",
        "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d",
        "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6",
    ),
    (
        "nsec",
        "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa",
        "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5",
    ),
]


@pytest.mark.parametrize(("kind", "digits", "text"), EXAMPLES)
def test_keys_have_their_known_texts(kind: str, digits: str, text: str) -> None:
    assert encode_key(kind, bytes.fromhex(digits)) == text
    assert decode_key(text, kind).hex() == digits
    assert decode_key(f" {text.upper()}\n", kind).hex() == digits
    assert decode_key(digits, kind).hex() == digits


def test_every_typing_error_is_detected() -> None:
    text = EXAMPLES[0][2]
    for place in range(5, len(text)):
        for letter in "qpz" + text[place - 1]:
            if letter != text[place]:
                with pytest.raises(KeyFileError):
                    decode_key(text[:place] + letter + text[place + 1 :], "npub")


def test_a_secret_key_is_not_accepted_as_a_public_key_and_not_shown() -> None:
    with pytest.raises(KeyFileError, match="begin with npub1") as caught:
        decode_key(EXAMPLES[1][2], "npub")
    assert "vl029" not in str(caught.value)
    for wrong in ("", "npub1", "x" * 64, "npub1é", "1", "npub"):
        with pytest.raises(KeyFileError):
            decode_key(wrong, "npub")


def test_invalid_secret_keys_are_refused() -> None:
    assert len(public_key(secrets.token_bytes(32))) == 64
    for wrong in (bytes(32), b"\xff" * 32, b"x" * 31):
        with pytest.raises(KeyFileError, match="not a secret Nostr key"):
            public_key(wrong)
