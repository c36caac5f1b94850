"""Loads private keys from OpenSSH's files (Ed25519 only)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import nacl.signing

from teleglyph import directories
from teleglyph.errors import DamagedKeyError, KeyFileError, reason_of
from teleglyph.keys.agent import agent_keys
from teleglyph.keys.blob import ED25519, FieldReader, printable
from teleglyph.keys.public import parse_line
from teleglyph.text_file import decode_text
from teleglyph.wire.acip import Identity, fingerprint

AskPassphrase = Callable[[str], str | None]
"""Prompts with a sentence and returns the user's input; None if there is no terminal."""

PASSPHRASE_VARIABLES = ("TELEGLYPH_KEY_PASSWORD", "ASCII_CHAT_KEY_PASSWORD")
_MAX_FILE = 64 << 10
_BEGIN, _END = b"-----BEGIN OPENSSH PRIVATE KEY-----", b"-----END OPENSSH PRIVATE KEY-----"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CIPHERS = (b"none", b"aes256-ctr", b"aes256-cbc")
_MAX_ROUNDS = 1024
"""Rounds of bcrypt: ssh-keygen uses 16 to 24, and a thousand take minutes."""
_TRIES = 3
_MAKE_ONE = "Make one with 'teleglyph keygen' or 'ssh-keygen -t ed25519'."


class FileIdentity:
    """An Ed25519 key that this process holds.

    Args:
        seed: the 32 secret bytes.
    """

    def __init__(self, seed: bytes) -> None:
        self._key = nacl.signing.SigningKey(seed)

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes."""
        return bytes(self._key)

    def __repr__(self) -> str:
        return f"<FileIdentity {fingerprint(self.public_key)}>"

    @property
    def public_key(self) -> bytes:
        """32 bytes, computed from the secret ones."""
        return bytes(self._key.verify_key)

    def sign(self, data: bytes) -> bytes:
        """The 64-byte Ed25519 signature of ``data``."""
        return self._key.sign(data).signature


def default_identity_path() -> Path:
    """The path of ``teleglyph keygen``: ``teleglyph/id_ed25519`` in the user's configuration directory (XDG)."""
    return directories.configuration() / "teleglyph" / "id_ed25519"


def load_identity(value: str, ask: AskPassphrase = lambda _: None) -> Identity:
    """Load the identity for ``--key``: a private key file, or ``gpg:ID``.

    If an agent holds the key in the ``.pub`` file beside it, the agent signs and the private file is not read.  The
    pass phrase comes from the environment (``TELEGLYPH_KEY_PASSWORD``, ``ASCII_CHAT_KEY_PASSWORD``) or from ``ask``.

    Raises:
        KeyFileError: the key does not exist or cannot be used.
    """
    if value.startswith("gpg:"):
        from teleglyph.keys.gpg import load_gpg_identity

        return load_gpg_identity(value.removeprefix("gpg:"))
    if value.startswith(("github:", "gitlab:", "https:", "ssh-")):
        raise KeyFileError(f"'{value}' names a public key. --key needs the private one: name its file.")
    path = Path(value).expanduser()
    held = _held_by_agent(path)
    return held if held is not None else load_identity_file(path, ask)


def passphrase_in_environment() -> tuple[str, str] | None:
    """The first environment variable with a pass phrase, and the pass phrase; None without one."""
    return next(((name, value) for name in PASSPHRASE_VARIABLES if (value := os.environ.get(name))), None)


def _held_by_agent(path: Path) -> Identity | None:
    try:
        with path.with_name(path.name + ".pub").open("rb") as file:
            public = decode_text(file.read(_MAX_FILE), errors="replace")
        key = parse_line(public.strip())
    except (OSError, ValueError):
        return None
    return next((identity for identity in agent_keys() if identity.public_key == key), None)


def load_identity_file(path: Path, ask: AskPassphrase = lambda _: None) -> Identity:
    """Load a private key file, without asking an agent.

    Raises:
        DamagedKeyError: the file is not a key.
        KeyFileError: the key does not exist or cannot be used.
    """
    data = _read(path)
    cipher, kind = _inspect(path, data)
    if kind != ED25519:
        raise KeyFileError(
            f"The key '{path}' is of type {printable(kind)}, and only Ed25519 keys are supported. {_MAKE_ONE}"
        )
    if cipher == b"none":
        seed = _seed(path, data, None)
        if seed is None:
            raise DamagedKeyError(f"The key '{path}' is damaged.")
        return FileIdentity(seed)
    if (found := passphrase_in_environment()) is not None:
        name, passphrase = found
        seed = _seed(path, data, passphrase)
        if seed is not None:
            return FileIdentity(seed)
        return _ask(path, data, ask, f"The pass phrase in {name} does not open the key '{path}'.")
    return _ask(path, data, ask, "")


