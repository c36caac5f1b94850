"""A joiner and a host meet through a relay: the handshake inside the channel, and the messages after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from teleglyph.errors import (
    AuthenticationError,
    CallRoomError,
    CryptoError,
    HandshakeError,
    InvitationError,
    PeerError,
    ProtocolError,
    UnknownServerError,
    VerificationError,
)
from teleglyph.keys import FileIdentity
from teleglyph.wire.acip import (
    AuthFailed,
    AuthFailure,
    Capabilities,
    ErrorMessage,
    Event,
    HandshakeDone,
    Message,
    PacketDecoder,
    PacketType,
    PageFlag,
    PageHello,
    PageWelcome,
    Ping,
    encode,
)
from teleglyph.wire.acip.packet import MAX_PAYLOAD, encode_packet, pack_header
from teleglyph.wire.discovery import DirectAddress, IceServer, Rendezvous, Ways, WaysAnswer, WaysOffer
from teleglyph.wire.invitation import Invitation, check
from teleglyph.wire.link2 import Channel, LinkClientSession, LinkServerSession
from teleglyph.wire.link2.messages import LinkHello
from teleglyph.wire.page import PasswordDigest
from teleglyph.wire.rendezvous import (
    MAX_MESSAGES,
    JoinerKind,
    RendezvousClientSession,
    RendezvousServerSession,
    SealedHost,
    SealedJoiner,
)

HOST, CLIENT, SERVICE, SECOND = (FileIdentity(bytes([number]) * 32) for number in (1, 3, 5, 7))
SESSION = bytes(range(16))
PASSWORD, WRONG = b"p" * 32, b"w" * 32
NOW = 1_800_000_000
WAYS = Ways(
    (DirectAddress(0, "192.168.1.5", 27224), DirectAddress(1, "2001:db8::5", 27224)),
    (IceServer("turn:turn.example", "1700000000:blue-mountain-tiger", "secret"),),
)
OFFER, ANSWER = WaysOffer("v=0\r\n" * 2000), WaysAnswer("v=0\r\na=ice")


@dataclass(frozen=True)
class Room:
    name: str = "den"
    group: str = ""
    password_key: bytes | None = None
    password: PasswordDigest | None = None
    admits: Callable[[bytes], bool] | None = None


OPEN, LOCKED = Room(), Room(password_key=PASSWORD, password=PasswordDigest("correct horse"))
FOR_KEYS = Room(admits=CLIENT.public_key.__eq__)


class Relay:
    """Passes messages on between a joiner and a host, and remembers what it saw."""

    def __init__(self, client: RendezvousClientSession, server: RendezvousServerSession) -> None:
        self.ends: dict[str, RendezvousClientSession | RendezvousServerSession] = {"client": client, "server": server}
        self.events: dict[str, list[Event]] = {"client": [], "server": []}
        self.errors: dict[str, PeerError] = {}
        self.seen: list[tuple[str, bytes]] = []

    def run(self, change: Callable[[str, int, bytes], list[bytes]] = lambda to, number, message: [message]) -> Relay:
        """Pass messages on until nobody sends any more.

        Args:
            change: what the relay delivers for a message: to whom, its number, and the message.
        """
        is_busy = True
        while is_busy:
            is_busy = False
            for source, to in (("client", "server"), ("server", "client")):
                for message in self.ends[source].messages_to_send():
                    is_busy = True
                    assert 1 <= len(message) <= 16384
                    number = sum(1 for receiver, _ in self.seen if receiver == to)
                    self.seen.append((to, message))
                    for delivered in change(to, number, message):
                        self.deliver(to, delivered)
        return self

    def deliver(self, to: str, message: bytes) -> None:
        end = self.ends[to]
        end.receive(message)
        try:
            while (event := end.next_event()) is not None:
                self.events[to].append(event)
        except PeerError as error:
            self.errors.setdefault(to, error)

    def done(self, name: str) -> HandshakeDone | None:
        return next((event for event in self.events[name] if isinstance(event, HandshakeDone)), None)


def client_with(**options: Any) -> RendezvousClientSession:
    return RendezvousClientSession(SESSION, **options)


def server_with(room: Room = OPEN, **options: Any) -> RendezvousServerSession:
    return RendezvousServerSession(SESSION, options.pop("identities", [HOST]), lambda _: room, **options)


def met(room: Room = OPEN, client: dict[str, Any] | None = None, **options: Any) -> Relay:
    return Relay(client_with(**(client or {})), server_with(room, **options)).run()


def only_the_host(identity: bytes | None) -> None:
    if identity != HOST.public_key:
        raise VerificationError("not the host's identity")


# --- the handshake of link 2 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("room", "options", "key"),
    [
        (OPEN, {}, None),
        (LOCKED, {"password_key": PASSWORD}, None),
        (FOR_KEYS, {"client_key": CLIENT}, CLIENT.public_key),
        (replace(FOR_KEYS, password_key=PASSWORD), {"client_key": CLIENT, "password_key": PASSWORD}, CLIENT.public_key),
    ],
    ids=["open", "password", "key", "both"],
)
def test_both_sides_are_admitted(room: Room, options: dict[str, Any], key: bytes | None) -> None:
    relay = met(room, {**options, "check_identity": only_the_host, "room": "den"})
    assert relay.errors == {}
    is_proven = room is not OPEN
    assert relay.events == {
        "client": [HandshakeDone(True, HOST.public_key, is_proven)],
        "server": [HandshakeDone(True, None, is_proven, key, room="den")],
    }
    assert all(end.is_established for end in relay.ends.values())


def test_the_messages_after_it() -> None:
    relay = met()
    client, server = relay.ends.values()
    server.send(WAYS)
    server.send(ErrorMessage(40, "a text"))
    client.send(OFFER)
    relay.run()
    server.send(ANSWER)
    relay.run()
    assert relay.events["client"][1:] == [WAYS, ErrorMessage(40, "a text"), ANSWER]
    assert relay.events["server"][1:] == [OFFER]
    assert relay.errors == {}


def test_the_relay_sees_nothing() -> None:
    relay = met(LOCKED, {"password_key": PASSWORD, "room": "secret-room"})
    relay.ends["server"].send(WAYS)
    relay.ends["client"].send(OFFER)
    relay.run()
    seen = b"".join(message for _, message in relay.seen)
    for secret in (b"192.168.1.5", b"turn.example", b"secret-room", b"v=0", b"\x0a\x5c\x11\xc4\xa1", CLIENT.public_key):
        assert secret not in seen


@pytest.mark.parametrize(
    ("room", "options", "of_server", "of_client"),
    [
        (LOCKED, {"password_key": WRONG}, "does not know the password", "Wrong password"),
        (FOR_KEYS, {"client_key": SECOND}, "is not admitted", "does not know our client key"),
    ],
    ids=["password", "key"],
)
def test_wrong_proofs_are_refused(room: Room, options: dict[str, Any], of_server: str, of_client: str) -> None:
    relay = met(room, options)
    assert relay.events == {"client": [], "server": []}
    for name, text in (("server", of_server), ("client", of_client)):
        assert isinstance(relay.errors[name], AuthenticationError)
        assert text in str(relay.errors[name])
        assert not relay.ends[name].is_established


@pytest.mark.parametrize(
    ("room", "text"),
    [(LOCKED, "wants a password"), (FOR_KEYS, "only admits known client keys")],
    ids=["password", "key"],
)
def test_missing_proofs_are_noticed_by_the_client(room: Room, text: str) -> None:
    relay = met(room)
    assert text in str(relay.errors["client"])
    assert relay.events == {"client": [], "server": []}


def test_a_host_that_does_not_ask_for_the_password_is_refused() -> None:
    relay = met(OPEN, {"password_key": PASSWORD})
    assert "does not ask for the password" in str(relay.errors["client"])


def test_a_missing_room_is_refused_with_its_reason() -> None:
    def find(_: str) -> Room:
        raise CallRoomError("There is no call room den.")

    relay = Relay(client_with(room="den"), RendezvousServerSession(SESSION, [HOST], find)).run()
    assert isinstance(relay.errors["server"], CallRoomError)
    assert "There is no call room den." in str(relay.errors["client"])


class Guard:
    """Allows no guess."""

    def challenged(self) -> None:
        pass

    def begin(self, identity: bytes | None) -> float:
        return 30.0

    def end(self, identity: bytes | None, was_right: bool) -> float:
        raise AssertionError("nothing was checked")


def test_guesses_are_limited() -> None:
    relay = met(LOCKED, {"password_key": PASSWORD}, guard=Guard())
    assert "Too many wrong passwords" in str(relay.errors["server"])
    assert "30 s" in str(relay.errors["client"])


def test_an_unknown_identity_is_for_the_caller_to_decide() -> None:
    def ask(identity: bytes | None) -> None:
        raise UnknownServerError("You have not joined this host before.", "blue-mountain-tiger", identity)

    relay = met(LOCKED, {"password_key": PASSWORD, "check_identity": ask})
    error = relay.errors["client"]
    assert isinstance(error, UnknownServerError)
    assert error.identity == HOST.public_key
    assert relay.events == {"client": [], "server": []}


def test_a_host_with_several_identities_shows_the_expected_one() -> None:
    relay = met(OPEN, {"expected": SECOND.public_key}, identities=[HOST, SECOND])
    assert relay.done("client") == HandshakeDone(True, SECOND.public_key, False)


# --- invitations ------------------------------------------------------------------------------------------------------


def invitation(identity: FileIdentity = HOST, *, view_only: bool = False) -> Invitation:
    return Invitation.issue(identity, "den", NOW, NOW + 60, bytes, view_only=view_only)


def admit(token: str, room: str) -> Invitation:
    return check(token, [HOST.public_key], room, NOW, lambda _: False)


@pytest.mark.parametrize("view_only", [False, True])
def test_an_invitation_replaces_the_password(view_only: bool) -> None:
    relay = met(LOCKED, {"invitation": invitation(view_only=view_only), "room": "den"}, admit_invited=admit)
    assert relay.errors == {}
    for name in ("client", "server"):
        done = relay.done(name)
        assert done is not None
        assert done.authenticated
        assert done.view_only is view_only


def test_an_invitation_to_another_room_is_refused() -> None:
    relay = met(LOCKED, {"invitation": invitation(), "room": "other"}, admit_invited=admit)
    assert isinstance(relay.errors["server"], InvitationError)
    assert isinstance(relay.errors["client"], InvitationError)


def test_an_invitation_is_not_shown_to_another_identity() -> None:
    relay = met(LOCKED, {"invitation": invitation(SERVICE), "room": "den"}, admit_invited=admit)
    assert isinstance(relay.errors["client"], VerificationError)
    assert relay.events["server"] == []
    assert "server" not in relay.errors


# --- the page ---------------------------------------------------------------------------------------------------------


class Page:
    """A page: the joiner's end of the channel and PAGE_HELLO, without a session of its own."""

    def __init__(self, server: RendezvousServerSession, hello: PageHello) -> None:
        self.server = server
        self.sealed = SealedJoiner(SESSION, JoinerKind.PAGE)
        server.receive(self.sealed.first_message())
        (answer,) = server.messages_to_send()
        self.sealed.receive(answer)
        self.error: PeerError | None = None
        self.send(hello)

    def send(self, message: Message) -> Event | None:
        self.server.receive(self.sealed.seal(encode(message)))
        try:
            return self.server.next_event()
        except PeerError as error:
            self.error = error
            return None

    def answers(self) -> list[Event]:
        decoder = PacketDecoder()
        for message in self.server.messages_to_send():
            decoder.feed(self.sealed.receive(message))
        kinds = {int(kind.type): kind for kind in (AuthFailed, ErrorMessage, PageWelcome, Ways, WaysAnswer)}
        return [kinds[packet.type].decode_payload(packet.payload) for packet in iter(decoder.next_packet, None)]


