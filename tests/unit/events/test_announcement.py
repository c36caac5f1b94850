"""When a call is announced, and as what."""

from __future__ import annotations

from teleglyph.events.announcement import Activity, Announcer


def test_news_are_announced_and_live_calls_again_before_they_count_as_ended() -> None:
    announcer = Announcer()
    empty, two, three = (Activity("lobby", "a.example", number) for number in (0, 2, 3))
    assert announcer.due(empty, 100) == 100
    assert announcer.due(empty, 99_999) is None
    assert announcer.due(two, 100_000) == 100_000
    assert announcer.due(two, 100_005) is None
    assert announcer.due(three, 100_010) == 100_000, "it is the same call"
    assert announcer.due(three, 101_300) == 100_000
    assert announcer.due(empty, 101_400) == 100_000
    assert announcer.due(two, 200_000) == 200_000


def test_an_announcement_says_where_and_whether() -> None:
    tags = Activity("lobby", "a.example:99", 2).tags("ab" * 32, 7)
    assert ["d", "lobby"] in tags
    assert ["status", "live"] in tags
    assert ["streaming", "acip://a.example:99"] in tags
    assert ["current_participants", "2"] in tags
    assert ["status", "planned"] in Activity("lobby", "a", 0).tags("ab" * 32, 7)