def _ask(path: Path, data: bytes, ask: AskPassphrase, trouble: str) -> Identity:
    """Prompt for the pass phrase until it is right, at most three times.

    ``trouble`` is the previous error, shown with the first prompt.
    """
    for _ in range(_TRIES):
        typed = ask(f"{trouble} Pass phrase of {path}".strip())
        if typed is None:
            raise KeyFileError(
                trouble
                or f"The key '{path}' needs a pass phrase, and there is no terminal to ask for it on. "
                f"Set {PASSPHRASE_VARIABLES[0]}, or add the key to ssh-agent."
            )
        seed = _seed(path, data, typed)
        if seed is not None:
            return FileIdentity(seed)
        trouble = "Wrong pass phrase."
    raise KeyFileError(f"None of these was the pass phrase of '{path}'.")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_FILE + 1)
    except FileNotFoundError:
        raise KeyFileError(f"There is no key file '{path}'. {_MAKE_ONE}") from None
    except OSError as error:
        raise KeyFileError(f"Cannot read the key '{path}': {reason_of(error)}.") from error
    if len(data) > _MAX_FILE:
        raise KeyFileError(f"'{path}' has more than {_MAX_FILE >> 10} KiB, so it is not a key file.")
    if _is_public(data):
        raise KeyFileError(_public_advice(path))
    if stat.S_ISREG(mode) and mode & 0o077 and os.name == "posix":
        raise KeyFileError(
            f"Others on this machine can read the key '{path}' (mode {stat.S_IMODE(mode):04o}). Run: chmod 600 '{path}'"
        )
    return data


def _is_public(data: bytes) -> bool:
    start = data.removeprefix(_BYTE_ORDER_MARK).lstrip()[:24]
    return start.startswith((b"ssh-", b"ecdsa-", b"sk-", b"---- BEGIN SSH2 PUBLIC", b"-----BEGIN PUBLIC KEY"))


def _public_advice(path: Path) -> str:
    private = path.with_suffix("")
    if path.suffix == ".pub" and private.is_file():
        return f"'{path}' is the public half of a key. --key needs the private half: --key '{private}'"
    return f"'{path}' is the public half of a key. --key needs the private half, which is in another file."


def _inspect(path: Path, data: bytes) -> tuple[bytes, bytes]:
    """The cipher and type of a key, from the unencrypted part of its file.

    Raises:
        KeyFileError: it is not an OpenSSH key file, or its encryption is not supported.
    """
    import base64

    start, end = data.find(_BEGIN), data.find(_END)
    if start >= 0 and end < start:
        raise DamagedKeyError(f"The key '{path}' is damaged: its last line is missing.")
    if start < 0:
        if b"PRIVATE KEY" in data or data.startswith(b"PuTTY-User-Key-File"):
            raise KeyFileError(
                f"'{path}' is a private key, but not in OpenSSH's format, so it cannot be read. {_MAKE_ONE}"
            )
        raise DamagedKeyError(f"'{path}' is not a private key file. {_MAKE_ONE}")
    try:
        reader = FieldReader(base64.b64decode(data[start + len(_BEGIN) : end], validate=False))
        if reader.read(15) != b"openssh-key-v1\0":
            raise ValueError("its version is not supported")
        cipher, _kdf, options = reader.string(), reader.string(), reader.string()
        if reader.number() != 1:
            raise ValueError("it does not have exactly one key")
        kind = FieldReader(reader.string()).string()
        rounds = 0
        if cipher != b"none":
            parameters = FieldReader(options)
            parameters.string()
            rounds = parameters.number()
    except ValueError as error:
        raise DamagedKeyError(f"The key '{path}' is damaged: {error}.") from error
    if cipher not in _CIPHERS or rounds > _MAX_ROUNDS:
        raise KeyFileError(
            f"The key '{path}' is encrypted with {printable(cipher)}, {rounds} rounds. Only aes256-ctr and aes256-cbc "
            f"with at most {_MAX_ROUNDS} can be opened. Run: ssh-keygen -p -Z aes256-ctr -f '{path}'"
        )
    return cipher, kind


def _seed(path: Path, data: bytes, passphrase: str | None) -> bytes | None:
    """The secret 32 bytes; None if the pass phrase is wrong or the file is damaged, which look the same."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    try:
        key = load_ssh_private_key(data, None if passphrase is None else passphrase.encode())
    except UnsupportedAlgorithm as error:
        raise KeyFileError(f"Cannot open the key '{path}': {error}.") from error
    except Exception:
        # The library raises errors of many kinds for damaged files.
        return None
    return key.private_bytes_raw() if isinstance(key, Ed25519PrivateKey) else None
