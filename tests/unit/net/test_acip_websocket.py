"""ACIP in WebSocket messages: both roles, both orders, and messages that break the rules."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from teleglyph.errors import (
    AuthenticationError,
    ConnectionLostError,
    CryptoError,
    HandshakeError,
    PeerError,
    PeerTimeoutError,
    ProtocolError,
    RateLimitError,
    ServerFullError,
)
from teleglyph.net.acip_websocket import LIKE_TCP, MAX_MESSAGE, SERVER_FIRST, SUBPROTOCOLS, AcipWebSocket
from teleglyph.net.websocket import PartialMessage, WebSocketSession
from teleglyph.net.websocket_client import ClientWebSocket, Upgraded, UpgradeError
from teleglyph.net.websocket_server import ServerWebSocket
from teleglyph.wire.acip import ClientSession, Event, Feature, HandshakeDone, Ping, Pong, ServerSession, encode
from teleglyph.wire.acip.packet import encode_packet
from unit.wire.examples import CAPABILITIES, IDENTITY, PASSWORD_KEY, VECTORS, WRONG_KEY

URL = "ws://call.example/call"


def client_side(acip: ClientSession | None = None, offered: tuple[str, ...] = SUBPROTOCOLS) -> AcipWebSocket:
    return AcipWebSocket(
        ClientWebSocket(URL, subprotocols=offered, max_message=MAX_MESSAGE),
        acip or ClientSession(features=Feature.SCREEN_UPDATES),
    )


def accept(request: bytes, supported: tuple[str, ...] = SUBPROTOCOLS) -> ServerWebSocket:
    return ServerWebSocket(request, origins=[None], subprotocols=supported, max_message=MAX_MESSAGE)


def server_side(
    request: bytes, make: Callable[[bool], ServerSession] | None = None, supported: tuple[str, ...] = SUBPROTOCOLS
) -> AcipWebSocket:
    websocket = accept(request, supported)
    speaks_first = websocket.subprotocol != LIKE_TCP
    if make is not None:
        return AcipWebSocket(websocket, make(speaks_first))
    return AcipWebSocket(websocket, ServerSession(speaks_first=speaks_first, features=Feature.SCREEN_UPDATES))


def events(session: AcipWebSocket) -> Iterator[Event]:
    while (event := session.next_event()) is not None:
        yield event


def converse(server: AcipWebSocket, client: AcipWebSocket, chunk: int = 1 << 20) -> tuple[list[Event], list[Event]]:
    """Carry bytes in chunks until neither side sends any; return the events of the server and of the client."""
    of_server: list[Event] = []
    of_client: list[Event] = []
    while True:
        to_server, to_client = client.data_to_send(), server.data_to_send()
        if not to_server and not to_client:
            return of_server, of_client
        for at in range(0, len(to_server), chunk):
            server.receive_data(to_server[at : at + chunk])
            of_server += events(server)
        for at in range(0, len(to_client), chunk):
            client.receive_data(to_client[at : at + chunk])
            of_client += events(client)


class Peer:
    """A client of the ``websockets`` package, which sends any frames."""

    def __init__(self, *offered: str, make: Callable[[bool], ServerSession] | None = None) -> None:
        self.protocol = ClientProtocol(
            parse_uri(URL), subprotocols=[Subprotocol(name) for name in offered] or None, max_size=MAX_MESSAGE
        )
        self.protocol.send_request(self.protocol.connect())
        self.server = server_side(self.sent(), make)
        self.messages: list[bytes] = []
        self.hear()

    def sent(self) -> bytes:
        return b"".join(self.protocol.data_to_send())

    def hear(self) -> None:
        """Receive what the server sends."""
        self.protocol.receive_data(self.server.data_to_send())
        for event in self.protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                self.messages.append(bytes(event.data))

    def say(self, *messages: bytes) -> list[Event]:
        for message in messages:
            self.protocol.send_binary(message)
        return self.transfer()

    def transfer(self) -> list[Event]:
        self.server.receive_data(self.sent())
        try:
            return list(events(self.server))
        finally:
            self.hear()


def joined_peer() -> tuple[Peer, ClientSession]:
    """A peer after the handshake, and the session that encrypts its packets."""
    peer, acip = Peer(SERVER_FIRST), ClientSession()
    acip.wait_for_server()
    acip.receive_data(b"".join(peer.messages))
    assert acip.next_event() is None
    assert peer.say(acip.data_to_send()) == [HandshakeDone(encrypted=True)]
    acip.receive_data(peer.messages[-1])
    assert acip.next_event() == HandshakeDone(encrypted=True)
    return peer, acip


# --- both of our roles ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("offered", "supported", "features"),
    [
        (SUBPROTOCOLS, SUBPROTOCOLS, Feature.SCREEN_UPDATES),
        (SUBPROTOCOLS, (SERVER_FIRST,), Feature.NONE),
        (SUBPROTOCOLS, (), Feature.NONE),
        ((SERVER_FIRST, LIKE_TCP), SUBPROTOCOLS, Feature.SCREEN_UPDATES),
    ],
)
def test_the_server_selects_the_order(
    offered: tuple[str, ...], supported: tuple[str, ...], features: Feature, chunk: int
) -> None:
    client = client_side(offered=offered)
    server = server_side(client.data_to_send(), supported=supported)
    of_server, of_client = converse(server, client, chunk)
    assert of_server == [HandshakeDone(encrypted=True, features=features)]
    assert isinstance(of_client[0], Upgraded)
    assert of_client[1:] == [HandshakeDone(encrypted=True, features=features)]
    server.receive_data(client.seal(encode(CAPABILITIES)))
    client.receive_data(server.seal(encode(Ping())))
    assert list(events(server)) == [CAPABILITIES]
    assert list(events(client)) == [Ping()]


@pytest.mark.parametrize("supported", [SUBPROTOCOLS, (SERVER_FIRST,)])
def test_passwords_and_identities_are_enforced_in_both_orders(supported: tuple[str, ...]) -> None:
    def make(speaks_first: bool) -> ServerSession:
        return ServerSession(password_key=PASSWORD_KEY, identities=[IDENTITY], speaks_first=speaks_first)

    client = client_side(ClientSession(password_key=PASSWORD_KEY))
    of_server, of_client = converse(server_side(client.data_to_send(), make, supported), client)
    assert of_server == [HandshakeDone(encrypted=True, authenticated=True)]
    assert of_client[-1] == HandshakeDone(encrypted=True, identity=IDENTITY.public_key, authenticated=True)
    client = client_side(ClientSession(password_key=WRONG_KEY))
    server = server_side(client.data_to_send(), make, supported)
    with pytest.raises(AuthenticationError):
        converse(server, client)
    client.receive_data(server.data_to_send() + server.closing_bytes(AuthenticationError("no")))
    with pytest.raises(AuthenticationError, match="Wrong password"):
        list(events(client))


def test_a_client_without_encryption_is_only_served_like_over_tcp() -> None:
    def make(speaks_first: bool) -> ServerSession:
        return ServerSession(allow_plaintext=True, speaks_first=speaks_first)

    client = client_side(ClientSession(encrypt=False), offered=(LIKE_TCP,))
    server = server_side(client.data_to_send(), make)
    client.receive_data(server.data_to_send())
    assert isinstance(client.next_event(), Upgraded)
    assert client.next_event() == HandshakeDone(encrypted=False)
    picture = encode_packet(3001, bytes(24) + bytes(3000))
    server.receive_data(client.seal(encode(CAPABILITIES)) + client.seal(picture))
    assert server.next_event() == HandshakeDone(encrypted=False)
    assert server.next_event() == CAPABILITIES
    refusing = client_side(ClientSession(encrypt=False), offered=(LIKE_TCP,))
    refusing.receive_data(accept(refusing.data_to_send(), ()).data_to_send())
    with pytest.raises(HandshakeError, match="--no-encrypt"):
        list(events(refusing))


def test_a_server_that_refuses_the_upgrade_is_reported_with_its_answer() -> None:
    client = client_side()
    client.receive_data(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
    with pytest.raises(UpgradeError) as refused:
        client.next_event()
    assert "404" in str(refused.value.__cause__)
    with pytest.raises(UpgradeError):
        client.next_event()


def test_an_answer_that_ends_with_the_connection_is_reported() -> None:
    websocket = ClientWebSocket(URL, subprotocols=SUBPROTOCOLS, max_message=MAX_MESSAGE)
    session = AcipWebSocket(websocket, ClientSession())
    session.receive_data(b"HTTP/1.1 502 Bad Gateway\r\n\r\nno")
    assert session.next_event() is None
    websocket.receive_end()
    with pytest.raises(UpgradeError) as refused:
        session.next_event()
    assert "502" in str(refused.value.__cause__)


def test_the_client_hears_why_the_server_closed() -> None:
    client = client_side()
    websocket = accept(client.data_to_send(), (SERVER_FIRST,))
    client.receive_data(websocket.data_to_send() + websocket.close(1001, "Maintenance."))
    assert isinstance(client.next_event(), Upgraded)
    with pytest.raises(ConnectionLostError, match=re.escape("The server closed the WebSocket: Maintenance.")):
        list(events(client))
    assert client.data_to_send(), "the close is answered"
    assert client.is_finished


# --- messages ---------------------------------------------------------------------------------------------------------


def test_without_a_subprotocol_the_server_speaks_first() -> None:
    peer = Peer()
    assert peer.protocol.subprotocol is None
    assert peer.messages == [VECTORS["crypto parameters"][1], *peer.messages[1:]]
    assert len(peer.messages) == 2


def test_each_packet_is_one_message() -> None:
    peer, _ = joined_peer()
    assert [len(message) for message in peer.messages] == [22 + 18, 22 + 32, 22]


def test_a_message_may_have_several_packets_or_frames() -> None:
    peer, acip = joined_peer()
    assert peer.say(acip.seal(encode(CAPABILITIES)) + acip.seal(encode(Ping()))) == [CAPABILITIES, Ping()]
    data = acip.seal(encode(Pong()))
    peer.protocol.send_binary(data[:1], fin=False)
    peer.protocol.send_continuation(data[1:30], fin=False)
    peer.protocol.send_ping(b"between")
    peer.protocol.send_continuation(data[30:], fin=True)
    assert peer.transfer() == [PartialMessage()] * 3 + [Pong()]


def test_pings_are_answered_and_pongs_count() -> None:
    peer, _ = joined_peer()
    peer.server.ping()
    peer.hear()
    assert peer.transfer() == [PartialMessage()], "the pong"
    peer.protocol.send_ping(b"hello")
    assert peer.transfer() == [PartialMessage()]
    assert peer.say(b"") == [PartialMessage()], "an empty message counts, too"


@pytest.mark.parametrize("cut", [1, 21, 22, 40])
def test_a_message_that_ends_inside_a_packet_is_refused(cut: int) -> None:
    peer, acip = joined_peer()
    with pytest.raises(ProtocolError, match="ended inside a packet"):
        peer.say(acip.seal(encode(CAPABILITIES))[:cut])
    with pytest.raises(ProtocolError, match="ended inside a packet"):
        peer.server.next_event()


def test_a_text_message_is_refused_with_its_own_code() -> None:
    peer, _ = joined_peer()
    peer.protocol.send_text(b"hello")
    with pytest.raises(ProtocolError, match="text message") as refused:
        peer.transfer()
    peer.protocol.receive_data(peer.server.closing_bytes(refused.value))
    assert peer.protocol.close_rcvd is not None
    assert peer.protocol.close_rcvd.code == 1003
    assert peer.server.is_finished


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n", b"\xff", bytes(22), encode_packet(1200, bytes(62))])
def test_garbage_ends_the_connection(garbage: bytes) -> None:
    peer, _ = joined_peer()
    with pytest.raises((ProtocolError, CryptoError)):
        peer.say(garbage)
    peer.protocol.receive_data(peer.server.closing_bytes(None))
    assert peer.protocol.close_rcvd is not None
    assert peer.protocol.close_rcvd.code == 1002


@pytest.mark.parametrize("offered", [SERVER_FIRST, LIKE_TCP])
@pytest.mark.parametrize("fragments", [1, 3])
def test_before_the_end_of_the_handshake_a_message_is_refused_at_its_head(offered: str, fragments: int) -> None:
    peer = Peer(offered)
    size = 22 + 1024 + 1
    for number in range(1, fragments):
        (peer.protocol.send_binary if number == 1 else peer.protocol.send_continuation)(bytes(500), fin=False)
    send = peer.protocol.send_binary if fragments == 1 else peer.protocol.send_continuation
    send(bytes(size - 500 * (fragments - 1)), True)
    # Only the head of the last frame: the server must not wait for its body.
    data = peer.sent()
    body = size - 500 * (fragments - 1)
    peer.server.receive_data(data[: len(data) - body])
    with pytest.raises(ProtocolError, match="violated the WebSocket protocol"):
        list(events(peer.server))
    peer.hear()
    assert peer.protocol.close_rcvd is not None
    assert peer.protocol.close_rcvd.code == 1009


def test_afterwards_a_message_may_be_as_long_as_an_encrypted_packet() -> None:
    peer, acip = joined_peer()
    peer.say(acip.seal(encode(CAPABILITIES)))
    with pytest.raises(ProtocolError, match="violated the WebSocket protocol"):
        peer.say(bytes((1 << 20) + 100))


def test_a_refusal_in_the_handshake_precedes_the_close_frame() -> None:
    peer = Peer(SERVER_FIRST, make=lambda first: ServerSession(password_key=PASSWORD_KEY, speaks_first=first))
    acip = ClientSession(password_key=WRONG_KEY)
    acip.wait_for_server()
    acip.receive_data(b"".join(peer.messages))
    assert acip.next_event() is None
    peer.say(acip.data_to_send())
    acip.receive_data(peer.messages[-1])
    assert acip.next_event() is None
    with pytest.raises(AuthenticationError) as refused:
        peer.say(acip.data_to_send())
    acip.receive_data(peer.messages[-1])
    with pytest.raises(AuthenticationError):
        list(events_of(acip))
    peer.protocol.receive_data(peer.server.closing_bytes(refused.value))
    assert peer.protocol.close_rcvd is not None
    assert peer.protocol.close_rcvd.code == 1008


def events_of(session: ClientSession) -> Iterator[Event]:
    while (event := session.next_event()) is not None:
        yield event


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (None, 1000),
        (ProtocolError("x"), 1002),
        (AuthenticationError("x"), 1008),
        (PeerTimeoutError("x"), 1008),
        (ConnectionLostError("x"), 1008),
        (RateLimitError("x"), 1013),
        (ServerFullError("x"), 1013),
        (asyncio.CancelledError(), 1001),
        (RuntimeError("x"), 1011),
    ],
)
def test_the_close_code_says_why(ending: BaseException | None, code: int) -> None:
    peer, _ = joined_peer()
    peer.protocol.receive_data(peer.server.closing_bytes(ending))
    assert peer.protocol.close_rcvd is not None
    assert (peer.protocol.close_rcvd.code, peer.protocol.close_rcvd.reason) == (code, "")
    assert peer.server.closing_bytes(ending) == b"", "nothing may follow"


def test_packets_before_a_close_are_handled_before_it_is_answered() -> None:
    peer, acip = joined_peer()
    peer.protocol.send_binary(acip.seal(encode(CAPABILITIES)))
    peer.protocol.send_close(1000)
    peer.server.receive_data(peer.sent())
    assert peer.server.next_event() == CAPABILITIES
    assert peer.server.data_to_send() == b""
    with pytest.raises(ConnectionLostError, match="client closed"):
        list(events(peer.server))
    peer.hear()
    assert peer.protocol.state is State.CLOSED or peer.protocol.close_rcvd is not None


def test_a_foreign_page_is_refused() -> None:
    request = client_side().data_to_send().replace(b"\r\n\r\n", b"\r\nOrigin: https://evil.example\r\n\r\n")
    websocket = accept(request)
    assert not websocket.is_open
    assert websocket.data_to_send().startswith(b"HTTP/1.1 403")


def test_messages_are_not_compressed() -> None:
    request = client_side().data_to_send()
    offer = b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    response = accept(request.replace(b"\r\n\r\n", offer)).data_to_send()
    assert response.startswith(b"HTTP/1.1 101")
    assert b"permessage-deflate" not in response
    assert b"Sec-WebSocket-Extensions" not in request


def test_a_clients_frames_are_masked() -> None:
    client = client_side()
    converse(server_side(client.data_to_send()), client)
    assert client.seal(encode(Ping()))[1] & 0x80
    assert isinstance(client, AcipWebSocket)
    assert issubclass(ClientWebSocket, WebSocketSession)
    with pytest.raises(PeerError):
        plain = server_side(client_side().data_to_send())
        plain.receive_data(b"\x82\x05hello")
        list(events(plain))
