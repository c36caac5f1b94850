"""Nostr profiles."""

import json

import pytest

from teleglyph.client.chat.profile import parse_profile, profile_name, renamed


@pytest.mark.parametrize("content", ["", "[]", "7", "{", "[" * 100_000])
def test_invalid_profiles_are_empty(content: str) -> None:
    assert parse_profile(content) == {}


@pytest.mark.parametrize(("profile", "name"), [({}, ""), ({"name": 7}, ""), ({"name": "Ann"}, "Ann")])
def test_only_a_text_is_a_name(profile: dict[str, object], name: str) -> None:
    assert profile_name(profile) == name


def test_renaming_keeps_the_other_members() -> None:
    assert json.loads(renamed({"name": "Ann", "about": "me"}, "Änn")) == {"name": "Änn", "about": "me"}
