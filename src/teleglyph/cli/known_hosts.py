"""``teleglyph known-hosts``: the servers that were met before."""

from __future__ import annotations

import click

from teleglyph.client.address import parse_address
from teleglyph.console import echo
from teleglyph.keys import KnownHosts, fingerprint


@click.group("known-hosts", context_settings={"help_option_names": ["-h", "--help"]})
def known_hosts() -> None:
    """See and forget the servers that were met before."""


@known_hosts.command("list")
def list_hosts() -> None:
    """Print all of them, with where each is written."""
    found = False
    for entry in KnownHosts().entries():
        found = True
        shown = "no identity" if entry.identity is None else fingerprint(entry.identity)
        echo(f"{entry.address}  {shown}  ({entry.place})")
    if not found:
        echo("No server was met yet.", err=True)


@known_hosts.command()
@click.argument("address")
def forget(address: str) -> int:
    """Forget what ADDRESS (numeric, with its port if that is not the usual one) showed before."""
    where = str(parse_address(address))
    hosts = KnownHosts()
    count = hosts.forget(where)
    if count:
        echo(f"{where} is forgotten.")
        return 0
    rest = [entry.place for entry in hosts.entries() if entry.address == where]
    if rest:
        echo(f"{where} is not in {hosts.own}, but in {rest[0]}: delete that line.", err=True)
    else:
        echo(f"{where} is not known: see 'teleglyph known-hosts list'.", err=True)
    return 1
