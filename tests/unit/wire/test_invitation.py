"""Invitations: what they look like, and which ones let their owner in."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.errors import AuthenticationError, InvitationError
from teleglyph.keys import FileIdentity
from teleglyph.wire.invitation import (
    MAX_INVITATION,
    MIN_INVITATION,
    Invitation,
    as_text,
    check,
    check_room,
    format_time,
)

SERVER, OTHER = FileIdentity(b"s" * 32), FileIdentity(b"o" * 32)
KEYS = (SERVER.public_key,)
NOW = 1_800_000_000


def issue(room: str = "", expires: int = NOW + 60, *, view_only: bool = False) -> Invitation:
    return Invitation.issue(SERVER, room, NOW, expires, lambda size: b"i" * size, view_only=view_only)


def never(_: Invitation) -> bool:
    return False


def admit(text: str, room: str = "", now: float = NOW) -> Invitation:
    return check(text, KEYS, room, now, never)


def test_the_layout_is_that_of_the_documentation() -> None:
    invitation = issue("den", view_only=True)
    head = f"01 01 {NOW:08x} {NOW + 60:08x} {'69' * 8} {SERVER.public_key.hex()} 64656e"
    assert invitation.encode() == bytes.fromhex(head) + invitation.signature
    assert Invitation.decode(invitation.encode()) == invitation
    signed = b"teleglyph invitation\0" + bytes.fromhex(head)
    assert SERVER.sign(signed) == invitation.signature


def test_it_is_short() -> None:
    assert (len(issue().text), len(issue("r" * 32).text)) == (152, 195)
    assert (len(issue().encode()), len(issue("r" * 32).encode())) == (MIN_INVITATION, MAX_INVITATION)


@pytest.mark.parametrize(
    ("room", "asked"),
    [("", ""), ("", "lobby"), ("lobby", ""), ("den", "den"), ("den", "DEN"), ("open.day", "open.day")],
)
def test_it_opens_its_room(room: str, asked: str) -> None:
    found = admit(issue(room).text, asked)
    assert (found.room, found.view_only) == ("" if room == "lobby" else room, False)
    assert admit(issue(room, view_only=True).text, asked).view_only


@pytest.mark.parametrize(("room", "asked"), [("", "den"), ("den", ""), ("den", "dens"), ("den", "d\u0435n")])
def test_it_opens_no_other_room(room: str, asked: str) -> None:
    with pytest.raises(InvitationError, match="for another room: " + ("'den'" if room else "the lobby")):
        admit(issue(room).text, asked)


def test_no_byte_can_be_changed() -> None:
    data = issue("den", view_only=True).encode()
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            with pytest.raises(InvitationError):
                check(as_text(bytes(changed)), KEYS, "den", NOW, never)


def test_it_cannot_be_longer_or_shorter() -> None:
    data = issue("den").encode()
    for wrong in (data[:-1], data + b"\0", data[:58] + data[59:], data[:61] + b"s" + data[61:], b"", data[:1]):
        for room in ("", "den", "dens"):
            with pytest.raises(InvitationError):
                admit(as_text(wrong), room)


def test_each_has_only_one_text() -> None:
    text = issue("d").text
    assert len(text) % 4, "its last character has unused bits"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [text[:-1] + one for one in alphabet if one != text[-1]]
    for wrong in (
        *others,
        text + "=",
        text + "\n",
        " " + text,
        text[:5] + "+" + text[5:],
        text.replace("_", "/") + "!",
    ):
        with pytest.raises(InvitationError):
            admit(wrong, "d")


@given(text=st.text(max_size=300))
def test_any_other_text_is_damaged(text: str) -> None:
    with pytest.raises(InvitationError):
        Invitation.parse(text)


@given(data=st.binary(min_size=MIN_INVITATION - 2, max_size=MAX_INVITATION + 2))
def test_what_is_decoded_has_only_one_encoding(data: bytes) -> None:
    try:
        found = Invitation.decode(b"\x01\0" + data[2:])
    except InvitationError:
        return
    assert found.encode() == b"\x01\0" + data[2:]


@pytest.mark.parametrize("room", ["lobby", "Den", "de n", ".den", "d\u00e4n"])
def test_a_room_in_another_form_is_damaged_even_if_it_is_signed(room: str) -> None:
    unsigned = replace(issue(), room="x" * len(room.encode()))
    part = unsigned.encode().replace(unsigned.room.encode(), room.encode(), 1)
    with pytest.raises(InvitationError, match="damaged"):
        Invitation.decode(part)


def test_a_later_version_is_named() -> None:
    with pytest.raises(InvitationError, match="newer version"):
        Invitation.decode(b"\x02" + issue().encode()[1:])


@pytest.mark.parametrize(("late", "is_right"), [(-1, True), (-0.001, True), (0, False), (0.5, False), (10**9, False)])
def test_it_ends_at_its_time(late: float, is_right: bool) -> None:
    text = issue(expires=NOW + 60).text
    if is_right:
        assert admit(text, now=NOW + 60 + late).expires == NOW + 60
    else:
        with pytest.raises(InvitationError, match="expired on 2027-01-15 at 08:01 UTC"):
            admit(text, now=NOW + 60 + late)


def test_without_a_time_it_never_ends() -> None:
    assert admit(issue(expires=0).text, now=2**40).expires == 0


def test_it_opens_no_other_server() -> None:
    with pytest.raises(InvitationError, match="another server"):
        check(issue().text, [OTHER.public_key], "", NOW, never)
    with pytest.raises(InvitationError, match="another server"):
        check(issue().text, [], "", NOW, never)
    assert check(issue().text, [OTHER.public_key, SERVER.public_key], "", NOW, never) == issue()


def test_nobody_else_can_sign_in_the_servers_name() -> None:
    forged = replace(Invitation.issue(OTHER, "", NOW, 0, bytes), identity=SERVER.public_key)
    with pytest.raises(InvitationError, match="damaged"):
        admit(forged.text)


def test_signatures_for_other_purposes_are_none() -> None:
    unsigned = replace(issue(), signature=b"")
    with pytest.raises(InvitationError, match="damaged"):
        admit(replace(unsigned, signature=SERVER.sign(unsigned.encode())).text)


def test_only_genuine_ones_are_looked_up_in_the_list_of_revoked_ones() -> None:
    asked: list[Invitation] = []

    def revoked(one: Invitation) -> bool:
        asked.append(one)
        return True

    right = issue()
    with pytest.raises(InvitationError, match="revoked"):
        check(right.text, KEYS, "", NOW, revoked)
    for wrong, room, now in ((replace(right, id=b"x" * 8), "", NOW), (right, "den", NOW), (right, "", NOW + 60)):
        with pytest.raises(InvitationError):
            check(wrong.text, KEYS, room, now, revoked)
    assert asked == [right]


def test_errors_and_descriptions_do_not_contain_it() -> None:
    text = issue("den").text
    signature = base64.urlsafe_b64encode(issue("den").signature).decode()[:20]
    for wrong, room in ((text[:-2], "den"), (text, "other"), (text + "x", "den")):
        with pytest.raises(InvitationError) as caught:
            admit(wrong, room)
        assert text[:10] not in str(caught.value)
    assert signature not in repr(issue("den"))
    assert repr(issue("den").signature) not in repr(issue("den"))


def test_the_error_is_one_of_authentication_with_a_code_of_its_own() -> None:
    assert issubclass(InvitationError, AuthenticationError)
    assert InvitationError.exit_code == 65


def test_rooms_can_be_checked_before_anything_is_sent() -> None:
    check_room(issue("den"), "Den")
    with pytest.raises(InvitationError):
        check_room(issue("den"), "")


def test_times_are_for_people_everywhere() -> None:
    assert format_time(NOW) == "2027-01-15 at 08:00 UTC"
