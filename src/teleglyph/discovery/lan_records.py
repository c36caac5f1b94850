"""What a server says of itself on the local network, and which of it a client believes.

Anybody on the network can answer, with anything.  So a record is checked before it becomes a :class:`LanCall`, and even
then it is only a claim: the identity in it is proved by the server's handshake, or not at all.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from teleglyph.discovery.interfaces import InterfaceAddress, IPAddress, is_neighbour
from teleglyph.net import authority
from teleglyph.printable import fit, printable

SERVICE_TYPE = "_ascii-chat._tcp.local."
_VERSION = b"1"
_NO_KEY = bytes(32)
_NAME = re.compile(r"[a-z]{2,12}(?:-[a-z]{2,12}){2}")
"""The form of a call's name: three words."""
_KEY = re.compile(rb"[0-9a-fA-F]{64}")
MAX_TEXT = 1024
"""Bytes of a TXT record; a longer one is not ours."""
MAX_TITLE = 40
"""Columns of a title."""
_MAX_TITLE_BYTES = 200
_MAX_HOSTS = 8
"""Addresses of one call."""


@dataclass(frozen=True, slots=True)
class LanCall:
    """A call that somebody announces on the local network.

    Attributes:
        name: its three words; empty if it has none.
        identity: the Ed25519 public key that the server must prove; None if it announces none.
        host: the numeric address that is most likely reachable.
        port: its TCP port.
        title: what people call it; never empty.
        other_hosts: its further addresses, the best one first.
    """

    name: str
    identity: bytes | None
    host: str
    port: int
    title: str
    other_hosts: tuple[str, ...] = ()

    @property
    def key(self) -> object:
        """Equal for two announcements of the same server."""
        return self.identity or self.host, self.port

    @property
    def hosts(self) -> tuple[str, ...]:
        """All its addresses, the best one first."""
        return (self.host, *self.other_hosts)


def announced_text(name: str, identity: bytes | None, title: str) -> dict[str, str]:
    """The TXT record of a server.

    Args:
        name: the call's three words; empty for none.
        identity: its Ed25519 public key; None for none.
        title: what people call it.
    """
    key = (identity or _NO_KEY).hex()
    return {"session_string": name, "host_pubkey": key, "v": _VERSION.decode(), "name": title}


def read_call(
    instance: str,
    text: Mapping[bytes, bytes | None],
    addresses: Iterable[str],
    port: int | None,
    own: Sequence[InterfaceAddress],
) -> LanCall | None:
    """The call that a server's records describe; None if they are invalid.

    Args:
        instance: the name of the service's instance, without the type.
        text: the TXT record.
        addresses: from A and AAAA records, with zones for link-local ones.
        port: from the SRV record.
        own: this machine's addresses.
    """
    key = text.get(b"host_pubkey") or _NO_KEY.hex().encode()
    if text.get(b"v", _VERSION) != _VERSION or not _KEY.fullmatch(key) or port is None or not 1 <= port <= 65535:
        return None
    hosts = usable_hosts(addresses, own)
    if not hosts:
        return None
    identity = bytes.fromhex(key.decode())
    name = (text.get(b"session_string") or b"").decode("ascii", "replace")
    title = _title(text.get(b"name") or b"") or _title(instance.encode("utf-8", "replace"))
    return LanCall(
        name=name if _NAME.fullmatch(name) else "",
        identity=None if identity == _NO_KEY else identity,
        host=hosts[0],
        port=port,
        title=title or authority(hosts[0], port),
        other_hosts=tuple(hosts[1:]),
    )


def merged(calls: Iterable[LanCall], limit: int) -> list[LanCall]:
    """At most ``limit`` calls, with those of one identity as one call that has the addresses of all."""
    found: dict[object, LanCall] = {}
    for call in calls:
        if (known := found.get(call.key)) is not None:
            hosts = tuple(dict.fromkeys([*known.hosts, *call.hosts]))[:_MAX_HOSTS]
            found[call.key] = replace(known, other_hosts=hosts[1:])
        elif len(found) < limit:
            found[call.key] = call
    return list(found.values())


def usable_hosts(addresses: Iterable[str], own: Sequence[InterfaceAddress]) -> list[str]:
    """The addresses that may be a server's on a local network, those in one of our own networks first."""
    found: dict[str, tuple[int, int]] = {}
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not is_neighbour(_without_zone(address), own):
            continue
        # Without its zone, nobody knows which network a link-local address is in.
        if address.version == 6 and address.is_link_local and not getattr(address, "scope_id", None):
            continue
        host = str(address if address.is_link_local else _without_zone(address))
        found.setdefault(host, _rank(_without_zone(address), own))
    return sorted(found, key=lambda host: found[host])[:_MAX_HOSTS]


def _rank(address: IPAddress, own: Sequence[InterfaceAddress]) -> tuple[int, int]:
    if address.is_link_local:
        return 2, address.version
    return (0 if any(address in each.network for each in own) else 1), address.version


def _without_zone(address: IPAddress) -> IPAddress:
    return ipaddress.ip_address(str(address).partition("%")[0])


def _title(data: bytes) -> str:
    if len(data) > _MAX_TITLE_BYTES:
        return ""
    return fit(printable(data.decode("utf-8", "replace")), MAX_TITLE).strip()
