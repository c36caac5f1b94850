"""Who somebody is: identities from files and agents, lists of others' keys, servers that were met before."""

from teleglyph.keys.agent import AgentIdentity, agent_keys
from teleglyph.keys.fingerprint import ascii_chat_fingerprint, fingerprint, randomart
from teleglyph.keys.known_hosts import KnownHosts
from teleglyph.keys.private import FileIdentity, load_identity, write_identity
from teleglyph.keys.public import KeyList, format_public_key, parse_public_keys

__all__ = [
    "AgentIdentity",
    "FileIdentity",
    "KeyList",
    "KnownHosts",
    "agent_keys",
    "ascii_chat_fingerprint",
    "fingerprint",
    "format_public_key",
    "load_identity",
    "parse_public_keys",
    "randomart",
    "write_identity",
]
