"""Lookup keys for the values of tags."""

from __future__ import annotations

import hashlib

_MAX_KEY = 64


def tag_key(value: str) -> bytes:
    """The lookup key of a tag's value: its bytes; of a long value a hash after a byte that UTF-8 never contains."""
    data = value.encode("utf-8", "surrogatepass")
    return data if len(data) <= _MAX_KEY else b"\xff" + hashlib.sha256(data).digest()
