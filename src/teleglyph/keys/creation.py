"""Creates identities: for a person who asks for one, and for a server when it first starts."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
from pathlib import Path

from teleglyph.errors import DamagedKeyError, KeyFileError, reason_of
from teleglyph.keys.private import AskPassphrase, FileIdentity, load_identity_file
from teleglyph.keys.public import format_public_key
from teleglyph.printable import printable as one_line
from teleglyph.wire.acip import Identity

MAX_PASSPHRASE = 72
"""Bytes of a pass phrase, the maximum of the key derivation in OpenSSH's files."""


def load_or_create_identity(path: Path, ask: AskPassphrase = lambda _: None) -> Identity:
    """Load a key that must stay the same; create it with its ``.pub`` file if it does not exist.

    The private file appears whole or not at all, so a crash cannot leave a damaged one.  Only one process may call this
    for a path at a time.

    Args:
        path: of the private key's file.
        ask: prompts for the pass phrase, if the owner has given the key one.

    Raises:
        DamagedKeyError: the file is not a key.
        KeyFileError: the key cannot be used or created.
    """
    if os.path.lexists(path):
        try:
            return load_identity_file(path, ask)
        except DamagedKeyError as error:
            raise DamagedKeyError(
                f"The key '{path}' is damaged. Restore it from a backup. If you move it away, a new one is created, "
                "and clients that know the old one refuse it."
            ) from error
    temporary = path.with_name(f".{path.name}.new")
    try:
        for leftover in (temporary, _public_path(temporary)):
            leftover.unlink(missing_ok=True)
        identity = write_identity(temporary, None, default_comment())
        # The private key comes last: its file means that both are there.
        _public_path(temporary).replace(_public_path(path))
        temporary.replace(path)
    except OSError as error:
        raise KeyFileError(f"Cannot create the key '{path}': {reason_of(error)}.") from error
    return identity


def default_comment() -> str:
    """The comment of a new public key: user and machine."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "user"
    return f"{user}@{socket.gethostname()}"


def check_new_identity(path: Path) -> None:
    """Check that a new key can be written to ``path``, before prompting for a pass phrase.

    Raises:
        KeyFileError: the file exists already, or cannot be written.
    """
    if path.is_dir():
        raise KeyFileError(f"'{path}' is a directory. Name a file in it, such as '{path / 'id_ed25519'}'.")
    for target in (path, _public_path(path)):
        # lexists also finds broken links.
        if os.path.lexists(target):
            raise KeyFileError(_exists(target))
    directory = path.parent
    if not directory.exists():
        raise KeyFileError(f"There is no directory '{directory}'. Create it first: mkdir -p '{directory}'")
    if not directory.is_dir():
        raise KeyFileError(f"'{directory}' is not a directory. Choose another place for the key.")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise KeyFileError(f"You may not write to the directory '{directory}'. Choose another place for the key.")


def write_identity(path: Path, passphrase: str | None, comment: str) -> FileIdentity:
    """Create a key, and write it and its ``.pub`` like ssh-keygen: both files or neither.

    Args:
        path: of the private key's file.
        passphrase: at most 72 bytes; None or empty for none.
        comment: written after the public key, without unprintable characters.

    Raises:
        KeyFileError: a file exists already, cannot be written, or the pass phrase is too long.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = os.urandom(32)
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        if len(passphrase.encode()) > MAX_PASSPHRASE:
            raise KeyFileError(
                f"The pass phrase has {len(passphrase.encode())} bytes; at most {MAX_PASSPHRASE} are allowed."
            )
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    text = Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, protection
    )
    identity = FileIdentity(seed)
    line = f"{format_public_key(identity.public_key)} {one_line(comment)}\n"
    written: list[Path] = []
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for target, content, mode in ((path, text, 0o600), (_public_path(path), line.encode(), 0o644)):
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                written.append(target)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        for target in written:
            with contextlib.suppress(OSError):
                target.unlink()
        if isinstance(error, FileExistsError):
            raise KeyFileError(_exists(Path(error.filename))) from None
        raise KeyFileError(f"Cannot write '{path}': {reason_of(error)}.") from error
    return identity


def _public_path(path: Path) -> Path:
    return path.with_name(path.name + ".pub")


def _exists(path: Path) -> str:
    return f"'{path}' exists already. Choose another name, or move it away first."
