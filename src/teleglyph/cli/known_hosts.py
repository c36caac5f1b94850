"""``teleglyph known-hosts``: lists and forgets servers that you have joined."""

from __future__ import annotations

import difflib
import ipaddress
import socket
from collections.abc import Iterable, Sequence

import click

from teleglyph.client.address import CallAddress, parse_call_address
from teleglyph.console import echo
from teleglyph.keys import KnownHosts, fingerprint
from teleglyph.keys.known_hosts import Entry
from teleglyph.net import authority

_MAX_HINTS = 5


@click.group("known-hosts", context_settings={"help_option_names": ["-h", "--help"]})
def known_hosts() -> None:
    """List or forget servers that you have joined."""


@known_hosts.command("list")
def list_hosts() -> None:
    """List names, addresses and fingerprints.

    A server is known by its numeric address. The name is the one you typed when you joined it.
    """
    hosts = KnownHosts()
    rows = [(entry.name or "-", entry.address, _describe(entry), _origin(entry, hosts)) for entry in hosts.entries()]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        echo("  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)).rstrip())
    if not rows:
        echo("No servers are known yet. When you join a new server, you are asked whether to remember it.", err=True)


@known_hosts.command()
@click.argument("address")
@click.option("-p", "--port", type=click.IntRange(1, 65535), help="Port, if ADDRESS does not include it.")
def forget(address: str, port: int | None) -> int:
    """Forget the identity of a server.

    ADDRESS is what you typed when you joined it: HOST, HOST:PORT, or a numeric address. All entries of the server are
    removed.
    """
    hosts = KnownHosts()
    wanted = _normalized(parse_call_address(address, port))
    entries = list(hosts.entries())
    found = [entry for entry in entries if wanted in (_lower(entry.name), _lower(entry.address))]
    if not found:
        addresses = _resolve(wanted)
        found = [entry for entry in entries if _lower(entry.address) in addresses]
    if not found:
        echo(f"{wanted} is not a known server. {_suggest(wanted, entries)}", err=True)
        return 1
    places = list(dict.fromkeys(entry.address for entry in found))
    forgotten = hosts.forget(*places)
    for entry in forgotten:
        echo(f"Forgot {_full_name(entry)}: {_describe(entry)}")
    left = [entry for entry in entries if entry.address in places and entry.file != hosts.own]
    for entry in left:
        echo(
            f"{entry.address} is still known from {entry.place}, a file of another program. Delete that line yourself.",
            err=True,
        )
    return 1 if left else 0


def _describe(entry: Entry) -> str:
    return "no identity" if entry.identity is None else fingerprint(entry.identity)


def _origin(entry: Entry, hosts: KnownHosts) -> str:
    return "" if entry.file == hosts.own else f"({entry.place})"


def _full_name(entry: Entry) -> str:
    return f"{entry.name} ({entry.address})" if entry.name else entry.address


def _lower(text: str) -> str:
    return text.lower()


def _host(name: str) -> str:
    return name.rpartition(":")[0].lower()


def _normalized(address: CallAddress) -> str:
    """An address as entries have it: numeric in its shortest form, or a name in lower case."""
    try:
        host = str(ipaddress.ip_address(address.host))
    except ValueError:
        host = address.host.lower()
    return authority(host, address.port)


def _resolve(wanted: str) -> set[str]:
    """The numeric addresses of a host; empty if its name is unknown."""
    host, _, port = wanted.rpartition(":")
    try:
        answers = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {authority(str(answer[4][0]), int(port)).lower() for answer in answers}


def _suggest(wanted: str, entries: Sequence[Entry]) -> str:
    """A sentence about known servers with similar names."""
    known = list(dict.fromkeys(name for entry in entries for name in (entry.name, entry.address) if name))
    hosts = [_host(name) for name in known]
    close = difflib.get_close_matches(_host(wanted), hosts, n=_MAX_HINTS, cutoff=0.7)
    near = [name for host in dict.fromkeys(close) for name in known if _host(name) == host]
    if near:
        return f"Did you mean {_either(near[:_MAX_HINTS])}?"
    if known:
        return "Run 'teleglyph known-hosts list' to see the known ones."
    return "No servers are known yet."


def _either(names: Iterable[str]) -> str:
    *rest, last = [f"'{name}'" for name in names]
    return f"{', '.join(rest)} or {last}" if rest else last
