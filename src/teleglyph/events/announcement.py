"""Calls announced as live activities (NIP-53): a page of the relay says that there is one, and how many take part."""

from __future__ import annotations

from dataclasses import dataclass

KIND = 30311
_REFRESH = 1200.0
"""A live entry that is not renewed for an hour may be taken as ended."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What is to be announced.

    Attributes:
        room: the call's name, and the group's in which its people write.
        address: where it can be joined.
        participants: how many are there.
    """

    room: str
    address: str
    participants: int

    @property
    def is_live(self) -> bool:
        """Somebody is there."""
        return self.participants > 0

    def tags(self, own_key: str, starts: int) -> list[list[str]]:
        """The tags of the event.

        Args:
            own_key: the relay's public key.
            starts: Unix seconds.
        """
        return [
            ["d", self.room],
            ["title", self.room.capitalize()],
            ["streaming", f"acip://{self.address}"],
            ["status", "live" if self.is_live else "planned"],
            ["starts", str(starts)],
            ["current_participants", str(self.participants)],
            ["p", own_key, "", "Host"],
            ["h", self.room],
        ]


class Announcer:
    """Decides when an activity has to be announced again; no clock: the time is handed in."""

    def __init__(self) -> None:
        self._last: Activity | None = None
        self._at = 0.0
        self._starts = 0

    def due(self, activity: Activity, now: float) -> int | None:
        """When the activity began or will, Unix seconds, if it has to be announced now; else None.

        Args:
            now: Unix seconds.
        """
        was_live = self._last is not None and self._last.is_live
        if activity.is_live and not was_live:
            self._starts = int(now)
        is_news = activity != self._last or (activity.is_live and now - self._at > _REFRESH)
        if not is_news:
            return None
        self._last, self._at = activity, now
        return self._starts or int(now)
