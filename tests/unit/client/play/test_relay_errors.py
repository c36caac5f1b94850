"""The relay's errors in words for players."""

from __future__ import annotations

import pytest

from teleglyph.client.play.relay_errors import explain
from teleglyph.client.play.table_address import TableAddress
from teleglyph.rooms import end_texts, relay, service

TABLE = TableAddress("ws://here:1/rooms", "four", "ta{b}le", is_host=False)


def texts_of_the_relay() -> list[str]:
    named = [
        value
        for module in (relay, end_texts, service)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and " " in value
    ]
    return [
        *named,
        "Room  ta{b}le exceeded max amount of players 2.",
        "Room ta{b}le already exists for game four.",
        "Room ta{b}le does not exist for game four.",
        "Room ta{b}le no longer exists for game four.",
        "Room ta{b}le run out of client ids.",
        "Unknown game four.",
        "Names have at most 128 bytes of printable characters.",
        "Too many rooms, try again later.",
        "The identity was not proved.",
        "The identity was not proved: this server is called a.example; its host adds names with --relay-url.",
        "The server is shutting down",
    ]


def test_the_list_of_texts_is_not_empty() -> None:
    assert len(texts_of_the_relay()) > 25


@pytest.mark.parametrize("text", texts_of_the_relay())
def test_every_text_of_our_relay_becomes_whole_sentences(text: str) -> None:
    words = explain(text, TABLE)
    assert words != text
    assert not words.startswith("The server says")
    assert words[0].isupper() or words[0] == "'"
    assert words[-1] in ".?"
    assert "{room}" not in words
    assert "{game}" not in words


def test_names_cannot_imitate_texts_even_with_line_breaks() -> None:
    assert "already has two players" in explain("Room  a\nb exceeded max amount of players 2.", TABLE)
    assert explain("x Room  a exceeded max amount of players 2.", TABLE).startswith("The server says")


def test_an_unknown_text_is_quoted() -> None:
    assert explain("Ask {me} later", TABLE) == "The server says about table 'ta{b}le': Ask {me} later"
    assert explain(" ", TABLE) == "Table 'ta{b}le' is closed."
