"""Signed requests to a discovery service (docs/protocol/discovery.md#signatures)."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from functools import singledispatch
from typing import Any, TypeVar

from teleglyph.errors import VerificationError
from teleglyph.wire.acip.primitives import Identity, fingerprint, verify_signature
from teleglyph.wire.discovery.messages.joining import SessionJoin, SessionReconnect
from teleglyph.wire.discovery.messages.names import StringRelease, StringRenew, StringReserve
from teleglyph.wire.discovery.messages.sessions import (
    NO_KEY,
    Capability,
    SessionCreate,
    SessionEnd,
)

MAX_AGE, MAX_AHEAD = 300_000, 60_000
"""How old a request may be, and how far ahead its sender's clock, in milliseconds."""

Signed = SessionCreate | SessionJoin | SessionEnd | SessionReconnect | StringReserve | StringRenew | StringRelease
_Signed = TypeVar("_Signed", bound=Signed)

_CREATE, _JOIN, _HEAD = struct.Struct(">BQBB"), struct.Struct(">BQ"), struct.Struct(">HQ")
_FULL_CREATE = b"teleglyph session create\0"
_SIGNATURE_AT = slice(32, 96)


@singledispatch
def signed_text(message: object) -> bytes:
    """The bytes that a request's signature covers.  A different timestamp or key gives different bytes."""
    raise TypeError(f"{type(message).__name__} has no signature")


@signed_text.register
def _(message: SessionCreate) -> bytes:
    if message.capabilities & Capability.RENDEZVOUS:
        payload = message.encode_payload()
        return _FULL_CREATE + payload[: _SIGNATURE_AT.start] + payload[_SIGNATURE_AT.stop :]
    kind = message.type & 0xFF
    return _CREATE.pack(kind, message.timestamp, message.capabilities, message.max_participants)


@signed_text.register
def _(message: SessionJoin) -> bytes:
    return _JOIN.pack(message.type & 0xFF, message.timestamp) + message.name.encode()


@signed_text.register
def _(message: SessionEnd) -> bytes:
    return _HEAD.pack(message.type, message.timestamp) + message.session_id


@signed_text.register
def _(message: SessionReconnect) -> bytes:
    return _HEAD.pack(message.type, message.timestamp) + message.session_id + message.participant_id


@signed_text.register(StringReserve)
@signed_text.register(StringRenew)
def _(message: StringReserve | StringRenew) -> bytes:
    return _HEAD.pack(message.type, message.timestamp) + message.days.to_bytes(4, "big") + message.name.encode()


@signed_text.register
def _(message: StringRelease) -> bytes:
    return _HEAD.pack(message.type, message.timestamp) + message.name.encode()


def sign(message: _Signed, identity: Identity, timestamp: int) -> _Signed:
    """The request with a time and a signature.

    Args:
        message: its old signature and key do not matter.
        identity: signs it.
        timestamp: Unix time in milliseconds.
    """
    key: dict[str, Any] = (
        {} if isinstance(message, SessionEnd | SessionReconnect) else {"identity": identity.public_key}
    )
    dated = replace(message, timestamp=timestamp, **key)
    return replace(dated, signature=identity.sign(signed_text(dated)))


def verify(message: Signed, now: int, identity: bytes | None = None) -> None:
    """Check time and signature of a request.

    Args:
        message: the request.
        now: Unix time in milliseconds.
        identity: the key that must have signed it; None for the one in the request.

    Raises:
        VerificationError: the request is too old, from the future, not signed, or signed by another key.
    """
    check_time(message.timestamp, now)
    if identity is None:
        if isinstance(message, SessionEnd | SessionReconnect):
            raise TypeError(f"{message.type.name} does not name its key")
        identity = message.identity
    if identity == NO_KEY:
        raise VerificationError(f"{message.type.name} is not signed. Sign it with the key of the session.")
    try:
        verify_signature(identity, signed_text(message), message.signature)
    except VerificationError:
        raise VerificationError(
            f"The signature of {message.type.name} was not made with the key {fingerprint(identity)}."
        ) from None


def check_time(timestamp: int, now: int) -> None:
    """Raise VerificationError unless a request is recent.

    Args:
        timestamp: of the request, Unix time in milliseconds.
        now: the same for this machine.
    """
    age = now - timestamp
    if age > MAX_AGE:
        fault = f"is {math.ceil(age / 1000)} s old (at most {MAX_AGE // 1000} s)"
    elif age < -MAX_AHEAD:
        fault = f"is from {math.ceil(-age / 1000)} s in the future (at most {MAX_AHEAD // 1000} s)"
    else:
        return
    raise VerificationError(f"The request {fault}. Set the clock of the sender's machine.")
