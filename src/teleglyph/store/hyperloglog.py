"""Counts distinct authors approximately (NIP-45)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from teleglyph.store.event_rows import ADDRESS
from teleglyph.wire.nostr.event import is_hex


def hyperloglog_offset(value: str | None) -> int | None:
    """The offset in public keys of the bytes by which a filter's authors are counted (NIP-45).

    Args:
        value: the first value of the filter's first tag, as the client wrote it; None if it has no tags.
    """
    if value is None:
        return None
    address = ADDRESS.fullmatch(value)
    text = address[2] if address else value
    if not is_hex(text):
        text = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return int(text[32], 16) + 8


def registers(authors: Iterable[bytes], offset: int) -> bytearray:
    """HyperLogLog of public keys: 256 registers, chosen by the byte at the offset."""
    result = bytearray(256)
    for author in authors:
        rest = author[offset + 1 :]
        zeros = 8 * len(rest) - int.from_bytes(rest, "big").bit_length()
        result[author[offset]] = max(result[author[offset]], zeros + 1)
    return result
