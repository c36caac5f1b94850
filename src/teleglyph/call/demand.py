"""The demand for each sender's picture, so that nobody has to send more than is seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from teleglyph.call.shared_pool import Shared
from teleglyph.call.viewer import Viewer

UNSEEN_MILLISECONDS = 3000
"""A picture that nobody sees is sent this often, so that a new viewer sees one at once."""
_SLACK = 1.1
"""Senders send a little more often than viewers see it: their clocks are not ours."""


class Demand(NamedTuple):
    """How one participant's picture is seen.

    Attributes:
        width, height: pixels of the largest tile that shows it; 0 if nobody sees it.
        interval: milliseconds between two pictures that a viewer can distinguish.
    """

    width: int
    height: int
    interval: int


UNSEEN = Demand(0, 0, UNSEEN_MILLISECONDS)
"""The demand for a picture that nobody sees."""


def demands_of(viewers: Iterable[Viewer]) -> dict[int, Demand]:
    """The demand for each participant's picture that any of these viewers sees, by the participant's number."""
    rates: dict[Shared, int] = {}
    for viewer in viewers:
        if viewer.shared is not None:
            rates[viewer.shared] = max(viewer.rate, rates.get(viewer.shared, 1))
    demands: dict[int, Demand] = {}
    for shared, rate in rates.items():
        interval = max(1, int(1000 / (_SLACK * rate)))
        for number, (width, height) in shared.needs.items():
            other = demands.get(number, UNSEEN)
            demands[number] = Demand(max(width, other.width), max(height, other.height), min(interval, other.interval))
    return demands
