"""Who is in the call and where on a viewer's screen, for viewers that want to know (docs/protocol/page.md#roster)."""

from __future__ import annotations

from teleglyph.call.scene import Scene, Tile
from teleglyph.call.shared_screen import SharedScreen
from teleglyph.media.layout import Placement
from teleglyph.wire.acip import MAX_PLACES, Roster, RosterEntry, RosterFlag

_MIN_SECONDS = 0.2
"""Shortest time between two rosters."""
_NOWHERE = Placement(0, 0, 0, 0)


class RosterFeed:
    """The rosters of one viewer.

    Args:
        viewer: number of the viewer's participant.
    """

    def __init__(self, viewer: int) -> None:
        self._viewer = viewer
        self._state: object = None
        self._sent: Roster | None = None
        self._next_at = 0.0

    def next(self, scene: Scene, screen: SharedScreen, revision: int, now: float) -> Roster | None:
        """The roster to send now; None if the last one is still right, or was sent just before.

        Args:
            scene: the room's.
            screen: what the viewer sees.
            revision: of the people in the scene.
            now: monotonic seconds.
        """
        state = revision, screen.key, screen.arrangement
        if state == self._state or now < self._next_at:
            return None
        self._state = state
        places = screen.place_numbers(scene)
        roster = Roster(tuple(self._entry(tile, places.get(tile.number, 0), screen) for tile in scene))
        if roster == self._sent:
            return None
        self._sent, self._next_at = roster, now + _MIN_SECONDS
        return roster

    def _entry(self, tile: Tile, place: int, screen: SharedScreen) -> RosterEntry:
        x, y, columns, rows = screen.rectangles.get(tile.number, _NOWHERE)
        return RosterEntry(
            tile.number,
            _flags_of(tile) | (RosterFlag.SELF if tile.number == self._viewer else 0),
            place if place <= MAX_PLACES else 0,
            x,
            y,
            columns,
            rows,
            tile.name,
        )


def _flags_of(tile: Tile) -> int:
    flags = {
        RosterFlag.PICTURE: tile.pixels is not None,
        RosterFlag.SPEAKING: tile.speaking,
        RosterFlag.FROZEN: tile.frozen,
        RosterFlag.LISTENING: tile.listening,
        RosterFlag.VIEW_ONLY: tile.view_only,
    }
    return sum(flag for flag, is_set in flags.items() if is_set)
