"""The three wire protocols: bytes ⇄ messages.  No sockets, no clock, no event loop.

The formats are described in docs/protocol/.  ``proxy_protocol`` reads what a proxy writes in front of them.
"""
