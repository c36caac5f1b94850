"""Announcements of calls: when they are published, and their content."""

from __future__ import annotations

import pytest

from teleglyph.events.announcement import Activity, Announcer


def summary(activity: Activity | None) -> tuple[str, int, int, int | None] | None:
    if activity is None:
        return None
    return activity.status, activity.participants, activity.starts, activity.ends


def test_changes_are_announced_and_live_calls_renewed_before_they_expire() -> None:
    announcer = Announcer("lobby", "a.example")
    assert summary(announcer.due(0, 100)) == ("planned", 0, 100, None)
    assert announcer.due(0, 99_999) is None
    assert summary(announcer.due(2, 100_000)) == ("live", 2, 100_000, None)
    assert announcer.due(2, 100_005) is None
    assert summary(announcer.due(3, 100_010)) == ("live", 3, 100_000, None), "it is the same call"
    assert summary(announcer.due(3, 101_300)) == ("live", 3, 100_000, None)


def test_an_emptied_call_has_ended_and_the_next_one_is_new() -> None:
    announcer = Announcer("lobby", "a.example")
    announcer.due(1, 100)
    assert summary(announcer.due(0, 160.7)) == ("ended", 0, 100, 160)
    assert announcer.due(0, 99_999) is None, "an end needs no renewal"
    assert summary(announcer.due(1, 100_000)) == ("live", 1, 100_000, None)


@pytest.mark.parametrize("participants", [0, 3])
def test_a_server_that_stops_ends_its_announcements_and_makes_no_more(participants: int) -> None:
    announcer = Announcer("lobby", "a.example")
    announcer.due(participants, 100)
    assert summary(announcer.end(200)) == ("ended", 0, 100, 200)
    assert announcer.due(participants, 201) is None
    assert announcer.due(5, 99_999) is None
    assert announcer.end(300) is None


def test_only_a_live_announcement_is_ended() -> None:
    assert Announcer("lobby", "a.example").end(100) is None
    announcer = Announcer("lobby", "a.example")
    announcer.due(1, 100)
    announcer.due(0, 200)
    assert announcer.end(300) is None


def test_an_announcement_has_address_and_status() -> None:
    tags = Activity("lobby", "a.example:99", 2, 7).tags("ab" * 32)
    assert ["d", "lobby"] in tags
    assert ["status", "live"] in tags
    assert ["starts", "7"] in tags
    assert ["streaming", "acip://a.example:99"] in tags
    assert ["current_participants", "2"] in tags
    assert "ends" not in {tag[0] for tag in tags}
    assert ["status", "planned"] in Activity("lobby", "a", 0, 7).tags("ab" * 32)
    ended = Activity("lobby", "a", 0, 7, 9).tags("ab" * 32)
    assert ["status", "ended"] in ended
    assert ["ends", "9"] in ended
