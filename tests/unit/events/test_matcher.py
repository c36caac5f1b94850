"""The index of subscriptions gives what trying every filter would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.events.matcher import Matcher
from teleglyph.wire.nostr.event import NostrEvent, sign_event
from teleglyph.wire.nostr.filter import Filter, read_filter
from teleglyph.wire.nostr.search_words import words_of

KEYS = [bytes([number]) * 32 for number in (1, 2)]
EVENTS = [
    sign_event(key, at, kind, tags)
    for key in KEYS
    for at in (1, 5)
    for kind in (1, 7)
    for tags in ([], [["t", "a"]], [["t", "b"], ["t", "a"], ["u", "a"]], [["id", "x"], ["t"]])
]


@dataclass(eq=False)
class Sub:
    filters: Sequence[Filter]


filters = st.builds(
    Filter,
    ids=st.none() | st.frozensets(st.sampled_from([event.id for event in EVENTS]), min_size=1, max_size=3),
    authors=st.none() | st.frozensets(st.sampled_from([event.pubkey for event in EVENTS]), min_size=1),
    kinds=st.none() | st.frozensets(st.sampled_from([1, 7, 9]), min_size=1),
    tags=st.sampled_from(
        [{}, {"t": frozenset("a")}, {"t": frozenset("ab"), "u": frozenset("a")}, {"t": frozenset("c")}]
    ),
    since=st.none() | st.integers(0, 6),
    until=st.none() | st.integers(0, 6),
)
subs = st.builds(Sub, st.lists(filters, min_size=1, max_size=3))


@given(st.lists(subs, max_size=8), st.data())
def test_it_finds_the_same_as_trying_every_filter(everybody: list[Sub], data: st.DataObject) -> None:
    matcher: Matcher[Sub] = Matcher()
    for sub in everybody:
        matcher.add(sub)
    gone = data.draw(st.lists(st.sampled_from(everybody), unique_by=id)) if everybody else []
    for sub in gone:
        matcher.remove(sub)
    left = [sub for sub in everybody if sub not in gone]
    assert len(matcher) == len(left)
    for event in EVENTS:
        found = matcher.matching(event)
        assert len(found) == len(set(found)), "each once"
        assert set(found) == {sub for sub in left if any(wanted.matches(event) for wanted in sub.filters)}
    for sub in left:
        matcher.remove(sub)
    assert not matcher._index


def test_the_cost_grows_with_the_matches() -> None:
    matcher: Matcher[Sub] = Matcher()
    for number in range(1000):
        matcher.add(
            Sub([Filter(tags={"t": frozenset([f"room {number}"])}), Filter(authors=frozenset([f"{number:064x}"]))])
        )
    tried = 0
    original = Filter.matches

    def counting(self: Filter, event: NostrEvent) -> bool:
        nonlocal tried
        tried += 1
        return original(self, event)

    Filter.matches = counting  # type: ignore[method-assign]
    try:
        assert len(matcher.matching(sign_event(KEYS[0], 1, 1, [["t", "room 7"]]))) == 1
    finally:
        Filter.matches = original  # type: ignore[method-assign]
    assert tried == 1


def test_a_contents_words_are_found_once_for_all_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    def count(text: str) -> list[str]:
        counted.append(text)
        return words_of(text)

    monkeypatch.setattr("teleglyph.wire.nostr.event.words_of", count)
    event = sign_event(bytes([1]) * 32, 100, 1, [], "one two three")
    searches = [read_filter({"search": word}) for word in ("one", "three two", "four")]
    assert [wanted.matches(event) for wanted in searches] == [True, True, False]
    assert counted == ["one two three"]