def test_a_page_uses_its_own_handshake() -> None:
    server = server_with(LOCKED)
    page = Page(server, PageHello(0, "den", "correct horse"))
    assert server.kind is JoinerKind.PAGE
    assert server.is_established
    assert page.answers() == [PageWelcome(0, 0, 0, "den")]
    server.send(WAYS)
    assert page.answers() == [WAYS]
    assert page.send(OFFER) == OFFER
    server.send(ANSWER)
    assert page.answers() == [ANSWER]


def test_a_page_joins_with_an_invitation() -> None:
    text = invitation(view_only=True).text
    page = Page(server_with(LOCKED, admit_invited=admit), PageHello(0, "den", "", text))
    assert page.answers() == [PageWelcome(0, 0, PageFlag.VIEW_ONLY, "den")]


@pytest.mark.parametrize("password", ["", "wrong horse"])
def test_a_page_without_the_password_is_refused(password: str) -> None:
    server = server_with(LOCKED)
    page = Page(server, PageHello(0, "den", password))
    reason = AuthFailure.PASSWORD_INCORRECT if password else AuthFailure.PASSWORD_REQUIRED
    assert page.answers() == [AuthFailed(reason)]
    assert isinstance(page.error, AuthenticationError)
    with pytest.raises(RuntimeError, match="cannot send WAYS before its handshake is complete"):
        server.send(WAYS)


