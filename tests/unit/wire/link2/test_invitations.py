"""Invitations in the handshake of link 2, both sides against each other, without a TLS connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from teleglyph.errors import HandshakeError, InvitationError, PeerError, VerificationError
from teleglyph.keys import FileIdentity
from teleglyph.wire.acip import ChallengeFlag, Event, Feature, HandshakeDone, encode
from teleglyph.wire.invitation import Invitation, check
from teleglyph.wire.link2 import Channel, LinkClientSession, LinkServerSession
from teleglyph.wire.link2.messages import LinkChallenge, LinkProof

SERVER, OTHER, CLIENT = (FileIdentity(bytes([number]) * 32) for number in (1, 2, 3))
PASSWORD = b"p" * 32
OWN_KEY, PUBLIC = Channel(b"c" * 32, SERVER.public_key), Channel(b"d" * 32, None)
NOW = 1_800_000_000
BOTH = Feature.SCREEN_UPDATES | Feature.INVITATION


@dataclass(frozen=True)
class Room:
    password_key: bytes | None = PASSWORD
    admits: Callable[[bytes], bool] | None = None


def invitation(identity: FileIdentity = SERVER, room: str = "den", *, view_only: bool = False) -> Invitation:
    return Invitation.issue(identity, room, NOW, NOW + 60, bytes, view_only=view_only)


class Link:
    """A server with a password, and a client with an invitation."""

    def __init__(
        self,
        shown: Invitation | None,
        channel: Channel = OWN_KEY,
        seen: Channel | None = None,
        *,
        identities: tuple[FileIdentity, ...] = (SERVER,),
        room: Room = Room(),
        is_old: bool = False,
        **options: object,
    ) -> None:
        self.tokens: list[str] = []
        self.checked: list[bytes | None] = []

        def admit(token: str, name: str) -> Invitation:
            self.tokens.append(token)
            return check(token, [one.public_key for one in identities], name, NOW, lambda _: False)

        self.server = LinkServerSession(
            channel,
            lambda _: room,
            identities=identities,
            features=Feature.SCREEN_UPDATES,
            admit_invited=None if is_old else admit,
        )
        client: dict[str, object] = {
            "check_identity": self.checked.append,
            "features": Feature.SCREEN_UPDATES,
            "room": "den",
            "invitation": shown,
            **options,
        }
        self.client = LinkClientSession(seen or channel, **client)  # type: ignore[arg-type]
        self.to_server = b""

    def run(self) -> tuple[list[Event | PeerError], list[Event | PeerError]]:
        server: list[Event | PeerError] = []
        client: list[Event | PeerError] = []
        for _ in range(4):
            data = self.client.data_to_send()
            self.to_server += data
            self.server.receive_data(data)
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


@pytest.mark.parametrize("channel", [OWN_KEY, PUBLIC], ids=["own certificate", "public certificate"])
@pytest.mark.parametrize("view_only", [False, True])
@pytest.mark.parametrize("room", [Room(), Room(None), Room(PASSWORD, lambda _: False)])
def test_it_replaces_the_password_and_the_key(channel: Channel, view_only: bool, room: Room) -> None:
    link = Link(invitation(view_only=view_only), channel, room=room, password_key=b"w" * 32, client_key=CLIENT)
    server, client = link.run()
    assert server == [HandshakeDone(True, None, True, None, BOTH, "den", view_only)]
    assert client == [HandshakeDone(True, SERVER.public_key, True, None, BOTH, "", view_only)]
    assert link.checked == [SERVER.public_key]
    assert CLIENT.public_key not in link.to_server


def test_a_server_with_several_identities_shows_the_one_that_invited() -> None:
    link = Link(invitation(), identities=(OTHER, SERVER))
    assert isinstance(link.run()[0][0], HandshakeDone)
    assert link.checked == [SERVER.public_key]


def test_a_server_that_refuses_it_says_why() -> None:
    server, client = Link(Invitation.issue(SERVER, "den", NOW - 90, NOW - 60, bytes)).run()
    for side in (server, client):
        assert isinstance(side[0], InvitationError)
        assert str(side[0]) == "The invitation expired on 2027-01-15 at 07:59 UTC. Ask for a new one."


def test_clients_without_one_are_asked_as_before() -> None:
    server, client = Link(None, password_key=PASSWORD).run()
    assert server == [HandshakeDone(True, None, True, None, Feature.SCREEN_UPDATES, "den")]
    assert isinstance(client[0], HandshakeDone)


# --- who never gets it --------------------------------------------------------------------------------------------


def test_a_server_that_is_too_old_does_not_get_it() -> None:
    for room in (Room(), Room(None)):
        link = Link(invitation(), room=room, is_old=True)
        _, client = link.run()
        assert isinstance(client[0], InvitationError)
        assert "too old for invitations" in str(client[0])
        assert invitation().encode() not in link.to_server


def test_another_server_does_not_get_it() -> None:
    for identities, channel in (((OTHER,), Channel(b"o" * 32, OTHER.public_key)), ((), PUBLIC)):
        link = Link(invitation(), channel, identities=identities)
        _, client = link.run()
        assert isinstance(client[0], VerificationError)
        assert "your invitation is from" in str(client[0])
        assert not link.tokens
        assert invitation().encode() not in link.to_server


@pytest.mark.parametrize("channel", [OWN_KEY, PUBLIC], ids=["own certificate", "public certificate"])
def test_somebody_in_between_does_not_get_it(channel: Channel) -> None:
    """They pass everything on, but the client sees their certificate."""
    link = Link(invitation(), channel, seen=Channel(b"m" * 32, OTHER.public_key))
    _, client = link.run()
    assert isinstance(client[0], VerificationError)
    assert not link.tokens
    assert invitation().encode() not in link.to_server


def test_a_server_that_the_user_does_not_trust_does_not_get_it() -> None:
    def refuse(_: bytes | None) -> None:
        raise VerificationError("It has changed.")

    link = Link(invitation(), check_identity=refuse)
    link.run()
    assert not link.tokens
    assert invitation().encode() not in link.to_server


# --- rules of the packets -----------------------------------------------------------------------------------------


def challenged(shown: Invitation | None) -> LinkServerSession:
    """A server that waits for proofs."""
    link = Link(shown, password_key=None if shown else PASSWORD)
    link.server.receive_data(link.client.data_to_send())
    assert link.server.next_event() is None
    return link.server


@pytest.mark.parametrize(
    ("shown", "proof"),
    [
        (invitation(), LinkProof()),
        (invitation(), LinkProof(exchange=b"e" * 33, tag=b"t" * 32)),
        (invitation(), LinkProof(identity=b"k" * 32, invitation=invitation().encode())),
        (invitation(), LinkProof(signature=b"k" * 64, invitation=invitation().encode())),
        (None, LinkProof(invitation=invitation().encode())),
    ],
)
def test_a_client_shows_exactly_what_it_announced(shown: Invitation | None, proof: LinkProof) -> None:
    server = challenged(shown)
    server.receive_data(encode(proof))
    with pytest.raises(HandshakeError):
        server.next_event()


@pytest.mark.parametrize(
    ("shown", "features", "flags"),
    [
        (invitation(), BOTH, ChallengeFlag(0)),
        (invitation(), BOTH, ChallengeFlag.CLIENT_KEY),
        (None, Feature.SCREEN_UPDATES, ChallengeFlag.INVITATION),
    ],
)
def test_a_server_asks_for_it_if_and_only_if_it_was_offered(
    shown: Invitation | None, features: Feature, flags: ChallengeFlag
) -> None:
    client = LinkClientSession(OWN_KEY, features=Feature.SCREEN_UPDATES, room="den", invitation=shown)
    hello = client.data_to_send()
    client.receive_data(encode(LinkChallenge(features, flags, bytes(32), SERVER.public_key)))
    with pytest.raises(HandshakeError):
        client.next_event()
    assert client.data_to_send() == b"", hello
