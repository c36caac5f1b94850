"""Parses public keys: OpenSSH lines, hexadecimal, base64, files of those, and user names at GitHub or GitLab."""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from teleglyph.errors import ConfigurationError, KeyFetchError, reason_of
from teleglyph.keys.blob import KEY_SIZE, pack_public_key, parse_public_key, printable
from teleglyph.keys.key_lines import without_options
from teleglyph.text_file import decode_text

_log = logging.getLogger(__name__)

Fetch = Callable[[str, str], str]
"""Called with a service (``github`` or ``gitlab``) and a user name; returns the user's keys, one per line."""

MAX_KEYS = 1024
"""Keys of one list."""
_MAX_FILE = 1 << 20
_PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|PuTTY-User-Key-File|\bnsec1")
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_FORMS = (
    "an 'ssh-ed25519 AAAA...' line, its base64 alone, 64 hexadecimal digits, github:USER, gitlab:USER, or a file with "
    "one of these on each line"
)


def format_public_key(key: bytes) -> str:
    """A key in OpenSSH's format, without a comment."""
    return f"ssh-ed25519 {base64.b64encode(pack_public_key(key)).decode()}"


def parse_line(text: str) -> bytes:
    """The 32 bytes of a key in one of the forms without a look-up (docs/protocol/handshake.md#public-keys).

    Raises:
        ValueError: it is not an Ed25519 key; with the reason.
    """
    if _PRIVATE.search(text):
        raise ValueError("it is a private key, and the public key is needed; keep the private one to yourself")
    words = without_options(text).split()
    if not words:
        raise ValueError("it is empty")
    if words[0] == "ssh-ed25519" and len(words) > 1:
        return _parse_base64(words[1])
    if words[0].startswith(("ssh-", "ecdsa-", "sk-")):
        raise ValueError(f"it is a key of type {printable(words[0])}, and only ssh-ed25519 keys are supported")
    if words[0].startswith(("SHA256:", "MD5:")):
        raise ValueError("it is a fingerprint, and the public key itself is needed")
    if _HEX.fullmatch(words[0]):
        return bytes.fromhex(words[0])
    return _parse_base64(words[0])


def _parse_base64(text: str) -> bytes:
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is neither a key nor a file's name") from None
    return blob if len(blob) == KEY_SIZE else parse_public_key(blob)


def parse_public_keys(value: str, fetch: Fetch | None = None) -> list[bytes]:
    """The keys in an option's value: items separated by commas.

    Args:
        value: see :data:`_FORMS`; a path contains a slash, or begins with ``.`` or ``~``.  A comma in the name of an
            existing file, or in the comment of a key, does not end the item.
        fetch: looks up names at GitHub and GitLab; by default over HTTPS, with a cache.

    Raises:
        ConfigurationError: an item is not a key.
        KeyFetchError: a name could not be looked up.
    """
    keys: list[bytes] = []
    for item in _split_items(value):
        keys += _parse_item(item, fetch)
    if len(keys) > MAX_KEYS:
        raise ConfigurationError(f"The list has {len(keys)} keys; at most {MAX_KEYS} are allowed.")
    return list(dict.fromkeys(keys))


def _split_items(value: str) -> Iterator[str]:
    parts = value.split(",")
    place = 0
    while place < len(parts):
        end = next((end for end in range(len(parts), place + 1, -1) if _is_file(",".join(parts[place:end]))), place + 1)
        if end == place + 1 and _has_comment(parts[place]):
            while end < len(parts) and parts[end].strip() and not _begins_item(parts[end]):
                end += 1
        item = ",".join(parts[place:end]).strip()
        if item:
            yield item
        place = end


def _is_file(text: str) -> bool:
    try:
        return Path(text.strip()).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _is_key(text: str) -> bool:
    try:
        return bool(parse_line(text))
    except ValueError:
        return False


def _has_comment(text: str) -> bool:
    return text.strip().startswith("ssh-") and len(text.split()) > 2 and _is_key(text)


def _begins_item(text: str) -> bool:
    text = text.strip()
    looked_up = text.startswith(("github:", "gitlab:", "gpg:", "ssh-", "/", "./", "../", "~"))
    return looked_up or _is_key(text) or _is_file(text)


def _parse_item(item: str, fetch: Fetch | None) -> list[bytes]:
    service, colon, user = item.partition(":")
    if colon and service in ("github", "gitlab"):
        return _parse_published(item, service, user, fetch)
    if colon and service == "gpg":
        from teleglyph.keys.gpg import gpg_public_key

        return [gpg_public_key(user)]
    try:
        return [parse_line(item)]
    except ValueError as error:
        path = Path(item).expanduser()
        if "/" in item or item.startswith((".", "~")) or path.is_file():
            return _parse_file(path)
        raise ConfigurationError(f"'{item}' is not a key: {error}. Write {_FORMS}.") from None


def _parse_published(item: str, service: str, user: str, fetch: Fetch | None) -> list[bytes]:
    if fetch is None:
        from teleglyph.keys.published import fetch_published

        fetch = fetch_published
    keys = list(_parse_lines(fetch(service, user).splitlines(), item))
    if not keys:
        raise KeyFetchError(f"{item} publishes no Ed25519 key.")
    return keys


def _parse_file(path: Path) -> list[bytes]:
    try:
        if path.stat().st_size > _MAX_FILE:
            raise ConfigurationError(f"'{path}' has more than {_MAX_FILE >> 20} MiB, so it is not a list of keys.")
        text = decode_text(path.read_bytes(), errors="replace")
    except ValueError as error:
        raise ConfigurationError(f"The list of keys '{path}' cannot be read: {error}.") from None
    except OSError as error:
        raise ConfigurationError(f"Cannot read the list of keys '{path}': {reason_of(error)}.") from error
    if _PRIVATE.search(text):
        raise ConfigurationError(
            f"'{path}' holds a private key, and public keys are needed. Name the file that ends in '.pub', and keep "
            "the private key secret."
        )
    keys = list(_parse_lines(text.split("\n"), str(path)))
    if not keys:
        raise ConfigurationError(f"There is no Ed25519 key in '{path}'.")
    return keys


def _parse_lines(lines: Iterable[str], where: str) -> Iterable[bytes]:
    """The keys of a list; logs and skips invalid lines."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            yield parse_line(text)
        except ValueError as error:
            _log.warning("Ignored line %d of %s: %s", number, where, error)


class KeyList:
    """The keys that a server admits.

    Args:
        values: for :func:`parse_public_keys`.
        fetch: for :func:`parse_public_keys`.

    Raises:
        ConfigurationError, KeyFetchError: as for :func:`parse_public_keys`.
    """

    def __init__(self, values: Iterable[str], fetch: Fetch | None = None) -> None:
        self._values = tuple(values)
        self._fetch = fetch
        self._keys: frozenset[bytes] = frozenset()
        self.reload()

    def __len__(self) -> int:
        return len(self._keys)

    def reload(self) -> None:
        """Read files and names again, which may take seconds.  After a failure the list is unchanged.

        Raises:
            ConfigurationError, KeyFetchError: as for :func:`parse_public_keys`.
        """
        self._keys = frozenset(key for value in self._values for key in parse_public_keys(value, self._fetch))

    def admits(self, key: bytes) -> bool:
        """Whether the owner of a key may join."""
        return key in self._keys
