"""What a discovery service's refusals mean to a client."""

from __future__ import annotations

from teleglyph.errors import (
    DiscoveryError,
    HostAwayError,
    NameTakenError,
    NoSuchSessionError,
    PeerError,
    RateLimitError,
    SessionFullError,
    SessionPasswordError,
)
from teleglyph.wire.acip import ErrorMessage
from teleglyph.wire.discovery import AcipError, DiscoveryCode, SessionJoined, StringReserved

_BY_CODE: dict[int, type[DiscoveryError]] = {
    DiscoveryCode.SESSION_NOT_FOUND: NoSuchSessionError,
    DiscoveryCode.SESSION_FULL: SessionFullError,
    DiscoveryCode.WRONG_PASSWORD: SessionPasswordError,
    DiscoveryCode.NAME_TAKEN: NameTakenError,
}
_BY_NUMBER: dict[int, type[DiscoveryError]] = {
    44: HostAwayError,
    48: SessionFullError,
    62: SessionPasswordError,
    85: NameTakenError,
}
_RATE = 46


def error_of(message: SessionJoined | StringReserved | AcipError | ErrorMessage) -> PeerError:
    """The error for a failed request."""
    if isinstance(message, ErrorMessage):
        return _from_number(message)
    code = message.code if isinstance(message, AcipError) else message.error_code
    text = message.text if isinstance(message, AcipError) else message.error
    shown = text or f"The discovery service refused the request (code {code})."
    if code == DiscoveryCode.RATE_LIMITED:
        return RateLimitError(shown)
    return _BY_CODE.get(code, DiscoveryError)(shown, code)


def _from_number(message: ErrorMessage) -> PeerError:
    shown = message.text or f"The discovery service refused the request (error {message.code})."
    if message.code == _RATE:
        return RateLimitError(shown)
    return _BY_NUMBER.get(message.code, DiscoveryError)(shown, message.code)
