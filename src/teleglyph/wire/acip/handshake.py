"""The common part of both handshakes: a table of transitions, and the result."""

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
    """The result of a handshake.

    Attributes:
        shared_key: the session key; None for a session in plaintext.
        identity: the server's proven Ed25519 key, if it has one.
        authenticated: the client proved the password, its key, or both.
        client_identity: the client's proven Ed25519 key, if the server asked for one.
        first_packet: a packet that already belongs to the session.
        features: the extensions that both sides support.
        room: the call room that the client joins; empty for the lobby.
        is_link: the session runs inside link 2, which encrypts it (docs/protocol/link2.md).
        view_only: the client joins with an invitation that lets it watch and listen, not send.
    """

    shared_key: bytes | None = field(repr=False)
    identity: bytes | None = None
    authenticated: bool = False
    client_identity: bytes | None = None
    first_packet: Packet | None = None
    features: Feature = Feature.NONE
    room: str = ""
    is_link: bool = False
    view_only: bool = False


Transitions = Mapping[tuple[enum.Enum, int], tuple[type[Message], Callable[[Any, Any], None]]]
"""(step, packet type) → (message class, unbound method that handles the message and sets the next step)."""


class Handshake(ABC):
    """One side of a handshake.  It receives packets and appends the answers to ``outgoing``.

    A packet that is not in the table of the role is an error.
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
        """Handle one packet.

        Raises:
            PeerError: the packet is not allowed here, is malformed or refuses us.  Send ``outgoing`` all the same: it
                may hold an answer.
        """
        try:
            kind, act = self.transitions[self.step, packet.type]
        except KeyError:
            raise HandshakeError(f"{name_of(packet.type)} came while {self.step.value}.") from None
        act(self, kind.decode_payload(packet.payload))

    def send(self, message: Message) -> None:
        """Append a message to ``outgoing``."""
        self.outgoing += encode(message)


class _NoStep(enum.Enum):
    DONE = "there is no handshake"


class NoHandshake(Handshake):
    """No handshake: the session is in plaintext from its first packet."""

    def __init__(self) -> None:
        super().__init__()
        self.step = _NoStep.DONE
        self.result = HandshakeResult(None)

    @property
    def transitions(self) -> Transitions:
        return {}
