"""Joins a call, and asks the user for what the server turns out to need: trust, a password, a key.

The first attempt uses the options.  If the server needs more, it refuses; the user answers while no connection is
open, and the next attempt uses the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from teleglyph.cli.option_types import ask_passphrase, is_password
from teleglyph.cli.questions import TRIES, ask_secret, can_ask, confirm
from teleglyph.client.address import CallAddress
from teleglyph.client.call.connection import Credentials
from teleglyph.client.trust import ServerTrust, describe_identity
from teleglyph.console import echo
from teleglyph.errors import AuthenticationError, UnknownServerError
from teleglyph.keys import (
    ascii_chat_fingerprint,
    default_identity_path,
    fingerprint,
    format_public_key,
    load_identity,
    randomart,
)
from teleglyph.printable import printable
from teleglyph.wire.acip import AuthFailure, Identity, derive_password_key

_MAX_EXPLANATION = 500
"""Characters shown of a server's explanation."""
_WRONG_KEY = AuthFailure.CLIENT_KEY_REQUIRED | AuthFailure.CLIENT_KEY_REJECTED


def join(
    attempt: Callable[[Credentials], int], address: CallAddress, credentials: Credentials, password_source: str = ""
) -> int:
    """Join a call, and ask for what the server turns out to need.

    Args:
        attempt: joins with the given credentials and returns an exit code.
        address: the server.
        credentials: those from the options.
        password_source: the option or variable that the password came from.

    Raises:
        UnknownServerError: the user did not accept a new server, or cannot be asked.
        AuthenticationError: a password or key is missing or wrong, and asking did not help or is not possible.
        KeyFileError: the default key is needed but cannot be used.
        click.Abort: the user pressed Ctrl-C or Ctrl-D at a prompt.
    """
    secrets = _Secrets(address, password_source)
    while True:
        try:
            return attempt(credentials)
        except UnknownServerError as error:
            _ask_about(error, credentials.trust)
        except AuthenticationError as error:
            credentials = secrets.after(error, credentials)


class _Secrets:
    """Finds better credentials after a refusal.

    Args:
        address: the server.
        password_source: as for :func:`join`.
    """

    def __init__(self, address: CallAddress, password_source: str) -> None:
        self._address = address.in_words
        self._source = password_source
        self._asked = 0

    def after(self, error: AuthenticationError, credentials: Credentials) -> Credentials:
        """Return the credentials for the next attempt.

        Raises:
            AuthenticationError: another attempt would not help; the message explains why.
        """
        if error.reasons & AuthFailure.CLIENT_KEY_REQUIRED and credentials.client_key is None:
            return replace(credentials, client_key=self._default_key(error))
        is_wrong = bool(error.reasons & AuthFailure.PASSWORD_INCORRECT)
        if is_wrong or error.reasons & AuthFailure.PASSWORD_REQUIRED:
            return replace(credentials, password_key=derive_password_key(self._password(error, is_wrong=is_wrong)))
        if credentials.client_key is not None:
            self._explain_key(error, credentials.client_key)
        raise error

    # --- passwords ------------------------------------------------------------------------------------

    def _password(self, error: AuthenticationError, *, is_wrong: bool) -> str:
        source = f" from {self._source}" if self._source and not self._asked else ""
        if not can_ask():
            if is_wrong:
                text = f"The password{source} is wrong for {self._address}. Ask its host for the right one."
            else:
                text = (
                    f"{self._address} requires a password, and there is no terminal to ask for it. "
                    "Get it from the host and set TELEGLYPH_PASSWORD."
                )
            raise _because(error, text)
        if self._asked >= TRIES:
            raise _because(error, f"Wrong password for {self._address}. Ask its host for the right one.")
        if is_wrong:
            complaint = f"The password{source} is wrong." if source else "Wrong password."
            echo(complaint + _server_says(error), err=True)
        while self._asked < TRIES:
            self._asked += 1
            typed = ask_secret(f"Password for {self._address}")
            if is_password(typed):
                return typed
            echo("A password has 8 to 256 bytes. Try again.", err=True)
        raise _because(error, f"{self._address} requires a password. Ask its host for it.")

    # --- keys -----------------------------------------------------------------------------------------

    def _default_key(self, error: AuthenticationError) -> Identity:
        """The default key of ``keygen``, which is only used if a server requires a key."""
        path = default_identity_path()
        # The private key may be in an agent, and only the public key in a file.
        if not path.exists() and not path.with_name(path.name + ".pub").exists():
            raise _because(error, f"{self._address} only admits keys that its host knows. {_key_advice(path)}")
        identity = load_identity(str(path), ask_passphrase)
        shown = fingerprint(identity.public_key)
        echo(f"{self._address} requires a key. Using yours: {shown} ({path})", err=True)
        return identity

    def _explain_key(self, error: AuthenticationError, key: Identity) -> None:
        shown = fingerprint(key.public_key)
        if error.reasons & AuthFailure.SIGNATURE_INVALID:
            raise _because(error, f"{self._address} could not verify the signature of your key {shown}.")
        if error.reasons & _WRONG_KEY:
            raise _because(
                error,
                f"{self._address} does not know your client key {shown}. Ask its host to add it: "
                f"{format_public_key(key.public_key)}",
            )


