"""The wire protocols: bytes ⇄ messages.  No sockets, no clock, no event loop.

The formats are described in docs/protocol/.  ``proxy_protocol`` reads what a proxy writes in front of them;
``stun`` and ``port_mapping`` ask how a NAT can be passed.
"""
