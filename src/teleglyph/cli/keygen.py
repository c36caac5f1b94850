"""``teleglyph keygen``: makes an identity."""

from __future__ import annotations

import getpass
import socket
import sys
from pathlib import Path

import click

from teleglyph import directories
from teleglyph.console import echo
from teleglyph.keys import fingerprint, format_public_key, randomart, write_identity
from teleglyph.keys.private import PASSPHRASE_VARIABLES, passphrase_in_environment


def default_path() -> Path:
    """``teleglyph/id_ed25519`` in the user's configuration directory (XDG)."""
    return directories.configuration() / "teleglyph" / "id_ed25519"


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--comment", help="What stands behind the public key.  [default: you@this-machine]")
@click.option("--no-passphrase", is_flag=True, help="Protect the key by its file's permissions only, for a server.")
def keygen(file: Path | None, comment: str | None, no_passphrase: bool) -> int:
    """Make an Ed25519 key that proves who you are, or which server yours is.

    FILE gets the private key, FILE.pub the public one; OpenSSH can use them, too. Without FILE it is
    ~/.config/teleglyph/id_ed25519. The pass phrase is asked for, or taken from TELEGLYPH_KEY_PASSWORD.
    """
    path = file or default_path()
    passphrase = None if no_passphrase else _passphrase()
    identity = write_identity(path, passphrase, comment or f"{getpass.getuser()}@{socket.gethostname()}")
    echo(f"Private key: {path}" + ("" if passphrase else " (without a pass phrase)"))
    echo(f"Public key:  {format_public_key(identity.public_key)}")
    echo(f"Fingerprint: {fingerprint(identity.public_key)}")
    echo(randomart(identity.public_key))
    return 0


def _passphrase() -> str | None:
    if (found := passphrase_in_environment()) is not None:
        return found[1]
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"Nobody can be asked for a pass phrase: set {PASSPHRASE_VARIABLES[0]} or --no-passphrase"
        )
    answer: str = click.prompt(
        "Pass phrase (empty for none)",
        hide_input=True,
        confirmation_prompt=True,
        default="",
        show_default=False,
        err=True,
    )
    return answer or None
