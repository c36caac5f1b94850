"""What a new peer speaks, from its first bytes: nothing is read twice, and nothing is parsed here."""

from __future__ import annotations

import enum
from typing import Final

_METHODS: Final = tuple(
    f"{method} ".encode() for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE")
)
_TLS_HANDSHAKE: Final = b"\x16\x03"


class Spoken(enum.Enum):
    """A protocol."""

    HTTP = "HTTP"
    TLS = "TLS"
    OTHER = "something else, ACIP if it is anything"


def spoken(data: bytes) -> Spoken | None:
    """The protocol that some first bytes belong to; None while they could be one or another.

    At most eight bytes are needed: a method and the blank behind it (RFC 9112, 3.1).  ACIP's packets begin with a byte
    that no method and no TLS record begins with.
    """
    if data.startswith(_METHODS):
        return Spoken.HTTP
    if data.startswith(_TLS_HANDSHAKE):
        return Spoken.TLS
    if any(begin.startswith(data) for begin in (*_METHODS, _TLS_HANDSHAKE)):
        return None
    return Spoken.OTHER
