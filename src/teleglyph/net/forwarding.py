"""Finds the client behind a proxy, from ``Forwarded`` (RFC 7239) and ``X-Forwarded-For``.

Any client can send these headers.  They count only from proxies that the operator trusts.  Each proxy appends the
address it was connected to, so the client's is the first address from the right that is not a trusted proxy's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from teleglyph.net.addresses import is_loopback, numeric

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MARKS = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-original-forwarded-for"})
_MARKS_OF_SERVICES = frozenset({"cf-connecting-ip", "fastly-client-ip", "true-client-ip"})
_PREFIX = "x-forwarded-"
_MAX_HOPS = 100
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf"[ \t]*({_NAME})=([^\s\",;]+|\"(?:[^\"\\]|\\.)*\")[ \t]*")
"""Many proxies omit the required quotation marks around ports and IPv6 addresses."""
_BLANKS = re.compile(r"[ \t]*")
_NODE = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::[0-9A-Za-z._-]+)?")


@dataclass(frozen=True, slots=True)
class Client:
    """The sender of a request.

    Attributes:
        address: for limits and logs.
        is_direct: no header indicates a proxy.
    """

    address: str
    is_direct: bool

    @property
    def is_local(self) -> bool:
        """Whether it is a program on this machine, without a proxy in between."""
        return self.is_direct and is_loopback(self.address)


def client_of(peer: str, headers: Iterable[tuple[str, str]], trusted: Sequence[Network]) -> Client:
    """The sender of a request.

    If the headers of trusted proxies contradict each other or are malformed, the proxy itself counts as the client.
    Its limits then apply to everybody behind it.

    Args:
        peer: the numeric address of the connection.
        headers: names and values, in order.
        trusted: networks of proxies whose headers count.
    """
    lines: dict[str, list[str]] = {}
    is_direct = True
    for written, value in headers:
        name = written.lower()
        if name in _MARKS or name in _MARKS_OF_SERVICES or name.startswith(_PREFIX):
            is_direct = False
            lines.setdefault(name, []).append(value)
    if is_direct or not is_trusted(peer, trusted):
        return Client(peer, is_direct)
    answers = set()
    if "forwarded" in lines:
        answers.add(_behind(peer, _forwarded(", ".join(lines["forwarded"])), trusted))
    if "x-forwarded-for" in lines:
        answers.add(_behind(peer, _listed(",".join(lines["x-forwarded-for"])), trusted))
    return Client(answers.pop() if len(answers) == 1 else peer, False)


def _behind(peer: str, hops: Sequence[str | None], trusted: Sequence[Network]) -> str:
    """The last address that is not a trusted proxy's; the last known proxy if the address behind it is hidden."""
    last = peer
    for hop in reversed(hops[-_MAX_HOPS:]):
        if hop is None:
            return last
        last = hop
        if not is_trusted(hop, trusted):
            return hop
    return last


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether an address is a trusted proxy's."""
    plain = numeric(address)
    if plain is None:
        return False
    parsed = ipaddress.ip_address(plain)
    return any(parsed in network for network in trusted)


def _listed(text: str) -> list[str | None]:
    """The addresses of ``X-Forwarded-For``; None for entries without one.  Skips empty entries (RFC 9110, 5.6.1)."""
    return [_address_of(entry) for part in text.split(",") if (entry := part.strip(" \t"))]


def _forwarded(text: str) -> list[str | None]:
    """The addresses of ``Forwarded``; None for hidden ones; ``[None]`` if the header is malformed.

    An unfinished quoted string could hide the proxy's own entry, so a malformed header is ignored completely.
    """
    hops: list[str | None] = []
    position, node, names = 0, "", set[str]()
    while True:
        if found := _PAIR.match(text, position):
            name, value = found[1].lower(), found[2]
            if name in names:
                return [None]
            names.add(name)
            if name == "for":
                node = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
            position = found.end()
        elif blanks := _BLANKS.match(text, position):
            position = blanks.end()
        if position < len(text) and text[position] not in ",;":
            return [None]
        if position == len(text) or text[position] == ",":
            if names:
                hops.append(_address_of(node))
            node, names = "", set()
        if position == len(text):
            return hops
        position += 1


def _address_of(node: str) -> str | None:
    """The numeric address of a node, without its port; None for ``unknown``, ``_hidden`` and everything else."""
    if (plain := numeric(node)) is not None:
        return plain
    found = _NODE.fullmatch(node)
    if found is None or (found[1] is not None and ":" not in found[1]):
        return None
    return numeric(found[1] or found[2])
