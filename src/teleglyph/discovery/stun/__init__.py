"""STUN: what the rest of the Internet sees as our address, and what kind of NAT is in between.

Begin at :func:`public_address` and :func:`examine_nat`; :class:`StunResponder` is the other side.
"""

from teleglyph.discovery.stun.client import StunSocket, public_address
from teleglyph.discovery.stun.nat_kind import Behaviour, NatKind, NatReport, examine_nat, nat_kind
from teleglyph.discovery.stun.responder import StunCounters, StunResponder
from teleglyph.discovery.stun.servers import StunServer, parse_stun_server

__all__ = [
    "Behaviour",
    "NatKind",
    "NatReport",
    "StunCounters",
    "StunResponder",
    "StunServer",
    "StunSocket",
    "examine_nat",
    "nat_kind",
    "parse_stun_server",
    "public_address",
]
