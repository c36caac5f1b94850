"""The server's side of the page's handshake, without a WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from teleglyph.errors import AuthenticationError, CallRoomError, HandshakeError, PeerError, RateLimitError
from teleglyph.wire.acip import (
    ALL_CODECS,
    AuthFailed,
    AuthFailure,
    Capabilities,
    ErrorMessage,
    Feature,
    HandshakeDone,
    Message,
    PacketDecoder,
    PageFlag,
    PageHello,
    PageWelcome,
    Ping,
    encode,
)
from teleglyph.wire.invitation import InvitationCheck, Invited
from teleglyph.wire.page import PageServerSession, PasswordDigest


@dataclass
class Admitted:
    view_only: bool


FEATURES = Feature.SCREEN_UPDATES | Feature.DEFLATE | Feature.ROSTER
KINDS = {int(kind.type): kind for kind in (AuthFailed, ErrorMessage, PageWelcome)}


@dataclass(frozen=True)
class Room:
    name: str = "tea"
    group: str = "room-call-tea"
    password: PasswordDigest | None = None
    admits: Callable[[bytes], bool] | None = None


LOCKED = Room(password=PasswordDigest("correct horse"))
FOR_KEYS = Room(admits=lambda _: True)
FOR_KEYS_AND_PASSWORD = Room(password=PasswordDigest("correct horse"), admits=lambda _: True)


class Guard:
    """Refuses the third guess."""

    def __init__(self) -> None:
        self.wrong = 0

    def challenged(self) -> None:
        raise AssertionError("a page is not asked: it has the password already")

    def begin(self, identity: bytes | None) -> float:
        assert identity is None
        return 7.2 if self.wrong >= 2 else 0.0

    def end(self, identity: bytes | None, was_right: bool) -> float:
        self.wrong = 0 if was_right else self.wrong + 1
        return 7.2 if self.wrong >= 2 else 0.0


def session_of(room: Room, guard: Guard | None = None, admit: InvitationCheck | None = None) -> PageServerSession:
    return PageServerSession(lambda _: room, features=FEATURES, guard=guard, admit=admit)


def answers(session: PageServerSession) -> list[Message]:
    decoder = PacketDecoder()
    decoder.feed(session.data_to_send())
    return [KINDS[packet.type].decode_payload(packet.payload) for packet in iter(decoder.next_packet, None)]


def admitted(session: PageServerSession, hello: PageHello) -> tuple[HandshakeDone, Message]:
    session.receive_data(encode(hello))
    done = session.next_event()
    assert isinstance(done, HandshakeDone)
    (welcome,) = answers(session)
    return done, welcome


def refused(session: PageServerSession, hello: Message) -> tuple[PeerError, list[Message]]:
    session.receive_data(encode(hello))
    with pytest.raises(PeerError) as error:
        session.next_event()
    return error.value, answers(session)


def test_a_page_joins_an_open_room() -> None:
    asked: list[str] = []

    def find(name: str) -> Room:
        asked.append(name)
        return Room()

    session = PageServerSession(find, features=FEATURES)
    done, welcome = admitted(session, PageHello(0xFF, "Tea"))
    assert asked == ["Tea"]
    assert done == HandshakeDone(False, features=FEATURES, room="tea")
    assert welcome == PageWelcome(FEATURES, ALL_CODECS, 0, "tea", "room-call-tea")


def test_features_are_those_of_both_sides() -> None:
    done, welcome = admitted(session_of(Room()), PageHello(Feature.SCREEN_UPDATES | Feature.CODED_PICTURES | 0x8000))
    assert done.features == Feature.SCREEN_UPDATES
    assert isinstance(welcome, PageWelcome)
    assert welcome.features == Feature.SCREEN_UPDATES


def test_packets_after_the_handshake_are_in_plaintext_and_in_order() -> None:
    session = session_of(Room())
    session.receive_data(encode(PageHello(0)) + encode(Capabilities(width=80, height=24)) + encode(Ping()))
    kinds = [type(event) for event in iter(session.next_event, None)]
    assert kinds == [HandshakeDone, Capabilities, Ping]
    assert session.seal(encode(Ping())) == encode(Ping())


def test_nothing_but_a_hello_may_begin() -> None:
    error, sent = refused(session_of(Room()), Ping())
    assert isinstance(error, HandshakeError)
    assert sent == []
    late = session_of(Room())
    admitted(late, PageHello(0))
    assert isinstance(refused(late, PageHello(0))[0], HandshakeError)


def test_a_version_that_does_not_exist_is_refused() -> None:
    error, sent = refused(session_of(Room()), PageHello(0, version=0))
    assert isinstance(error, HandshakeError)
    assert sent == [ErrorMessage(63, str(error))]
    admitted(session_of(Room()), PageHello(0, version=2))


def test_a_room_that_does_not_exist_is_refused_with_a_sentence() -> None:
    def find(name: str) -> Room:
        raise CallRoomError(f"There is no room '{name}'.")

    error, sent = refused(PageServerSession(find), PageHello(0, "x"))
    assert isinstance(error, CallRoomError)
    assert sent == [ErrorMessage(CallRoomError.exit_code, "There is no room 'x'.")]


def test_the_password_admits() -> None:
    done, _ = admitted(session_of(LOCKED, Guard()), PageHello(0, password="correct horse"))
    assert done.authenticated


def test_a_password_that_nobody_needs_does_not_matter() -> None:
    done, _ = admitted(session_of(Room(), Guard()), PageHello(0, password="anything"))
    assert not done.authenticated


@pytest.mark.parametrize(
    ("room", "password", "reason"),
    [
        (LOCKED, "", AuthFailure.PASSWORD_REQUIRED),
        (LOCKED, "correct horsE", AuthFailure.PASSWORD_INCORRECT),
        (LOCKED, "correct horse ", AuthFailure.PASSWORD_INCORRECT),
        (FOR_KEYS, "", AuthFailure.CLIENT_KEY_REQUIRED),
        (FOR_KEYS_AND_PASSWORD, "correct horse", AuthFailure.CLIENT_KEY_REQUIRED),
    ],
)
def test_a_page_that_lacks_a_proof_is_refused_with_the_reason(room: Room, password: str, reason: AuthFailure) -> None:
    error, sent = refused(session_of(room, Guard()), PageHello(0, password=password))
    assert isinstance(error, AuthenticationError)
    assert error.reasons == reason
    assert sent == [AuthFailed(reason)]


def test_a_missing_password_is_no_guess() -> None:
    guard = Guard()
    for _ in range(5):
        refused(session_of(LOCKED, guard), PageHello(0))
    assert guard.wrong == 0


def test_too_many_wrong_passwords_are_not_checked() -> None:
    guard = Guard()
    assert refused(session_of(LOCKED, guard), PageHello(0, password="a"))[1] == [
        AuthFailed(AuthFailure.PASSWORD_INCORRECT)
    ]
    pause = "Too many wrong passwords from your address. Try again in 8 s."
    assert refused(session_of(LOCKED, guard), PageHello(0, password="b"))[1] == [
        AuthFailed(AuthFailure.PASSWORD_INCORRECT),
        ErrorMessage(AuthenticationError.exit_code, pause),
    ]
    assert refused(session_of(LOCKED, guard), PageHello(0, password="correct horse"))[1] == [
        AuthFailed(AuthFailure(0)),
        ErrorMessage(RateLimitError.exit_code, pause),
    ]


@pytest.mark.parametrize("view_only", [False, True])
@pytest.mark.parametrize("room", [Room(), LOCKED, FOR_KEYS_AND_PASSWORD], ids=["open", "password", "keys"])
def test_an_invitation_replaces_password_and_key(room: Room, view_only: bool) -> None:
    seen: list[tuple[str, str]] = []

    def admit(invitation: str, name: str) -> Invited:
        seen.append((invitation, name))
        return Admitted(view_only)

    done, welcome = admitted(session_of(room, admit=admit), PageHello(0, "TEA", invitation="token"))
    assert seen == [("token", "tea")]
    assert done.view_only is view_only
    assert done.authenticated
    assert isinstance(welcome, PageWelcome)
    assert welcome.flags == (PageFlag.VIEW_ONLY if view_only else 0)


def test_an_invitation_that_is_not_valid_is_refused_even_with_the_password() -> None:
    def admit(invitation: str, name: str) -> Invited:
        raise AuthenticationError("This invitation has expired.")

    hello = PageHello(0, password="correct horse", invitation="old")
    assert refused(session_of(LOCKED, admit=admit), hello)[1] == [
        ErrorMessage(AuthenticationError.exit_code, "This invitation has expired.")
    ]


def test_a_server_without_invitations_says_so() -> None:
    _, sent = refused(session_of(Room()), PageHello(0, invitation="token"))
    assert sent == [
        ErrorMessage(
            AuthenticationError.exit_code,
            "This server takes no invitations. Open the room's address without one.",
        )
    ]


def test_a_digest_matches_its_password_only_and_differs_between_processes() -> None:
    keys = iter((b"a" * 32, b"b" * 32))
    one, other = (PasswordDigest("Grüße", lambda _: next(keys)) for _ in range(2))
    assert one.matches("Grüße")
    assert not one.matches("Grüsse")
    assert one._digest != other._digest
    assert "Grüße" not in repr(vars(one))
