"""What the handshakes of both roles share: a table of transitions, and what comes out in the end."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from teleglyph.errors import HandshakeError
from teleglyph.wire.acip.messages.base import Message, encode
from teleglyph.wire.acip.messages.handshake import Feature
from teleglyph.wire.acip.packet import Packet
from teleglyph.wire.acip.packet_type import name_of


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """What the two sides agreed on.

    Attributes:
        shared_key: the session key, or None for a session in plaintext.
        identity: the server's proven Ed25519 key, if it has one.
        authenticated: the client proved what it was asked for: the password, its key, or both.
        client_identity: the client's proven Ed25519 key, if the server asked for one.
        first_packet: a packet that already belongs to the session.
        features: what both sides know beyond the protocol.
    """

    shared_key: bytes | None = field(repr=False)
    identity: bytes | None = None
    authenticated: bool = False
    client_identity: bytes | None = None
    first_packet: Packet | None = None
    features: Feature = Feature.NONE


Transitions = Mapping[tuple[enum.Enum, int], tuple[type[Message], Callable[[Any, Any], None]]]
"""(step, packet type) → (message class, unbound method that acts on the message and names the next step)."""


class Handshake(ABC):
    """One side of a handshake, driven by packets; collects what is to be sent in ``outgoing``.

    Anything that the table of the role does not list is an error, whatever it is.
    """

    step: enum.Enum

    def __init__(self) -> None:
        self.outgoing = bytearray()
        self.result: HandshakeResult | None = None
        """Set when the handshake is over."""

    @property
    @abstractmethod
    def transitions(self) -> Transitions:
        """The role's table."""

    def receive(self, packet: Packet) -> None:
        """Take one step.

        Raises:
            PeerError: the packet is not allowed here, is malformed or refuses us; ``outgoing`` may hold an
                answer that should still be sent.
        """
        try:
            kind, act = self.transitions[self.step, packet.type]
        except KeyError:
            raise HandshakeError(f"{name_of(packet.type)} came while {self.step.value}") from None
        act(self, kind.decode_payload(packet.payload))

    def send(self, message: Message) -> None:
        """Add a message to what is to be sent."""
        self.outgoing += encode(message)


class _NoStep(enum.Enum):
    DONE = "there is no handshake"


class NoHandshake(Handshake):
    """The handshake of a session that both sides take up in plaintext at once."""

    def __init__(self) -> None:
        super().__init__()
        self.step = _NoStep.DONE
        self.result = HandshakeResult(None)

    @property
    def transitions(self) -> Transitions:
        return {}