@pytest.mark.parametrize(
    ("kind", "message", "name"),
    [
        (JoinerKind.PAGE, LinkHello(0, bytes(32)), r"LINK_HELLO \(1300\)"),
        (JoinerKind.TERMINAL, PageHello(0), r"PAGE_HELLO \(1310\)"),
    ],
)
def test_the_kind_decides_about_the_handshake(kind: JoinerKind, message: Message, name: str) -> None:
    server, joiner = server_with(), SealedJoiner(SESSION, kind)
    server.receive(joiner.first_message())
    joiner.receive(*server.messages_to_send())
    server.receive(joiner.seal(encode(message)))
    with pytest.raises(HandshakeError, match=name):
        server.next_event()


# --- a hostile service ------------------------------------------------------------------------------------------------


def test_a_service_in_between_is_found_by_its_identity() -> None:
    client = client_with(password_key=PASSWORD, check_identity=only_the_host)
    relay = Relay(client, server_with(LOCKED, identities=[SERVICE])).run()
    assert str(relay.errors["client"]) == "not the host's identity"
    assert relay.events == {"client": [], "server": []}
    # It learned that somebody joins which room, but got no proof that it could test passwords with.
    assert [to for to, _ in relay.seen] == ["server", "client", "server", "client"]


def test_a_service_in_between_cannot_pass_the_handshake_on() -> None:
    """It replaces the keys of both sides and passes the packets inside on, without the check of the identity."""
    client, server = client_with(password_key=PASSWORD), server_with(LOCKED)
    to_client, to_server = SealedHost(SERVICE, SESSION), SealedJoiner(SESSION)
    (first,) = client.messages_to_send()
    client.receive(to_client.answer(first))
    server.receive(to_server.first_message())
    to_server.receive(*server.messages_to_send())
    with pytest.raises(PeerError) as caught:
        for _ in range(4):
            for message in client.messages_to_send():
                server.receive(to_server.seal(to_client.receive(message)))
            server.next_event()
            for message in server.messages_to_send():
                client.receive(to_client.seal(to_server.receive(message)))
            client.next_event()
    assert isinstance(caught.value, VerificationError)
    assert not client.is_established
    assert not server.is_established


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]


