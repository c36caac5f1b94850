"""Keys for people to compare: a fingerprint, and a picture of it."""

from __future__ import annotations

import hashlib

_COLUMNS, _ROWS = 17, 9
_SHADES = " .o+=*BOX@%&#/^"


def fingerprint(key: bytes) -> str:
    """``SHA256:`` and 64 hexadecimal digits, as ascii-chat shows them (spec acip-crypto 9.2)."""
    return f"SHA256:{hashlib.sha256(key).hexdigest()}"


def randomart(key: bytes) -> str:
    """A picture of a key's fingerprint, 19 columns and 11 lines."""
    return "\n".join(["+---[ED25519]-----+", *(f"|{row}|" for row in walk(key)), "+----[SHA256]-----+"])


def walk(data: bytes) -> list[str]:
    """OpenSSH's drunken bishop, who walks by the bits of a SHA-256 from S to E: 9 rows of 17 characters."""
    visits = [[0] * _COLUMNS for _ in range(_ROWS)]
    x, y = _COLUMNS // 2, _ROWS // 2
    for byte in hashlib.sha256(data).digest():
        for shift in (0, 2, 4, 6):
            step = byte >> shift & 3
            x = min(max(x + (1 if step & 1 else -1), 0), _COLUMNS - 1)
            y = min(max(y + (1 if step & 2 else -1), 0), _ROWS - 1)
            visits[y][x] += 1
    rows = [[_SHADES[min(count, len(_SHADES) - 1)] for count in row] for row in visits]
    rows[_ROWS // 2][_COLUMNS // 2] = "S"
    rows[y][x] = "E"
    return ["".join(row) for row in rows]
