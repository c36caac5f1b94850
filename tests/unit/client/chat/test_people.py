"""Names and presence in a chat."""

from __future__ import annotations

import pytest

from teleglyph.client.chat.people import MAX_NAMES, MAX_PRESENT, NAME_COLUMNS, People, clean_name
from teleglyph.printable import width

ANN, BOB = "a1" * 32, "b2" * 32


@pytest.mark.parametrize("copy", ["Ann", "ann", "A\u200dnn", "Ａnn", " Ann ", "An\u0301n", "A\u3164nn", "An\u2800n"])
def test_keys_distinguish_people_whose_names_look_the_same(copy: str) -> None:
    people = People()
    people.learn(ANN, "Ann", 1)
    assert people.name(ANN) == "Ann"
    people.learn(BOB, copy, 2)
    assert people.name(ANN).startswith("Ann (")
    assert people.name(ANN).rpartition("(")[2] != people.name(BOB).rpartition("(")[2]
    people.learn(BOB, "Bob", 3)
    assert people.name(ANN) == "Ann"


@pytest.mark.parametrize(
    "name",
    [
        "Ann: hi",
        "Ann：hi",
        "Ann ∶ hi",
        "* Ann left",
        "Ann (12345678)",
        "<Ann>",
        "a\x1b[31m",
        "a\nb",
        "x" * 999,
        "日" * 99,
    ],
)
def test_a_name_has_no_reserved_characters(name: str) -> None:
    clean = clean_name(name)
    assert not set(":()<>[]*#：∶\n\x1b") & set(clean)
    assert width(clean) <= NAME_COLUMNS


@pytest.mark.parametrize("name", ["", "  ", "\u200d", "\u2800", "npub1abc", "ＮPUB1abc", ":::"])
def test_a_person_with_an_invalid_name_is_shown_by_key(name: str) -> None:
    people = People()
    people.learn(ANN, name, 1)
    assert people.name(ANN).startswith("npub1")
    assert not people.has_name(ANN)


def test_an_older_name_does_not_replace_a_newer_one() -> None:
    people = People()
    assert people.learn(ANN, "new", 5)
    assert not people.learn(ANN, "old", 4)
    assert not people.learn(ANN, "new", 6)
    assert people.name(ANN) == "new"


def test_names_and_presence_are_bounded_and_used_names_stay() -> None:
    people = People()
    people.learn(ANN, "Ann", 1)
    for number in range(MAX_NAMES + 100):
        people.learn(f"{number:064x}", "same", 1)
        people.arrived(f"{number:064x}", 100.0, 0.0)
        people.name(ANN)
    assert people.name(ANN) == "Ann"
    assert len(people.here()) == MAX_PRESENT
    assert sum(people.has_name(f"{number:064x}") for number in range(MAX_NAMES + 100)) == MAX_NAMES - 1


def test_presence_begins_once_and_ends_when_it_expires() -> None:
    people = People()
    assert people.arrived(ANN, 10.0, 0.0)
    assert not people.arrived(ANN, 20.0, 5.0)
    assert not people.arrived(BOB, 4.0, 5.0)
    assert people.departed(19.9) == []
    assert people.departed(20.0) == [ANN]
    assert people.arrived(ANN, 40.0, 30.0)
    assert not people.arrived(ANN, 31.0, 31.0), "a farewell"
    assert people.departed(31.0) == [ANN]
