"""``teleglyph keygen``: creates an identity."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from teleglyph.cli.questions import ask_new_secret, can_ask
from teleglyph.console import echo
from teleglyph.errors import KeyFileError, reason_of
from teleglyph.keys import (
    FileIdentity,
    check_new_identity,
    default_identity_path,
    fingerprint,
    format_public_key,
    randomart,
    write_identity,
)
from teleglyph.keys.creation import MAX_PASSPHRASE, default_comment
from teleglyph.keys.private import PASSPHRASE_VARIABLES, passphrase_in_environment


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--comment", help="Comment in the public key.  [default: you@this-machine]")
@click.option(
    "--no-passphrase",
    is_flag=True,
    help="Protect the key by its file permissions only, for servers that start unattended.",
)
def keygen(file: Path | None, comment: str | None, no_passphrase: bool) -> int:
    """Create an Ed25519 key that identifies you or your server.

    The private key is written to FILE and the public key to FILE.pub, in OpenSSH format. The default FILE is
    ~/.config/teleglyph/id_ed25519, which 'teleglyph client' uses automatically. It prompts for a pass phrase, unless
    TELEGLYPH_KEY_PASSWORD is set.
    """
    path = file.expanduser() if file is not None else default_identity_path()
    if file is None:
        _make_directory(path.parent)
    check_new_identity(path)
    passphrase = None if no_passphrase else _passphrase()
    identity = write_identity(path, passphrase, comment or default_comment())
    _report(path, identity, is_default=path == default_identity_path(), is_protected=bool(passphrase))
    return 0


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyFileError(f"Cannot create the directory '{path}': {reason_of(error)}.") from error


def _report(path: Path, identity: FileIdentity, *, is_default: bool, is_protected: bool) -> None:
    public = f"{path}.pub"
    quoted = shlex.quote(str(path))
    option = "" if is_default else f" --key {quoted}"
    echo(f"Private key: {path}" + ("" if is_protected else " (without a pass phrase)"))
    echo(f"Public key:  {public}")
    echo(f"             {format_public_key(identity.public_key)}")
    echo(f"Fingerprint: {fingerprint(identity.public_key)}")
    echo(randomart(identity.public_key))
    echo()
    echo(f"To join calls that only admit known keys, send {public} to their host.")
    echo(f"Then join with: teleglyph client HOST{option}")
    echo(f"To host calls with it: teleglyph server --key {quoted}")
    echo("Send the fingerprint to people who join, so that they can compare it. Never share the private key.")


def _passphrase() -> str | None:
    if (found := passphrase_in_environment()) is not None:
        return found[1]
    if not can_ask():
        raise click.UsageError(
            f"Cannot ask for a pass phrase without a terminal. Set {PASSPHRASE_VARIABLES[0]}, or use --no-passphrase."
        )
    return ask_new_secret("Pass phrase (empty for none)", MAX_PASSPHRASE) or None
