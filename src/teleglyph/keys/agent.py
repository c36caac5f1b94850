"""Signs through ssh-agent, so that a private key never enters this process (draft-ietf-sshm-ssh-agent)."""

from __future__ import annotations

import os
import socket

from teleglyph.errors import KeyFileError
from teleglyph.keys.blob import ED25519, FieldReader, pack_public_key, pack_string, parse_public_key
from teleglyph.wire.acip import fingerprint

_LIST, _LISTED, _SIGN, _SIGNED = 11, 12, 13, 14
_SECONDS = 10.0
"""Timeout; the agent may have to ask its user."""
_MAX_ANSWER = 256 << 10
_SIGNATURE_SIZE = 64


class AgentIdentity:
    """An Ed25519 key that an agent holds.

    Args:
        public_key: its 32 bytes.
        path: the agent's socket.
    """

    def __init__(self, public_key: bytes, path: str) -> None:
        self._public_key = public_key
        self._path = path

    def __repr__(self) -> str:
        return f"<AgentIdentity {fingerprint(self._public_key)}>"

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        return self._public_key

    def sign(self, data: bytes) -> bytes:
        """The 64-byte Ed25519 signature of ``data``; waits for the agent.

        Raises:
            KeyFileError: the agent is gone or refused.
        """
        request = bytes([_SIGN]) + pack_string(pack_public_key(self._public_key)) + pack_string(data) + bytes(4)
        try:
            answer = _ask(self._path, request, _SIGNED)
            signature = FieldReader(answer.string())
            kind, value = signature.string(), signature.string()
        except (OSError, ValueError) as error:
            raise KeyFileError(f"The key agent did not sign: {error}.") from error
        if kind != ED25519 or len(value) != _SIGNATURE_SIZE:
            raise KeyFileError("The key agent did not make an Ed25519 signature.")
        return value


def agent_keys(path: str | None = None) -> list[AgentIdentity]:
    """The Ed25519 keys of the agent at ``path`` (by default ``SSH_AUTH_SOCK``); an empty list without an agent."""
    path = path or os.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        return []
    found = []
    try:
        answer = _ask(path, bytes([_LIST]), _LISTED)
        for _ in range(answer.number()):
            blob, _comment = answer.string(), answer.string()
            try:
                found.append(AgentIdentity(parse_public_key(blob), path))
            except ValueError:
                continue
    except (OSError, ValueError):
        return found
    return found


def _ask(path: str, request: bytes, expected: int) -> FieldReader:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_SECONDS)
        connection.connect(path)
        connection.sendall(pack_string(request))
        size = int.from_bytes(_read(connection, 4), "big")
        if not 1 <= size <= _MAX_ANSWER:
            raise ValueError(f"its answer has {size} bytes")
        answer = _read(connection, size)
    if answer[0] != expected:
        raise ValueError("it refused")
    return FieldReader(answer[1:])


def _read(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise ValueError("it closed the connection")
        data += chunk
    return bytes(data)
