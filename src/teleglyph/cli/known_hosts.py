"""``teleglyph known-hosts``: the servers you have joined before."""

from __future__ import annotations

import difflib
import ipaddress
import socket
from collections.abc import Iterable, Sequence

import click

from teleglyph.client.address import Address, parse_address
from teleglyph.console import echo
from teleglyph.keys import KnownHosts, fingerprint
from teleglyph.keys.known_hosts import Entry
from teleglyph.net import authority

_MAX_HINTS = 5


@click.group("known-hosts", context_settings={"help_option_names": ["-h", "--help"]})
def known_hosts() -> None:
    """List and forget the servers you have joined before."""


@known_hosts.command("list")
def list_hosts() -> None:
    """List names, addresses and fingerprints.

    A server is known by its numeric address; the name is the one you typed when you joined it.
    """
    hosts = KnownHosts()
    rows = [(entry.name or "-", entry.address, _shown(entry), _where(entry, hosts)) for entry in hosts.entries()]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        echo("  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)).rstrip())
    if not rows:
        echo("No servers are known yet. You are asked about a server when you join it for the first time.", err=True)


@known_hosts.command()
@click.argument("address")
@click.option("-p", "--port", type=click.IntRange(1, 65535), help="The port, if ADDRESS does not have it.")
def forget(address: str, port: int | None) -> int:
    """Forget the identity that a server showed before.

    ADDRESS is what you typed when you joined it: HOST, HOST:PORT, or a numeric address. All lines about the server go.
    """
    hosts = KnownHosts()
    wanted = _normalized(parse_address(address, port))
    entries = list(hosts.entries())
    found = [entry for entry in entries if wanted in (_lower(entry.name), _lower(entry.address))]
    if not found:
        addresses = _resolve(wanted)
        found = [entry for entry in entries if _lower(entry.address) in addresses]
    if not found:
        echo(f"{wanted} is not a known server.{_near(wanted, entries)}", err=True)
        return 1
    places = list(dict.fromkeys(entry.address for entry in found))
    gone = hosts.forget(*places)
    for entry in gone:
        echo(f"Forgot {_full_name(entry)}: {_shown(entry)}")
    left = [entry for entry in entries if entry.address in places and entry.file != hosts.own]
    for entry in left:
        echo(
            f"{entry.address} is still known from {entry.place}, which is another program's file. "
            "Delete that line yourself.",
            err=True,
        )
    return 1 if left else 0


def _shown(entry: Entry) -> str:
    return "no identity" if entry.identity is None else fingerprint(entry.identity)


def _where(entry: Entry, hosts: KnownHosts) -> str:
    return "" if entry.file == hosts.own else f"({entry.place})"


def _full_name(entry: Entry) -> str:
    return f"{entry.name} ({entry.address})" if entry.name else entry.address


def _lower(text: str) -> str:
    return text.lower()


def _host(name: str) -> str:
    return name.rpartition(":")[0].lower()


def _normalized(address: Address) -> str:
    """An address in the form that entries have: numeric ones in their shortest spelling, names in lower case."""
    try:
        host = str(ipaddress.ip_address(address.host))
    except ValueError:
        host = address.host.lower()
    return authority(host, address.port)


def _resolve(wanted: str) -> set[str]:
    """The numeric addresses of a host; none if its name is not known."""
    host, _, port = wanted.rpartition(":")
    try:
        answers = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {authority(str(answer[4][0]), int(port)).lower() for answer in answers}


def _near(wanted: str, entries: Sequence[Entry]) -> str:
    """Known servers that may have been meant, as the end of a message."""
    known = list(dict.fromkeys(name for entry in entries for name in (entry.name, entry.address) if name))
    hosts = [_host(name) for name in known]
    close = difflib.get_close_matches(_host(wanted), hosts, n=_MAX_HINTS, cutoff=0.7)
    near = [name for host in dict.fromkeys(close) for name in known if _host(name) == host]
    if near:
        return f" Did you mean {_either(near[:_MAX_HINTS])}?"
    if known:
        return " 'teleglyph known-hosts list' shows those that are."
    return " No servers are known yet."


def _either(names: Iterable[str]) -> str:
    *rest, last = [f"'{name}'" for name in names]
    return f"{', '.join(rest)} or {last}" if rest else last
