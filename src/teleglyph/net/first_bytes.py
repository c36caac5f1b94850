"""Detects a new peer's protocol from its first bytes."""

from __future__ import annotations

import enum
from typing import Final

from teleglyph.wire.proxy_protocol import SIGNATURE

_METHODS: Final = tuple(
    f"{method} ".encode() for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE")
)
_TLS_HANDSHAKE: Final = b"\x16\x03"
_RECORD_HEADER, _MAX_RECORD = 5, 1 << 14
_PROXY: Final = (SIGNATURE, b"PROXY ")


class FirstProtocol(enum.Enum):
    """The protocol of a new peer."""

    HTTP = "HTTP"
    TLS = "TLS"
    PROXY = "the PROXY protocol"
    OTHER = "ACIP, or an unknown protocol"


def detect_protocol(data: bytes) -> FirstProtocol | None:
    """The protocol that the first bytes belong to; None while more bytes are needed.

    At most twelve bytes are needed, and eight without a proxy: a method and the space after it (RFC 9112, 3.1).  No
    method, no TLS record and no PROXY header begins with the first byte of an ACIP packet.
    """
    if data.startswith(_METHODS):
        return FirstProtocol.HTTP
    if data.startswith(_TLS_HANDSHAKE):
        return FirstProtocol.TLS
    if data.startswith(_PROXY):
        return FirstProtocol.PROXY
    if any(begin.startswith(data) for begin in (*_METHODS, _TLS_HANDSHAKE, *_PROXY)):
        return None
    return FirstProtocol.OTHER


def record_size(data: bytes) -> int:
    """Bytes of the TLS record that begins with ``data`` (RFC 8446, 5.1); of its header while that is incomplete.

    A record that claims to be longer than allowed counts as its header: TLS itself refuses it.
    """
    length = int.from_bytes(data[3:_RECORD_HEADER], "big") if len(data) >= _RECORD_HEADER else 0
    return _RECORD_HEADER + (length if length <= _MAX_RECORD else 0)
