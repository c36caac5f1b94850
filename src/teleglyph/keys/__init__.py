"""Identities from files and agents, lists of public keys, and known hosts.

Reads and writes key files, and asks agents to sign.  Never imports the network or the event loop.  Begin at
:func:`load_identity` for your own key, and at :class:`KeyList` for those of others.
"""

from teleglyph.keys.agent import AgentIdentity, agent_keys
from teleglyph.keys.creation import check_new_identity, load_or_create_identity, write_identity
from teleglyph.keys.fingerprint import ascii_chat_fingerprint, fingerprint, randomart
from teleglyph.keys.known_hosts import KnownHosts
from teleglyph.keys.private import FileIdentity, default_identity_path, load_identity
from teleglyph.keys.public import KeyList, format_public_key, parse_public_keys

__all__ = [
    "AgentIdentity",
    "FileIdentity",
    "KeyList",
    "KnownHosts",
    "agent_keys",
    "ascii_chat_fingerprint",
    "check_new_identity",
    "default_identity_path",
    "fingerprint",
    "format_public_key",
    "load_identity",
    "load_or_create_identity",
    "parse_public_keys",
    "randomart",
    "write_identity",
]
