"""Nostr keys as text: ``npub`` and ``nsec`` (NIP-19, BIP-173)."""

from __future__ import annotations

from typing import Final

import coincurve

from teleglyph.errors import KeyFileError

_LETTERS: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
KEY_SIZE: Final = 32


def public_key(key: bytes) -> str:
    """The public key of a secret key, 64 hexadecimal digits.

    Raises:
        KeyFileError: it is not a secret key.
    """
    try:
        if len(key) != KEY_SIZE:
            raise ValueError(f"{len(key)} bytes")
        return coincurve.PrivateKey(key).public_key_xonly.format().hex()
    except ValueError:
        raise KeyFileError("This is not a secret Nostr key: it is zero, too large or of the wrong length.") from None


def encode_key(kind: str, key: bytes) -> str:
    """Encode a key as text.

    Args:
        kind: ``npub`` or ``nsec``.
        key: 32 bytes.
    """
    values = _regroup(key, 8, 5)
    checksum = _polymod([*_spread(kind), *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [checksum >> 5 * (5 - place) & 31 for place in range(6)]
    return f"{kind}1" + "".join(_LETTERS[value] for value in values)


def decode_key(text: str, kind: str) -> bytes:
    """Decode a key from text, or from hexadecimal digits.

    Args:
        text: from the user.
        kind: ``npub`` or ``nsec``; the other kind is refused, so that nobody reveals a secret by mistake.

    Raises:
        KeyFileError: it is not a key of this kind.  The message does not show it.
    """
    text = text.strip().lower()
    if len(text) == 2 * KEY_SIZE:
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    name, _, letters = text.rpartition("1")
    if name != kind or not letters or any(letter not in _LETTERS for letter in letters):
        raise KeyFileError(f"This is not a Nostr key: it must begin with {kind}1, or be 64 hexadecimal digits.")
    values = [_LETTERS.index(letter) for letter in letters]
    if _polymod([*_spread(kind), *values]) != 1:
        raise KeyFileError(f"This {kind} has a typing error: its checksum is wrong.")
    key = bytes(_regroup(values[:-6], 5, 8, pad=False))
    if len(key) != KEY_SIZE:
        raise KeyFileError(f"This {kind} has {len(key)} bytes instead of {KEY_SIZE}.")
    return key


def _spread(kind: str) -> list[int]:
    return [*(ord(letter) >> 5 for letter in kind), 0, *(ord(letter) & 31 for letter in kind)]


def _polymod(values: list[int]) -> int:
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for place in range(5):
            if top >> place & 1:
                state ^= _GENERATOR[place]
    return state


def _regroup(values: bytes | list[int], size: int, new_size: int, *, pad: bool = True) -> list[int]:
    """Regroup numbers of ``size`` bits into numbers of ``new_size`` bits; the rest is padded with zeros or dropped."""
    buffer = bits = 0
    result = []
    for value in values:
        buffer = buffer << size | value
        bits += size
        while bits >= new_size:
            bits -= new_size
            result.append(buffer >> bits & (1 << new_size) - 1)
    if pad and bits:
        result.append(buffer << new_size - bits & (1 << new_size) - 1)
    return result
