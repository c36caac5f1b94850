"""The address of a table: server, game and room."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableAddress:
    """A table, and our role there.

    Attributes:
        url: of the relay.
        game, room: the table's name.
        is_host: we host the table.
    """

    url: str
    game: str
    room: str
    is_host: bool

    @property
    def role(self) -> str:
        """``host`` or ``guest``."""
        return "host" if self.is_host else "guest"
