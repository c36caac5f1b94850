"""A call that people find by a three-word name: registered at a discovery service, reached through NAT.

Begin at :class:`teleglyph.server.by_name.registration.Registration`; docs/anywhere.md is the guide,
docs/protocol/discovery.md the protocol.
"""
