"""Why the service refuses a request, with the numbers that its packets have for it."""

from __future__ import annotations

import enum


class Reason(enum.Enum):
    """A reason: its name in metrics, its code in SESSION_JOINED and STRING_RESERVED, its number in ERROR_MESSAGE."""

    NOT_FOUND = ("not_found", 1, 44)
    FULL = ("full", 2, 48)
    PASSWORD = ("password", 3, 62)
    SIGNATURE = ("signature", 4, 64)
    RATE = ("rate", 5, 46)
    TAKEN = ("taken", 6, 85)
    NAME = ("name", 7, 86)
    PARAMETER = ("parameter", 255, 86)
    STATE = ("state", 255, 86)
    AWAY = ("away", 255, 44)
    STORE = ("store", 255, 4)

    @property
    def label(self) -> str:
        """In metrics."""
        return self.value[0]

    @property
    def code(self) -> int:
        """Inside the service's own packets."""
        return self.value[1]

    @property
    def number(self) -> int:
        """In ERROR_MESSAGE."""
        return self.value[2]


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