@pytest.mark.parametrize("to", ["client", "server"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_changed_message_admits_nobody(to: str, number: int) -> None:
    counts = {"client": 3, "server": 3}
    relay = met(LOCKED, {"password_key": PASSWORD})
    assert {name: sum(to == name for to, _ in relay.seen) for name in counts} == counts
    for place in range(0, len([m for t, m in relay.seen if t == to][number]), 7):
        relay = Relay(client_with(password_key=PASSWORD), server_with(LOCKED))
        relay.run(lambda t, n, m, place=place: [flip(m, place) if (t, n) == (to, number) else m])  # type: ignore[misc]
        assert relay.errors
        if (to, number) != ("client", 2):
            assert relay.done("server") is None
        assert relay.done("client") is None


@pytest.mark.parametrize("kind", ["repeat", "drop", "reflect", "swap"])
def test_messages_in_another_order_end_the_rendezvous(kind: str) -> None:
    relay = met()
    client, server = relay.ends.values()
    server.send(WAYS)
    server.send(ANSWER)
    one, other = server.messages_to_send()
    deliveries = {
        "repeat": [one, one],
        "drop": [other],
        "swap": [other, one],
        "reflect": [],
    }[kind]
    if kind == "reflect":
        server.receive(one)
        receiver = server
    else:
        for message in deliveries:
            client.receive(message)
        receiver = client
    received = []
    with pytest.raises(CryptoError):
        while (event := receiver.next_event()) is not None:
            received.append(event)
    assert received == ([WAYS] if kind == "repeat" else [])
    with pytest.raises(CryptoError):
        receiver.next_event()
    assert not receiver.is_established


def test_a_host_of_another_session_is_refused() -> None:
    relay = Relay(client_with(), RendezvousServerSession(b"other session id", [HOST], lambda _: OPEN)).run()
    assert isinstance(relay.errors["client"], VerificationError)
    assert relay.events == {"client": [], "server": []}


def test_random_messages_end_the_rendezvous() -> None:
    for message in (b"", b"\0", b"\1", b"\2" * 129, b"\3" * 64, bytes(16384)):
        for end in (client_with(), server_with()):
            end.receive(message)
            with pytest.raises(PeerError):
                end.next_event()


# --- a hostile joiner or host -----------------------------------------------------------------------------------------


class Insider:
    """A joiner with a handshake that went well, and full control over what it sends."""

    def __init__(self) -> None:
        self.server = server_with()
        self.page = Page(self.server, PageHello(0))
        assert self.page.answers() == [PageWelcome(0, 0, 0, "den")]

    def send(self, packets: bytes) -> None:
        self.server.receive(self.page.sealed.seal(packets))


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        (encode(Ping()), r"PING \(5001\) is not accepted here"),
        (encode(WAYS), r"WAYS \(6112\) is not accepted here"),
        (encode(ANSWER), r"WAYS_ANSWER \(6114\) is not accepted here"),
        (encode_packet(PacketType.CLIENT_CAPABILITIES, bytes(168)), r"CLIENT_CAPABILITIES \(5000\) is not accepted"),
        (encode_packet(PacketType.IMAGE_FRAME, bytes(100)), r"IMAGE_FRAME \(3001\) is not accepted"),
        (encode_packet(PacketType.WAYS_OFFER, b"\xff"), "not UTF-8"),
        (encode(OFFER)[:-1], "ends inside a packet that needs 10022"),
        (encode(OFFER) + b"\0", "ends inside a packet that needs 10044"),
        (pack_header(PacketType.WAYS_OFFER, bytes(MAX_PAYLOAD)), "ends inside a packet that needs 5242902"),
        (b"\0", "ends inside a packet that needs 22"),
        (bytes(22), "Not an ACIP packet"),
    ],
)
def test_other_packets_end_the_rendezvous(packets: bytes, reason: str) -> None:
    insider = Insider()
    insider.send(packets)
    with pytest.raises(ProtocolError, match=reason):
        insider.server.next_event()


