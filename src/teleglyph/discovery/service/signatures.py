"""Proofs of keys: signed requests, each of which counts once."""

from __future__ import annotations

from collections import OrderedDict

from teleglyph.discovery.service.refusal import Reason, RefusedError
from teleglyph.errors import VerificationError
from teleglyph.wire.discovery import (
    NO_KEY,
    NO_SIGNATURE,
    SessionCreate,
    SessionEnd,
    SessionJoin,
    SessionReconnect,
    StringRelease,
    StringRenew,
    StringReserve,
    check_time,
    verify,
)
from teleglyph.wire.discovery.signatures import MAX_AGE, MAX_AHEAD

_MAX_SEEN = 100_000


class Signatures:
    """Checks signatures, and remembers them while they could be used again."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, int] = OrderedDict()
        """Signatures by when they were seen, Unix milliseconds."""

    def proven_key(self, message: SessionCreate | SessionJoin, now: int, *, is_required: bool) -> bytes | None:
        """The key that a request proves; None if it proves none.

        ascii-chat's programs sign with a wrong time, so a signature that is too old counts as none unless one is
        required.  A wrong one is refused in any case.

        Args:
            message: the request.
            now: Unix milliseconds.
            is_required: refuse a request that proves no key.

        Raises:
            RefusedError: the signature is wrong, was used before, or is missing.
        """
        is_unsigned = message.identity == NO_KEY or message.signature == NO_SIGNATURE
        if not is_required:
            if is_unsigned:
                return None
            try:
                check_time(message.timestamp, now)
            except VerificationError:
                self._check(message, message.timestamp, None)
                return None
        self._check(message, now, None)
        self._remember(message.signature, now)
        return message.identity

    def check_owner(
        self,
        message: SessionEnd | SessionReconnect | StringReserve | StringRenew | StringRelease,
        now: int,
        owner: bytes | None = None,
    ) -> None:
        """Check that a key signed a request.

        Args:
            message: the request.
            now: Unix milliseconds.
            owner: the key; None for the one in the request.

        Raises:
            RefusedError: it did not, or the signature was used before.
        """
        self._check(message, now, owner)
        self._remember(message.signature, now)

    def _check(
        self,
        message: SessionCreate
        | SessionJoin
        | SessionEnd
        | SessionReconnect
        | StringReserve
        | StringRenew
        | StringRelease,
        now: int,
        owner: bytes | None,
    ) -> None:
        try:
            verify(message, now, owner)
        except VerificationError as error:
            raise RefusedError(Reason.SIGNATURE, str(error)) from None

    def _remember(self, signature: bytes, now: int) -> None:
        while self._seen:
            first, at = next(iter(self._seen.items()))
            if now - at <= MAX_AGE + MAX_AHEAD and len(self._seen) < _MAX_SEEN:
                break
            del self._seen[first]
        if signature in self._seen:
            raise RefusedError(Reason.SIGNATURE, "This signature was used before. Sign each request anew.")
        self._seen[signature] = now
