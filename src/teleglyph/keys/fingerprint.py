"""Fingerprints of keys for comparison, exactly as OpenSSH shows them, and their randomart pictures."""

from __future__ import annotations

import hashlib

from teleglyph.wire.acip import fingerprint, fingerprint_digest

__all__ = ["ascii_chat_fingerprint", "fingerprint", "randomart"]

_COLUMNS, _ROWS = 17, 9
_SHADES = " .o+=*BOX@%&#/^"
_TITLE, _FOOT = "[ED25519 256]", "[SHA256]"


def ascii_chat_fingerprint(key: bytes) -> str:
    """``SHA256:`` and 64 hexadecimal digits, as printed by ascii-chat's programs.

    They hash only the 32 bytes of the key, so the digits are unrelated to OpenSSH's fingerprint.
    """
    return f"SHA256:{hashlib.sha256(key).hexdigest()}"


def randomart(key: bytes) -> str:
    """The picture of a key's fingerprint as in ``ssh-keygen -lv``: 11 lines of 19 characters."""
    return "\n".join([_border(_TITLE), *(f"|{row}|" for row in _walk(fingerprint_digest(key))), _border(_FOOT)])


def _border(label: str) -> str:
    left = (_COLUMNS - len(label)) // 2
    return f"+{'-' * left + label:-<{_COLUMNS}}+"


def _walk(digest: bytes) -> list[str]:
    """OpenSSH's drunken bishop: a walk from S to E by the bits of a digest, as 9 rows of 17 characters."""
    visits = [[0] * _COLUMNS for _ in range(_ROWS)]
    x, y = _COLUMNS // 2, _ROWS // 2
    for byte in digest:
        for shift in (0, 2, 4, 6):
            step = byte >> shift & 3
            x = min(max(x + (1 if step & 1 else -1), 0), _COLUMNS - 1)
            y = min(max(y + (1 if step & 2 else -1), 0), _ROWS - 1)
            visits[y][x] += 1
    rows = [[_SHADES[min(count, len(_SHADES) - 1)] for count in row] for row in visits]
    rows[_ROWS // 2][_COLUMNS // 2] = "S"
    rows[y][x] = "E"
    return ["".join(row) for row in rows]
