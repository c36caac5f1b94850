"""Names of call rooms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.events.room_groups import ROOM_PREFIX, call_group, room_group
from teleglyph.room_name import LOBBY, MAX_ROOM_NAME, parse_room_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", LOBBY),
        ("LOBBY", LOBBY),
        ("team", "team"),
        ("Team-2", "team-2"),
        ("_a.b_", "_a.b_"),
        ("7", "7"),
        ("x" * 32, "x" * 32),
    ],
)
def test_names_are_stored_in_lower_case(text: str, name: str) -> None:
    assert parse_room_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "x" * 33,
        ".hidden",
        "-v",
        "..",
        "a b",
        "a/b",
        "a\n",
        "a\0",
        "größe",
        "\u0442eam",
        "\u212a",
        "\u0661",
        "%2e",
        "😀",
    ],
    ids=ascii,
)
def test_other_texts_are_refused_with_the_rule(text: str) -> None:
    with pytest.raises(ValueError, match="1 to 32 letters from a to z"):
        parse_room_name(text)


@given(st.text(max_size=40) | st.from_regex(r"[A-Za-z0-9_.-]{1,34}", fullmatch=True))
def test_whatever_is_accepted_is_short_plain_and_accepted_again(text: str) -> None:
    try:
        name = parse_room_name(text)
    except ValueError:
        return
    assert parse_room_name(name) == name == parse_room_name(text.swapcase())
    assert 1 <= len(name) <= MAX_ROOM_NAME
    assert name[0] not in ".-"
    assert name == name.lower()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")


@given(st.text(max_size=8), st.text(max_size=8), st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,8}", fullmatch=True))
def test_a_call_room_has_no_relay_rooms_group(game: str, room: str, call: str) -> None:
    own = call_group(parse_room_name(call))
    assert own == LOBBY or own.startswith(ROOM_PREFIX)
    assert own not in {room_group(game, room), room_group("call", call), room_group("call", room)}
