"""The handshake of link 2, both sides against each other, without a TLS connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from teleglyph.errors import (
    AuthenticationError,
    HandshakeError,
    PeerError,
    ServerFullError,
    VerificationError,
)
from teleglyph.keys import FileIdentity
from teleglyph.wire.acip import (
    AuthFailure,
    Capabilities,
    Event,
    Feature,
    HandshakeDone,
    PacketType,
    Ping,
    encode,
    encode_packet,
)
from teleglyph.wire.link2 import Channel, LinkClientSession, LinkServerSession

SERVER, OTHER_SERVER, CLIENT, STRANGER = (FileIdentity(bytes([number]) * 32) for number in (1, 2, 3, 4))
PASSWORD, WRONG = b"p" * 32, b"w" * 32
CHANNEL = Channel(b"c" * 32, SERVER.public_key)
PUBLIC_CHANNEL = Channel(b"d" * 32, None)


@dataclass(frozen=True)
class Room:
    password_key: bytes | None = None
    admits: Callable[[bytes], bool] | None = None


def only_client(key: bytes) -> bool:
    return key == CLIENT.public_key


ROOMS = {
    "none": Room(),
    "password": Room(PASSWORD),
    "key": Room(admits=only_client),
    "both": Room(PASSWORD, only_client),
}


class Link:
    """Two sessions whose bytes are passed on, perhaps changed."""

    def __init__(
        self, required: Room, channel: Channel = CHANNEL, seen: Channel | None = None, **options: object
    ) -> None:
        self.checked: list[bytes | None] = []
        self.rooms: list[str] = []
        identities = options.pop("identities", (SERVER,))
        assert isinstance(identities, tuple)

        def find(name: str) -> Room:
            self.rooms.append(name)
            return required

        self.server = LinkServerSession(channel, find, identities=identities, features=Feature.SCREEN_UPDATES)
        client: dict[str, object] = {
            "check_identity": self.checked.append,
            "features": Feature.SCREEN_UPDATES,
            **options,
        }
        self.client = LinkClientSession(seen or channel, **client)  # type: ignore[arg-type]

    def run(self) -> tuple[list[Event | PeerError], list[Event | PeerError]]:
        """Exchange everything; returns what each side reported, errors included."""
        server: list[Event | PeerError] = []
        client: list[Event | PeerError] = []
        for _ in range(6):
            self.server.receive_data(self.client.data_to_send())
            _take(self.server, server)
            self.client.receive_data(self.server.data_to_send())
            _take(self.client, client)
        return server, client


def _take(session: LinkServerSession | LinkClientSession, results: list[Event | PeerError]) -> None:
    if results and isinstance(results[-1], PeerError):
        return
    try:
        while (event := session.next_event()) is not None:
            results.append(event)
    except PeerError as error:
        results.append(error)


@pytest.mark.parametrize("kind", ROOMS)
def test_a_client_with_everything_right_joins(kind: str) -> None:
    room = ROOMS[kind]
    server, client = Link(room, password_key=room.password_key, client_key=CLIENT, room="den").run()
    shown = CLIENT.public_key if room.admits else None
    assert server == [HandshakeDone(True, None, kind != "none", shown, Feature.SCREEN_UPDATES, "den")]
    assert client == [HandshakeDone(True, SERVER.public_key, kind != "none", None, Feature.SCREEN_UPDATES)]


@pytest.mark.parametrize(
    ("kind", "password", "key", "reason"),
    [
        ("password", WRONG, CLIENT, AuthFailure.PASSWORD_INCORRECT),
        ("key", None, STRANGER, AuthFailure.CLIENT_KEY_REJECTED),
        ("both", WRONG, CLIENT, AuthFailure.PASSWORD_INCORRECT),
        ("both", PASSWORD, STRANGER, AuthFailure.CLIENT_KEY_REJECTED),
        ("both", WRONG, STRANGER, AuthFailure.CLIENT_KEY_REJECTED),
    ],
)
def test_a_client_with_something_wrong_is_refused_on_both_ends(
    kind: str, password: bytes | None, key: FileIdentity, reason: AuthFailure
) -> None:
    server, client = Link(ROOMS[kind], password_key=password, client_key=key).run()
    for (error,) in (server, client):
        assert isinstance(error, AuthenticationError)
        assert error.reasons == reason


@pytest.mark.parametrize(
    ("kind", "password", "key", "missing"),
    [
        ("password", None, None, AuthFailure.PASSWORD_REQUIRED),
        ("key", None, None, AuthFailure.CLIENT_KEY_REQUIRED),
        ("both", None, None, AuthFailure.PASSWORD_REQUIRED | AuthFailure.CLIENT_KEY_REQUIRED),
        ("both", PASSWORD, None, AuthFailure.CLIENT_KEY_REQUIRED),
        ("both", None, CLIENT, AuthFailure.PASSWORD_REQUIRED),
    ],
)
def test_a_client_that_lacks_something_says_so_and_sends_no_proof(
    kind: str, password: bytes | None, key: FileIdentity | None, missing: AuthFailure
) -> None:
    link = Link(ROOMS[kind], password_key=password, client_key=key)
    server, (error,) = link.run()
    assert isinstance(error, AuthenticationError)
    assert error.reasons == missing
    assert server == []


def test_a_client_with_a_password_refuses_a_server_that_does_not_ask_for_it() -> None:
    _, (error,) = Link(ROOMS["none"], password_key=PASSWORD).run()
    assert isinstance(error, AuthenticationError)
    assert "does not ask for the password" in str(error)


@pytest.mark.parametrize("kind", ["password", "key", "both"])
def test_proofs_made_for_another_certificate_are_refused(kind: str) -> None:
    """Somebody in between has another certificate, and passes everything on."""
    room = ROOMS[kind]
    seen = replace(CHANNEL, certificate_hash=b"x" * 32)
    server, _ = Link(room, seen=seen, password_key=room.password_key, client_key=CLIENT).run()
    (error,) = server
    assert isinstance(error, AuthenticationError)
    assert error.reasons in (AuthFailure.SIGNATURE_INVALID, AuthFailure.PASSWORD_INCORRECT)


def test_an_identity_that_is_not_the_certificates_key_is_proved_by_a_signature() -> None:
    link = Link(ROOMS["none"], PUBLIC_CHANNEL)
    _, (done,) = link.run()
    assert isinstance(done, HandshakeDone)
    assert done.identity == SERVER.public_key
    assert link.checked == [SERVER.public_key]


def test_a_relayed_signature_of_the_server_is_refused() -> None:
    """The real server signs, but its signature is for its own certificate."""
    link = Link(ROOMS["none"], PUBLIC_CHANNEL, seen=replace(PUBLIC_CHANNEL, certificate_hash=b"x" * 32))
    _, (error,) = link.run()
    assert isinstance(error, VerificationError)
    assert link.checked == []


def test_a_server_with_several_identities_shows_the_expected_one() -> None:
    _, (done,) = Link(ROOMS["none"], identities=(SERVER, OTHER_SERVER), expected=OTHER_SERVER.public_key).run()
    assert isinstance(done, HandshakeDone)
    assert done.identity == OTHER_SERVER.public_key


def test_a_server_without_the_expected_identity_shows_its_own() -> None:
    link = Link(ROOMS["none"], expected=STRANGER.public_key)
    link.run()
    assert link.checked == [SERVER.public_key]


def test_a_server_without_an_identity_shows_none() -> None:
    link = Link(ROOMS["none"], identities=())
    _, (done,) = link.run()
    assert isinstance(done, HandshakeDone)
    assert done.identity is None
    assert link.checked == [None]


def test_a_client_that_refuses_the_identity_shows_no_key_and_no_password() -> None:
    def refuse(_: bytes | None) -> None:
        raise VerificationError("not this one")

    link = Link(ROOMS["both"], password_key=PASSWORD, client_key=CLIENT, check_identity=refuse)
    server, (error,) = link.run()
    assert isinstance(error, VerificationError)
    assert server == []
    assert link.client.data_to_send() == b""


def test_an_unknown_room_is_refused_with_the_servers_words() -> None:
    def find(name: str) -> Room:
        raise ServerFullError(f"There is no room '{name}'.")

    link = Link(ROOMS["none"], room="den")
    link.server = LinkServerSession(CHANNEL, find, identities=(SERVER,))
    server, client = link.run()
    assert [str(error) for error in server] == ["There is no room 'den'."]
    assert "There is no room 'den'." in str(client[0])


def test_an_invalid_message_of_the_exchange_counts_as_a_guess() -> None:
    guesses: list[bool] = []

    class Guard:
        def challenged(self) -> None:
            pass

        def begin(self, identity: bytes | None) -> float:
            return 0.0

        def end(self, identity: bytes | None, was_right: bool) -> float:
            guesses.append(was_right)
            return 0.0

    link = Link(ROOMS["password"], password_key=PASSWORD)
    link.server = LinkServerSession(CHANNEL, lambda _: ROOMS["password"], identities=(SERVER,), guard=Guard())
    link.server.receive_data(link.client.data_to_send())
    link.server.next_event()
    link.client.receive_data(link.server.data_to_send())
    link.client.next_event()
    proof = bytearray(link.client.data_to_send())
    payload = proof[22:]
    payload[96:129] = b"A" + b"\xff" * 32
    link.server.receive_data(encode_packet(PacketType.LINK_PROOF, bytes(payload)))
    with pytest.raises(HandshakeError, match="password exchange"):
        link.server.next_event()
    assert guesses == [False]


def test_messages_follow_the_handshake_in_both_directions() -> None:
    link = Link(ROOMS["password"], password_key=PASSWORD)
    link.run()
    link.server.receive_data(link.client.seal(encode(Capabilities(80, 24))))
    assert isinstance(link.server.next_event(), Capabilities)
    link.client.receive_data(link.server.seal(encode(Ping())))
    assert link.client.next_event() == Ping()


def test_messages_before_the_end_of_the_handshake_are_refused() -> None:
    link = Link(ROOMS["password"], password_key=PASSWORD)
    link.server.receive_data(link.client.data_to_send() + encode(Capabilities(80, 24)))
    with pytest.raises(HandshakeError, match="CLIENT_CAPABILITIES"):
        link.server.next_event()
