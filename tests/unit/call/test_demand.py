"""What senders are asked for, from what views show to whom."""

from types import SimpleNamespace
from typing import Any

from teleglyph.call.demand import UNSEEN_MILLISECONDS, Demand, demands_of


def view(**needs: tuple[int, int]) -> Any:
    """A view that shows participants, named by ``p`` and their number, in these sizes."""

    class View:
        def __init__(self) -> None:
            self.needs = {int(name[1:]): size for name, size in needs.items()}

    return View()


def viewer(pace: int) -> Any:
    return SimpleNamespace(pace=pace)


def test_the_largest_size_and_the_quickest_viewer_count() -> None:
    views = {
        view(p1=(80, 45), p2=(40, 30)): [viewer(30)],
        view(p1=(60, 60)): [viewer(5), viewer(60)],
    }
    assert demands_of(views) == {1: Demand(80, 60, 15), 2: Demand(40, 30, 30)}


def test_nobody_sees_who_is_in_no_view() -> None:
    assert demands_of({view(p1=(10, 10)): [viewer(1)]}).get(2) is None
    assert demands_of({}) == {}


def test_even_a_slow_viewer_gets_more_than_nobody() -> None:
    (demand,) = demands_of({view(p1=(10, 10)): [viewer(1)]}).values()
    assert demand.interval < UNSEEN_MILLISECONDS
