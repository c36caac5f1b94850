"""The three wire protocols: bytes ⇄ messages.  No sockets, no clock, no event loop.

The formats are described in docs/protocol/.
"""
