"""Why the service refuses a request, with the numbers that its packets have for it."""

from __future__ import annotations

import enum


class Reason(enum.Enum):
    """A reason: its code in SESSION_JOINED and STRING_RESERVED, and in ERROR_MESSAGE (docs/protocol/discovery.md)."""

    NOT_FOUND = (1, 44)
    FULL = (2, 48)
    PASSWORD = (3, 62)
    SIGNATURE = (4, 64)
    RATE = (5, 46)
    TAKEN = (6, 85)
    NAME = (7, 86)
    PARAMETER = (255, 86)
    STATE = (255, 85)
    AWAY = (255, 44)
    STORE = (255, 4)

    @property
    def code(self) -> int:
        """Inside the service's own packets."""
        return self.value[0]

    @property
    def number(self) -> int:
        """In ERROR_MESSAGE."""
        return self.value[1]


class RefusedError(Exception):
    """A request is refused; the connection stays open.

    Attributes:
        reason: why.
        text: for the peer's user.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
