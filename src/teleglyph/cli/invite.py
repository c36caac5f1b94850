"""``teleglyph invite``: makes and revokes links that let people join."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import click

from teleglyph.cli.option_groups import option, with_options
from teleglyph.cli.option_types import Lifetime, ask_passphrase
from teleglyph.cli.qr_code import QrCode
from teleglyph.client.address import parse_address
from teleglyph.client.link import token_in
from teleglyph.console import echo
from teleglyph.errors import ConfigurationError, InvitationError, KeyFileError, UserError
from teleglyph.keys import fingerprint, load_identity
from teleglyph.keys.private import load_identity_file
from teleglyph.net import is_loopback
from teleglyph.room_name import LOBBY, parse_room_name
from teleglyph.server.data_directory import IDENTITY_FILE, default_data_directory
from teleglyph.server.invitations import RevocationList, Revoked
from teleglyph.server.running_server import RunningServer, read_running_server
from teleglyph.wire.acip import Identity
from teleglyph.wire.invitation import ID_SIZE, Invitation, format_time

_MAX_QUOTED = 40
"""Characters of a text that is too short to have an invitation in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteOptions:
    """What the link allows, and for which server."""

    room: str = option("--room", default="", help="Call room that the link is for.  [default: the lobby]")
    view_only: bool = option("--view-only", is_flag=True, help="Guests may watch and listen, but not send.")
    expires: int = option(
        "--expires",
        type=Lifetime(),
        default="1d",
        show_default=True,
        help="How long the link can be used: 30m, 2h, 3d, 2w or never. People who have joined stay.",
    )
    data_dir: Path | None = option(
        "--data-dir",
        table="network",
        type=click.Path(file_okay=False, path_type=Path),
        help="Data directory of the server.  [default: ~/.local/share/teleglyph]",
    )
    identity: str | None = option(
        "--identity",
        metavar="KEY",
        help="The server's private key: a file, or gpg:ID.  [default: the key that the server used]",
    )
    host: str | None = option(
        "--host",
        metavar="NAME",
        help="Name or address of the server in the link.  [default: its certificate's name, or its address]",
    )
    qr: bool = option("--qr", is_flag=True, help="Print the link as a QR code as well.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeOptions:
    """Which links stop working."""

    revoke: tuple[str, ...] = option(
        "--revoke", multiple=True, metavar="ID|LINK", help="Revoke a link, by itself or by its ID. May be repeated."
    )
    revoke_all: bool = option("--revoke-all", is_flag=True, help="Revoke every link made before now.")
    list_revoked: bool = option("--list-revoked", is_flag=True, help="List the revoked links.")


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH_INVITE"})
@with_options(options=InviteOptions, revoking=RevokeOptions)
def invite(options: InviteOptions, revoking: RevokeOptions) -> int:
    """Make a link that lets anyone who has it join a call.

    They need no password and no key: they open the link in a browser, or run 'teleglyph client LINK'. The link goes
    to standard output, everything else to standard error. The server's data directory says where the server is, and
    the server's key signs the link. Revoking needs no restart of the server; people who have joined stay.
    """
    actions = [bool(revoking.revoke), revoking.revoke_all, revoking.list_revoked]
    if sum(actions) > 1:
        raise click.UsageError("--revoke, --revoke-all and --list-revoked cannot be combined. Choose one.")
    directory = options.data_dir or default_data_directory()
    server = read_running_server(directory)
    revocations = RevocationList(directory)
    if revoking.list_revoked:
        _list(revocations.read())
    elif revoking.revoke_all:
        _revoke_all(revocations)
    elif revoking.revoke:
        _revoke(revocations, server, revoking.revoke)
    else:
        _invite(options, directory, server, revocations.read().until)
    return 0


# --- making a link ------------------------------------------------------------------------------------------------


def _invite(options: InviteOptions, directory: Path, server: RunningServer, revoked_until: int) -> None:
    room = _room(options.room, server)
    host = _host(options.host)
    # Later than the last --revoke-all, even in the same second.
    issued = max(int(time.time()), revoked_until + 1)
    expires = issued + options.expires if options.expires else 0
    identity = _identity(options.identity, directory, server)
    invitation = Invitation.issue(identity, room, issued, expires, os.urandom, view_only=options.view_only)
    by_name = bool(server.session) and not host
    link = server.link_from_anywhere(room, invitation.text) if by_name else server.link(room, invitation.text, host)
    echo(link)
    what = "watch and listen in" if invitation.view_only else "join"
    where = f"the call room '{invitation.room}'" if invitation.room else "the lobby"
    until = f"until {format_time(expires)}" if expires else "at any time"
    echo(f"Anyone who has this link can {what} {where} {until}.", err=True)
    echo(f"To revoke it: teleglyph invite --revoke {invitation.id.hex()}", err=True)
    if by_name:
        echo("It works from anywhere: teleglyph client 'LINK'.", err=True)
        echo(f"For a browser on your own network: {server.link(room, invitation.text)}", err=True)
    for note in _notes(server, host):
        echo(note, err=True)
    if options.qr:
        _draw(link)


def _notes(server: RunningServer, host: str) -> list[str]:
    notes = []
    if not server.is_running:
        notes.append("The server is not running. Start it on the same port before anyone uses the link.")
    place = host or server.hosts[0]
    if place == "localhost" or is_loopback(place):
        advice = "" if host else " To let others in: teleglyph server 0.0.0.0 ::"
        notes.append(f"The link works on this machine only.{advice}")
    return notes


def _draw(link: str) -> None:
    code = QrCode(link)
    if code.is_on_terminal and not code.fits():
        columns, lines = code.size
        echo(f"The QR code needs a window of {columns} columns and {lines} lines. Enlarge yours.", err=True)
    else:
        code.draw()


def _room(name: str, server: RunningServer) -> str:
    try:
        room = parse_room_name(name)
    except ValueError as error:
        raise UserError(f"'{name[:100]}' is not a room. {error}") from None
    if room != LOBBY and server.rooms is not None and room not in server.rooms:
        known = ", ".join(server.rooms)
        raise UserError(
            f"The server has no call room '{room}', and people may not open any. "
            + (f"Choose from: {known}." if known else "Leave out --room to invite people to the lobby.")
        )
    return room


def _host(given: str | None) -> str:
    """The name for the link; empty for the server's own."""
    if given is None:
        return ""
    address = parse_address(given, default_port=0)
    if address.port or address.room:
        raise UserError(f"'{given[:100]}' is not a host name or an address. Write it without a port: example.org.")
    return address.host


def _identity(given: str | None, directory: Path, server: RunningServer) -> Identity:
    """The key that signs the link: one of the server's."""
    if not server.identities:
        raise ConfigurationError(
            "The server has no identity, so it cannot sign invitations. Start it without --no-encrypt."
        )
    if given is not None:
        identity = load_identity(given, ask_passphrase)
    elif server.keys:
        identity = load_identity(server.keys[0], ask_passphrase)
    else:
        identity = load_identity_file(directory / IDENTITY_FILE, ask_passphrase)
    if identity.public_key.hex() not in server.identities:
        raise KeyFileError(
            f"The key {fingerprint(identity.public_key)} is not the server's, which has "
            f"{' and '.join(server.fingerprints)}. Name the server's with --identity, or start the server again if its "
            "key has changed."
        )
    return identity


# --- revoking -----------------------------------------------------------------------------------------------------


def _revoke(revocations: RevocationList, server: RunningServer, given: tuple[str, ...]) -> None:
    found = dict(_to_revoke(text, server) for text in given)
    revocations.change(lambda revoked: replace(revoked, ids={**revoked.ids, **found}))
    for one in found:
        echo(f"Revoked {one}. People who have joined with it stay.")


def _to_revoke(text: str, server: RunningServer) -> tuple[str, int]:
    """The id of an invitation, and when it expires; 0 if that is never, or unknown."""
    if len(text) == 2 * ID_SIZE and all(character in "0123456789abcdef" for character in text.lower()):
        return text.lower(), 0
    if len(text) <= _MAX_QUOTED and "#" not in text:
        raise UserError(
            f"'{text}' is neither a link nor an ID, which has {2 * ID_SIZE} digits from 0 to f. 'teleglyph invite' "
            "prints both."
        )
    invitation = Invitation.parse(token_in(text))
    if invitation.identity.hex() not in server.identities:
        raise InvitationError(
            f"The invitation is for another server, {fingerprint(invitation.identity)}. Name that server's directory "
            "with --data-dir."
        )
    return invitation.id.hex(), invitation.expires


def _revoke_all(revocations: RevocationList) -> None:
    now = int(time.time())
    # Those that were revoked one by one are among them.
    after = revocations.change(lambda before: Revoked(max(now, before.until)), replaces_damaged=True)
    echo(f"Revoked everything made until {format_time(after.until)}. People who have joined stay.")


def _list(revoked: Revoked) -> None:
    if revoked.until:
        echo(f"everything made until {format_time(revoked.until)}")
    for one, expires in revoked.without_expired(time.time()).ids.items():
        echo(f"{one}  {f'would have expired on {format_time(expires)}' if expires else 'without an end'}")
    if not revoked.until and not revoked.ids:
        echo("No invitations are revoked.", err=True)
