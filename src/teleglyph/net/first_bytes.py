"""Detects a new peer's protocol from its first bytes."""

from __future__ import annotations

import enum
from typing import Final

_METHODS: Final = tuple(
    f"{method} ".encode() for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE")
)
_TLS_HANDSHAKE: Final = b"\x16\x03"


class FirstProtocol(enum.Enum):
    """The protocol of a new peer."""

    HTTP = "HTTP"
    TLS = "TLS"
    OTHER = "ACIP, or an unknown protocol"


def detect_protocol(data: bytes) -> FirstProtocol | None:
    """The protocol that the first bytes belong to; None while more bytes are needed.

    At most eight bytes are needed: a method and the space after it (RFC 9112, 3.1).  No method and no TLS record begins
    with the first byte of an ACIP packet.
    """
    if data.startswith(_METHODS):
        return FirstProtocol.HTTP
    if data.startswith(_TLS_HANDSHAKE):
        return FirstProtocol.TLS
    if any(begin.startswith(data) for begin in (*_METHODS, _TLS_HANDSHAKE)):
        return None
    return FirstProtocol.OTHER
