"""The participant whom a viewer sees alone, and the message that reports them."""

from __future__ import annotations

from teleglyph.call.scene import Scene
from teleglyph.call.shared_screen import ViewPreferences, grid_tiles
from teleglyph.wire.acip import MAX_PLACES, ViewFlag, ViewSettings, ViewState


class Spotlight:
    """Follows one person through the grid of one viewer.

    Viewers choose a place; the person in it stays alone on the screen when others leave and the places change.

    Args:
        viewer: number of the viewer's participant.

    Attributes:
        number: of the participant that is seen alone; 0 for everybody.
    """

    def __init__(self, viewer: int) -> None:
        self.number = 0
        self._viewer = viewer
        self._reported: ViewState | None = None

    def preferences(self, settings: ViewSettings) -> ViewPreferences:
        """The preferences of a viewer with these settings."""
        return ViewPreferences(
            names=ViewFlag.NAMES in settings.flags,
            without=self._viewer if ViewFlag.WITHOUT_SELF in settings.flags else 0,
            mirrored=self._viewer if ViewFlag.MIRRORED_SELF in settings.flags else 0,
            spotlight=self.number,
        )

    def choose(self, settings: ViewSettings, scene: Scene) -> None:
        """Follow the participant in the place that the settings name, or nobody."""
        tiles = grid_tiles(scene, self.preferences(settings))
        self.number = tiles[settings.spotlight - 1].number if 1 <= settings.spotlight <= len(tiles) else 0

    def state(self, settings: ViewSettings, scene: Scene) -> ViewState:
        """The message about the participant's place (0 for everybody), the number of places, and the name."""
        tiles = grid_tiles(scene, self.preferences(settings))[:MAX_PLACES]
        found = ((place, tile.name) for place, tile in enumerate(tiles, 1) if tile.number == self.number)
        place, name = next(found, (0, ""))
        return ViewState(place, len(tiles), name)

    def report(self, state: ViewState) -> bool:
        """Note that a state is about to be sent; False if it was the last one that was sent."""
        if state == self._reported:
            return False
        self._reported = state
        return True

    def forget_report(self) -> None:
        """Have the state sent again even if it has not changed."""
        self._reported = None
