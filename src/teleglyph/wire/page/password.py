"""Compares passwords that pages send inside TLS."""

from __future__ import annotations

import hmac
import os

from teleglyph.wire.acip.primitives import RandomBytes, tags_equal


class PasswordDigest:
    """A password as a digest whose key only this process has.

    A comparison takes microseconds, unlike one of slow hashes, so that strangers cannot keep the server busy with it.

    Args:
        password: the right one.
        random: makes the key (32 bytes).
    """

    def __init__(self, password: str, random: RandomBytes = os.urandom) -> None:
        self._key = random(32)
        self._digest = self._of(password)

    def matches(self, text: str) -> bool:
        """Whether a text is the password; takes the same time for each text of one length."""
        return tags_equal(self._of(text), self._digest)

    def _of(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode(), "sha256")
