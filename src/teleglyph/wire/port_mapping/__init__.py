"""PCP (RFC 6887) and NAT-PMP (RFC 6886): how a program asks its router to forward a port.

Both use UDP port 5351 of the router.  :mod:`pcp` and :mod:`nat_pmp` have the bytes; :mod:`epoch` notices that a router
has restarted and forgotten its mappings.  UPnP, the third way, needs HTTP and XML and comes from a library.
"""

from typing import Final

PORT: Final = 5351
"""The UDP port of a router for both protocols."""
MAX_RESPONSE: Final = 1100
"""Largest response in bytes (RFC 6887, section 7)."""
TCP: Final = 6
"""The number of TCP in the Internet protocol."""
