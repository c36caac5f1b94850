"""How large and how often a participant's picture is seen by anybody, so that no more of it needs to be sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from teleglyph.call.participant import Participant
    from teleglyph.call.screen_view import ScreenView
    from teleglyph.call.view import View

UNSEEN_MILLISECONDS = 3000
"""A picture that nobody sees comes so often, so that who begins to look sees one at once."""
_SLACK = 1.1
"""Senders are asked for pictures a little more often than they are shown: their clocks are not ours."""


class Demand(NamedTuple):
    """What is seen of one participant's picture.

    Attributes:
        width, height: pixels of the largest place that it is shown in; 0 if nobody sees it.
        interval: milliseconds between two pictures that can be told apart.
    """

    width: int
    height: int
    interval: int


UNSEEN = Demand(0, 0, UNSEEN_MILLISECONDS)
"""Of a picture that nobody sees."""


def demands_of(views: Mapping[View | ScreenView, Collection[Participant]]) -> dict[int, Demand]:
    """The demand for each participant's pictures that are seen, by its number, from all views and their viewers."""
    demands: dict[int, Demand] = {}
    for view, viewers in views.items():
        rate = max((viewer.pace for viewer in viewers), default=1)
        interval = max(1, int(1000 / (_SLACK * rate)))
        for number, (width, height) in view.needs.items():
            other = demands.get(number, UNSEEN)
            demands[number] = Demand(max(width, other.width), max(height, other.height), min(interval, other.interval))
    return demands
