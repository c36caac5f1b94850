"""Links as addresses of the client."""

from __future__ import annotations

import pytest

from teleglyph.client.address import Address, WebSocketAddress, parse_address, parse_call_address
from teleglyph.client.link import parse_call, token_in
from teleglyph.errors import InvitationError, TeleglyphError, UserError
from teleglyph.keys import FileIdentity
from teleglyph.wire.invitation import Invitation

SERVER = FileIdentity(b"s" * 32)
LOBBY, DEN = (Invitation.issue(SERVER, room, 1, 0, bytes) for room in ("", "den"))


@pytest.mark.parametrize(
    ("text", "address", "invitation"),
    [
        (f"https://example.org:27224/#i={LOBBY.text}", Address("example.org", 27224), LOBBY),
        (f"https://example.org/den#i={DEN.text}", Address("example.org", 443, "den"), DEN),
        (f"http://example.org/den/#i={DEN.text}", Address("example.org", 80, "den"), DEN),
        (f"HTTP://[fd00::7]:4000/Den#i={DEN.text}", Address("fd00::7", 4000, "den"), DEN),
        (f"https://example.org:27224#i={DEN.text}", Address("example.org", 27224, "den"), DEN),
        (f"https://example.org:27224/#x=1&i={DEN.text}", Address("example.org", 27224, "den"), DEN),
        (f"example.org/den#i={DEN.text}", Address("example.org", 27224, "den"), DEN),
        (f"  https://example.org:1/#i={LOBBY.text}\n", Address("example.org", 1), LOBBY),
        ("https://example.org", Address("example.org", 443), None),
        ("http://192.0.2.7:27224/den", Address("192.0.2.7", 27224, "den"), None),
        ("https://example.org:4000/#", Address("example.org", 4000), None),
        ("example.org/den", Address("example.org", 27224, "den"), None),
        ("ws://example.org", WebSocketAddress(False, "example.org", 80, "/call"), None),
        (None, Address("localhost", 27224), None),
    ],
)
def test_addresses(text: str | None, address: Address, invitation: Invitation | None) -> None:
    assert parse_call(text) == (address, invitation)


def test_options_complete_a_link_and_must_not_contradict_it() -> None:
    link = f"https://example.org/den#i={DEN.text}"
    assert parse_call(link, 4000, "DEN") == (Address("example.org", 4000, "den"), DEN)
    assert parse_call(f"https://example.org/#i={DEN.text}", None, "den")[0].room == "den"
    with pytest.raises(UserError, match="different rooms"):
        parse_call(link, None, "other")
    with pytest.raises(UserError, match="different ports"):
        parse_call(f"https://example.org:1/#i={LOBBY.text}", 2)
    for room in ("lobby", "other"):
        with pytest.raises(InvitationError, match="another room"):
            parse_call(f"https://example.org/#i={DEN.text}", None, room)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"https://example.org/other#i={DEN.text}", "another room: 'den'"),
        (f"https://example.org/den#i={DEN.text[:-1]}", "damaged"),
        (f"https://example.org/den#i={DEN.text[:-4]}", "damaged"),
        (f"https://example.org/den#i={DEN.text[:-4]}AAAA", "damaged"),
        (f"https://example.org/den#{DEN.text}", "no invitation"),
        ("https://example.org/den#i=", "damaged"),
        (f"wss://example.org/call#i={LOBBY.text}", "over a WebSocket"),
        (f"https://example.org:0/#i={LOBBY.text}", "invalid port"),
        (f"https://example.org/de n#i={LOBBY.text}", "not a room"),
        (f"https:///den#i={DEN.text}", "no host"),
        (f"https://example.org/den?x#i={DEN.text}", r"remove the \?"),
        (f"ftp://example.org/#i={LOBBY.text}", "not supported"),
        (f"ex ample/#i={LOBBY.text}", "not an address"),
    ],
)
def test_errors_say_what_is_wrong_without_the_token(text: str, words: str) -> None:
    with pytest.raises(TeleglyphError, match=words) as caught:
        parse_call(text)
    for invitation in (LOBBY, DEN):
        assert invitation.text[:20] not in str(caught.value)


@pytest.mark.parametrize("start", ["https://example.org/den", "example.org", "ws://example.org/call", "", "no host"])
def test_commands_without_invitations_do_not_print_them(start: str) -> None:
    for parse in (parse_address, parse_call_address):
        with pytest.raises(UserError) as caught:
            parse(f"{start}#i={DEN.text}")
        assert DEN.text[:4] not in str(caught.value)


def test_a_token_is_found_in_a_link_and_alone() -> None:
    assert token_in(f"https://example.org/den#i={DEN.text}") == token_in(f" {DEN.text}\n") == DEN.text
    with pytest.raises(InvitationError, match="Copy all of it"):
        token_in("https://example.org/den")
