"""The demand for senders' pictures, derived from what viewers see."""

from types import SimpleNamespace
from typing import Any

from teleglyph.call.demand import UNSEEN_MILLISECONDS, Demand, demands_of


def viewers(*rates: int, **needs: tuple[int, int]) -> list[Any]:
    """Viewers that share participants' pictures, named by ``p`` and their number, in these sizes."""

    class Shared:
        def __init__(self) -> None:
            self.needs = {int(name[1:]): size for name, size in needs.items()}

    shared = Shared()
    return [SimpleNamespace(rate=rate, shared=shared) for rate in rates]


def test_the_largest_size_and_the_quickest_viewer_count() -> None:
    everybody = viewers(30, p1=(80, 45), p2=(40, 30)) + viewers(5, 60, p1=(60, 60))
    assert demands_of(everybody) == {1: Demand(80, 60, 15), 2: Demand(40, 30, 30)}


def test_a_sender_in_no_view_is_unseen() -> None:
    assert demands_of(viewers(1, p1=(10, 10))).get(2) is None
    assert demands_of([]) == {}


def test_even_a_slow_viewer_gets_more_than_nobody() -> None:
    (demand,) = demands_of(viewers(1, p1=(10, 10))).values()
    assert demand.interval < UNSEEN_MILLISECONDS