def _because(error: AuthenticationError, text: str) -> AuthenticationError:
    return AuthenticationError(text + _server_says(error), error.reasons, error.explanation)


def _server_says(error: AuthenticationError) -> str:
    """The server's explanation, to follow our message."""
    if not error.explanation:
        return ""
    return f" The server says: {printable(error.explanation)[:_MAX_EXPLANATION]}"


def _key_advice(path: Path) -> str:
    """Advice for a user without a key."""
    advice = f"You have no key yet. Create one with 'teleglyph keygen', and send {path}.pub to the host."
    ssh = Path("~/.ssh/id_ed25519")
    if ssh.expanduser().is_file():
        advice += f" If the host knows your SSH key, add --key {ssh}."
    return advice


def _ask_about(unknown: UnknownServerError, trust: ServerTrust | None) -> None:
    """Ask whether to trust a new server, and remember it if so.

    Raises:
        UnknownServerError: the user refused, or cannot be asked.
    """
    if trust is None or not can_ask():
        raise unknown
    where = f"{unknown.name} ({unknown.address})" if unknown.name not in ("", unknown.address) else unknown.address
    echo(f"You have not joined {where} before.", err=True)
    if unknown.identity is None:
        echo("It has no identity, so nothing proves that it is the right server.", err=True)
    else:
        echo(f"Its identity is {fingerprint(unknown.identity)}", err=True)
        if unknown.is_ascii_chat:
            echo(f"ascii-chat prints it as {ascii_chat_fingerprint(unknown.identity)}", err=True)
        echo(randomart(unknown.identity), err=True)
        echo("The host saw the same when the server started. Compare them, for example by phone.", err=True)
    for hint in _hints(unknown, trust):
        echo(hint, err=True)
    if not confirm("Join and remember it?"):
        raise UnknownServerError(f"Did not join {where}.", unknown.address, unknown.identity)
    trust.hosts.add(unknown.address, unknown.identity, unknown.name)


def _hints(unknown: UnknownServerError, trust: ServerTrust) -> list[str]:
    """What is known of this identity and of this name: servers move, and attackers imitate them."""
    hints: list[str] = []
    entries = list(trust.hosts.entries())
    same = [entry for entry in entries if entry.identity == unknown.identity is not None]
    if same:
        hints.append(f"You have joined a server with this identity before: {same[0].name or same[0].address}.")
    other = [entry for entry in entries if entry.name and entry.name == unknown.name]
    if other and not same:
        name, address, shown = other[0].name, other[0].address, describe_identity(other[0].identity)
        hints.append(f"Careful: {name} was at {address} before, with {shown}.")
    return hints
