"""Loads a Nostr key from a file, and creates it on first use, readable only by its owner."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from teleglyph.errors import KeyFileError, reason_of
from teleglyph.text_file import decode_text
from teleglyph.wire.nostr.keys import decode_key, encode_key, public_key

_MAX_FILE = 4096


def load_nostr_key(path: Path) -> bytes:
    """The secret key in the first line of a file, an ``nsec`` or 64 hexadecimal digits; creates a missing file.

    Returns:
        32 bytes.

    Raises:
        KeyFileError: the file cannot be read or created, others may read it, or it has no key.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        return _create(path)


def npub_of(key: bytes) -> str:
    """The ``npub`` of a secret key."""
    return encode_key("npub", bytes.fromhex(public_key(key)))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = decode_text(file.read(_MAX_FILE), errors="replace")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyFileError(f"Cannot read the Nostr key '{path}': {reason_of(error)}.") from error
    except ValueError as error:
        raise KeyFileError(f"Cannot read the Nostr key '{path}': {error}.") from None
    if stat.S_ISREG(mode) and mode & 0o077:
        raise KeyFileError(f"Others on this machine can read the Nostr key '{path}'. Run: chmod 600 '{path}'")
    try:
        key = decode_key(text.strip().split("\n", 1)[0].strip(), "nsec")
        public_key(key)
    except KeyFileError as error:
        raise KeyFileError(f"'{path}': {error}") from None
    return key


def _create(path: Path) -> bytes:
    key = secrets.token_bytes(32)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(encode_key("nsec", key) + "\n")
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise KeyFileError(f"Cannot create the Nostr key '{path}': {reason_of(error)}.") from error
    return key
