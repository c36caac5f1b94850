"""Announces calls as live activities (NIP-53), with the number of participants."""

from __future__ import annotations

from dataclasses import dataclass

from teleglyph.events.kinds import EventKind

LIVE_ACTIVITY = EventKind.LIVE_ACTIVITY
_REFRESH = 1200.0
"""Seconds.  Clients may treat an entry as ended if it is not renewed for an hour."""


@dataclass(frozen=True, slots=True)
class Activity:
    """One version of an announcement.

    Attributes:
        room: name of the call, and of the group for its chat.
        address: where it can be joined.
        participants: their number.
        starts: when it began or is planned, in Unix seconds.
        ends: when it ended, in Unix seconds; None while it is planned or live.
    """

    room: str
    address: str
    participants: int
    starts: int
    ends: int | None = None

    @property
    def status(self) -> str:
        """The state of the call, in the words of NIP-53."""
        if self.ends is not None:
            return "ended"
        return "live" if self.participants else "planned"

    def tags(self, own_key: str) -> list[list[str]]:
        """The tags of the event.

        Args:
            own_key: the relay's public key.
        """
        return [
            ["d", self.room],
            ["title", self.room.capitalize()],
            ["streaming", f"acip://{self.address}"],
            ["status", self.status],
            ["starts", str(self.starts)],
            *([] if self.ends is None else [["ends", str(self.ends)]]),
            ["current_participants", str(self.participants)],
            ["p", own_key, "", "Host"],
            ["h", self.room],
        ]


class Announcer:
    """Decides when a call has to be announced again; the time is an argument.

    Args:
        room: the call's name.
        address: where it can be joined.
    """

    def __init__(self, room: str, address: str) -> None:
        self._room = room
        self._address = address
        self._last: Activity | None = None
        self._at = 0.0
        self._is_over = False

    def due(self, participants: int, now: float) -> Activity | None:
        """The announcement that is due; None if the last one is still right.

        Args:
            participants: their number.
            now: Unix seconds.
        """
        last = self._last
        if self._is_over:
            return None
        if last is None or (participants and last.status != "live"):
            return self._announce(participants, int(now), None, now)
        if last.status == "live" and not participants:
            return self._announce(0, last.starts, int(now), now)
        is_old = last.status == "live" and now - self._at > _REFRESH
        if participants != last.participants or is_old:
            return self._announce(participants, last.starts, None, now)
        return None

    def end(self, now: float) -> Activity | None:
        """The last announcement, when the server stops; None if none is needed."""
        last, self._is_over = self._last, True
        if last is None or last.ends is not None:
            return None
        return self._announce(0, last.starts, int(now), now)

    def _announce(self, participants: int, starts: int, ends: int | None, now: float) -> Activity:
        self._last = Activity(self._room, self._address, participants, starts, ends)
        self._at = now
        return self._last
