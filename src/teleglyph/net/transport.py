"""The two sides of a connection: the transport that carries its bytes, and the session that gives them a meaning."""

from __future__ import annotations

import enum
from typing import Any, Protocol

from teleglyph.wire.acip import Event


class Transport(Protocol):
    """The interface of the transport below a connection (:class:`asyncio.Transport` has it)."""

    def write(self, data: bytes) -> None:
        """Send bytes, and buffer those that the kernel does not accept."""

    def pause_reading(self) -> None:
        """Stop delivering bytes."""

    def resume_reading(self) -> None:
        """Deliver bytes again."""

    def can_write_eof(self) -> bool:
        """Whether one direction can be closed alone; not with TLS."""

    def close(self) -> None:
        """Close after sending buffered bytes."""

    def write_eof(self) -> None:
        """Close our side of the connection."""

    def abort(self) -> None:
        """Close at once and drop buffered bytes."""

    def get_extra_info(self, name: str) -> Any:
        """A detail of the transport, such as its "socket"; None if it has none."""


class ByteSession(Protocol):
    """The interface of the protocol object that a connection drives: bytes in, events out, bytes to send."""

    @property
    def state(self) -> enum.Enum:
        """The state of the protocol, for logs."""

    def receive_data(self, data: bytes) -> None:
        """Feed bytes from the transport."""

    def data_to_send(self) -> bytes:
        """Bytes that the protocol itself has to send; each is returned once."""

    def next_event(self) -> Event | None:
        """The next event, or None while more bytes are needed; raises PeerError."""

    @property
    def is_finished(self) -> bool:
        """Whether its last bytes were returned, so that nothing more may be sent."""

    def seal(self, packet: bytes) -> bytes:
        """The bytes for the transport that carry a message."""


class Envelope(Protocol):
    """What a session's packets travel in, if that has signs of life and an end of its own; a WebSocket has."""

    def ping(self) -> None:
        """Add a ping to the bytes that the session has to send."""

    def closing_bytes(self, ending: BaseException | None) -> bytes:
        """The last bytes of the connection.

        Args:
            ending: why it is closed; None if there is no reason.
        """
