"""What tags' values are looked up by."""

from __future__ import annotations

import hashlib

_LONGEST_KEY = 64


def tag_key(value: str) -> bytes:
    """What a tag's value is looked up by: its bytes, or if they are many a hash, behind a byte that is in no UTF-8."""
    data = value.encode("utf-8", "surrogatepass")
    return data if len(data) <= _LONGEST_KEY else b"\xff" + hashlib.sha256(data).digest()
