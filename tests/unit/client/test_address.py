"""Addresses as people write them."""

import pytest

from teleglyph.client.address import Address, parse_address, websocket_url
from teleglyph.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ("localhost", 27224)),
        ("example.org", ("example.org", 27224)),
        ("example.org:1234", ("example.org", 1234)),
        (":1234", ("localhost", 1234)),
        ("192.0.2.7", ("192.0.2.7", 27224)),
        ("192.0.2.7:80", ("192.0.2.7", 80)),
        ("::1", ("::1", 27224)),
        ("2001:db8::5", ("2001:db8::5", 27224)),
        ("[::1]", ("::1", 27224)),
        ("[::1]:9", ("::1", 9)),
        ("tcp://example.org:1234", ("example.org", 1234)),
        ("TCP://example.org/", ("example.org", 27224)),
        ("example.org/", ("example.org", 27224)),
        ("example.org/lobby", ("example.org", 27224)),
        (" example.org ", ("example.org", 27224)),
    ],
)
def test_every_form_of_an_address_is_read(text: str | None, expected: tuple[str, int]) -> None:
    assert parse_address(text) == Address(*expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.org/Team", Address("example.org", 27224, "team")),
        ("example.org:1234/team", Address("example.org", 1234, "team")),
        ("[::1]:9/a.b", Address("::1", 9, "a.b")),
        ("::1/team", Address("::1", 27224, "team")),
        ("tcp://example.org/team/", Address("example.org", 27224, "team")),
        ("/team", Address("localhost", 27224, "team")),
    ],
)
def test_a_call_room_follows_any_address(text: str, expected: Address) -> None:
    assert parse_address(text) == expected == parse_address(expected.as_typed)
    assert "team" not in str(expected), "the server is the same for all rooms"


def test_a_room_option_fills_in_but_does_not_contradict() -> None:
    assert parse_address(None, None, "Team") == Address("localhost", 27224, "team")
    assert parse_address("host", 5, "team") == parse_address("host:5/TEAM", None, "team") == Address("host", 5, "team")
    assert parse_address("host", None, "lobby") == Address("host", 27224)
    for text in ("host/other", "host/lobby"):
        with pytest.raises(UserError, match=f"'{text}' and --room team name different rooms"):
            parse_address(text, None, "team")


@pytest.mark.parametrize("path", ["/", "/rooms"])
def test_the_address_of_a_relay_has_no_call_room(path: str) -> None:
    with pytest.raises(UserError, match=r"'example\.org/team' names a call room"):
        websocket_url("example.org/Team", path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("host:0", "from 1 to 65535"),
        ("host:65536", "from 1 to 65535"),
        ("host:", "from 1 to 65535"),
        ("host:٣", "from 1 to 65535"),
        ("host:12345678901234567890", "from 1 to 65535"),
        ("::1:27224:zz", r"\[ADDRESS\]:PORT"),
        ("[::1", r"\[ADDRESS\]:PORT"),
        ("[example.org]:1", r"\[ADDRESS\]:PORT"),
        ("[::1]x", r"\[ADDRESS\]:PORT"),
        ("ws://example.org", "cannot be used here"),
        ("two words", "is not an address"),
        ("user@host", "is not an address"),
        ("host/two words", "'two words' is not a room. Names of rooms have"),
        ("host/a/b", "'a/b' is not a room"),
        ("host/.ssh", "'.ssh' is not a room"),
        ("host:x/team", "from 1 to 65535"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("http://example.org", "http:// is not supported"),
        ("a..b", "is not an address"),
        ("x" * 64 + ".org", "is not an address"),
        ("host\x1b[31m", "is not an address"),
    ],
)
def test_invalid_addresses_are_refused_with_advice(text: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        parse_address(text)


def test_a_port_option_fills_in_but_does_not_contradict() -> None:
    assert parse_address("host", 5) == Address("host", 5)
    assert parse_address("host:5", 5) == Address("host", 5)
    with pytest.raises(UserError, match="different ports"):
        parse_address("host:6", 5)


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    assert str(Address("::1", 9)) == "[::1]:9"
    assert str(Address("host", 9)) == "host:9"


@pytest.mark.parametrize(
    "text",
    [
        "example.org:abc",
        ":70000",
        "http://example.org",
        "[::1",
        "",
        "  ",
        "two words",
        "a..b",
        "host:",
        "::1:x",
        "tcp://a b",
    ],
)
def test_a_typo_gets_the_same_words_from_calls_chat_and_games(text: str) -> None:
    complaints = set()
    for path in (None, "/", "/rooms"):
        with pytest.raises(UserError) as caught:
            parse_address(text) if path is None else websocket_url(text, path)
        complaints.add(str(caught.value))
    assert len(complaints) == 1
    assert complaints.pop().endswith(".")
