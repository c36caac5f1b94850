"""Connections to a room that only record messages."""

from __future__ import annotations

from teleglyph.wire.rooms.messages import JoinReply, decode_error


class FakeLink:
    """A connection that records a player's messages."""

    def __init__(self, *, is_extended: bool = False) -> None:
        self.is_extended = is_extended
        self.messages: list[bytes] = []
        self.text: str | None = None
        """Why it was closed; None while it is open."""

    def send(self, message: bytes) -> None:
        assert self.text is None, "nothing is sent after the end"
        self.messages.append(message)

    def end(self, text: str) -> None:
        if self.text is None:
            self.text = text

    @property
    def reply(self) -> JoinReply:
        """The first message."""
        return JoinReply.decode(self.messages[0])

    def take(self) -> list[bytes]:
        """The messages since the last call, without the reply to the join request."""
        taken, self.messages = self.messages, self.messages[:1] if decode_error(self.messages[0]) is None else []
        return taken[1:]
