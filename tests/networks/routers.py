"""Home routers: address translation and a firewall, made of nftables.

How routers differ, in the words of RFC 3489 that everybody uses (RFC 4787 splits them into mapping and filtering):

============== ======================================= =============================================
kind           port outside                            who may answer
============== ======================================= =============================================
open           no translation                          anyone
full cone      the same for all destinations           anyone
restricted     the same for all destinations           an address that was sent to, from any port
port restricted the same for all destinations          an address and port that was sent to
symmetric      another one for each destination        an address and port that was sent to
udp blocked    (UDP does not pass; TCP as above)       nobody
============== ======================================= =============================================

TCP goes out and never comes in, as at home, except for "open".
"""

from __future__ import annotations

from typing import Literal, get_args

NatKind = Literal["open", "full cone", "restricted", "port restricted", "symmetric", "udp blocked"]
NAT_KINDS: tuple[NatKind, ...] = get_args(NatKind)

TABLE = "home"
"""The table of nftables with all rules of a router."""
PORT_MAPPING_CHAINS = ("mapped_forward", "mapped_in", "mapped_out")
"""Chains for the rules of a port mapping daemon."""

# Linux keeps a port if it can, so plain masquerading is "port restricted": connection tracking lets answers in, and
# nothing else. Cones need more: when a packet leaves, rules remember the host inside for its port, or for its port and
# its destination's address; packets that come in are sent to this host. The rules suppose that the port was kept, which
# holds unless two hosts of a home use the same one.
_REMEMBERED = {
    "full cone": ("inet_service", "udp sport", "udp dport"),
    "restricted": ("inet_service . ipv4_addr", "udp sport . ip daddr", "udp dport . ip saddr"),
}
_SECONDS_REMEMBERED = 120


def rules(kind: NatKind, address: str, lan: str, loss: float = 0.0, hairpin: bool = False) -> str:
    """The rules of a router whose interfaces are called ``lan`` and ``wan``.

    Args:
        kind: how it translates addresses.
        address: its own on the outside.
        lan: the first three bytes of the addresses inside.
        loss: share of packets dropped in each direction, in steps of 0.001.
        hairpin: hosts inside may reach each other by ``address``; only for a full cone.
    """
    assert kind in NAT_KINDS, kind
    assert kind == "full cone" or not hairpin, "an address inside is not in the list of a restricted router"
    table, remember, enter, leave, forward = "", "", "", "", ""
    if kind in _REMEMBERED:
        key, leaving, entering = _REMEMBERED[kind]
        table = f"map inside {{ type {key} : ipv4_addr; flags dynamic,timeout; timeout {_SECONDS_REMEMBERED}s; }}"
        remember = f'iifname "lan" oifname "wan" update @inside {{ {leaving} : ip saddr }}'
        enter = f'iifname "wan" dnat ip to {entering} map @inside'
        if hairpin:
            enter += f'\niifname "lan" ip daddr {address} dnat ip to {entering} map @inside'
            leave = f'oifname "lan" ip saddr {lan}.0/24 ct status dnat snat ip to {address}'
    if kind != "open":
        random_port = " fully-random" if kind == "symmetric" else ""
        leave += f'\noifname "wan" meta nfproto ipv4 masquerade{random_port}'
    if kind == "udp blocked":
        forward = 'oifname "wan" meta l4proto udp drop'
    if kind == "open":
        forward = "accept"
    per_mille = round(loss * 1000)
    lose = f"numgen random mod 1000 < {per_mille} drop" if per_mille else ""
    mapped_forward, mapped_in, mapped_out = PORT_MAPPING_CHAINS
    return f"""
table inet {TABLE} {{
    {table}
    chain {mapped_forward} {{ }}
    chain {mapped_in} {{ }}
    chain {mapped_out} {{ }}
    chain loss {{
        type filter hook forward priority mangle
        {lose}
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop
        {remember}
        {forward}
        ct state established,related accept
        iifname "lan" oifname "wan" accept
        ct status dnat accept
        jump {mapped_forward}
    }}
    chain input {{
        type filter hook input priority filter; policy drop
        iifname {{ "lan", "lo" }} accept
        ct state established,related accept
        icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
    }}
    chain in {{
        type nat hook prerouting priority dstnat
        jump {mapped_in}
        {enter}
    }}
    chain out {{
        type nat hook postrouting priority srcnat
        jump {mapped_out}
        {leave}
    }}
}}
"""