def test_one_peer_sends_a_limited_number_of_messages() -> None:
    insider = Insider()
    for _ in range(MAX_MESSAGES - 2):
        insider.send(encode(WaysOffer("v=0")))
        assert insider.server.next_event() == WaysOffer("v=0")
    insider.send(encode(WaysOffer("v=0")))
    with pytest.raises(ProtocolError, match=f"more than {MAX_MESSAGES} messages"):
        insider.server.next_event()


def test_a_call_does_not_accept_ways() -> None:
    channel = Channel(b"c" * 32, HOST.public_key)
    client, server = LinkClientSession(channel), LinkServerSession(channel, lambda _: OPEN, identities=[HOST])
    server.receive_data(client.data_to_send())
    assert isinstance(server.next_event(), HandshakeDone)
    client.receive_data(server.data_to_send())
    assert isinstance(client.next_event(), HandshakeDone)
    client.receive_data(encode(WAYS))
    with pytest.raises(ProtocolError, match=r"WAYS \(6112\) is not accepted here"):
        client.next_event()
    server.receive_data(encode(Capabilities(80, 24)))
    assert isinstance(server.next_event(), Capabilities)
    server.receive_data(encode(OFFER))
    with pytest.raises(ProtocolError, match=r"WAYS_OFFER \(6113\) is not accepted here"):
        server.next_event()


# --- sending ----------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_before_the_handshake_is_complete() -> None:
    client, server = client_with(), server_with(LOCKED)
    for end in (client, server):
        with pytest.raises(RuntimeError, match="cannot send PING before its handshake is complete"):
            end.send(Ping())
    with pytest.raises(RuntimeError, match="cannot send ERROR_MESSAGE"):
        server.send(ErrorMessage(48, "The call is full."))
    server.receive(*client.messages_to_send())
    with pytest.raises(RuntimeError, match="cannot send WAYS"):
        server.send(WAYS)


def test_a_host_may_refuse_a_joiner_before_the_handshake() -> None:
    client, server = client_with(), server_with(LOCKED)
    server.receive(*client.messages_to_send())
    server.send(ErrorMessage(48, "The call is full."))
    for message in server.messages_to_send():
        client.receive(message)
    with pytest.raises(PeerError, match="The call is full"):
        client.next_event()


def test_messages_are_returned_once() -> None:
    client = client_with()
    assert len(client.messages_to_send()) == 1
    assert client.messages_to_send() == []


def test_a_message_that_is_too_large_is_not_sent() -> None:
    client, server = met().ends.values()
    with pytest.raises(ValueError, match="for a sealed message"):
        server.send(Rendezvous(SESSION, bytes(16), bytes(16), bytes(16384)))
    server.send(WAYS)
    client.receive(*server.messages_to_send())
    assert client.next_event() == WAYS
