"""Handshakes that the server begins, as over WebSocket, and what their clients may send in plaintext."""

from __future__ import annotations

import pytest

from teleglyph.errors import AuthenticationError, CryptoError, HandshakeError, ProtocolError, VerificationError
from teleglyph.wire.acip import (
    MAX_PAYLOAD,
    ClientHello,
    ClientSession,
    CryptoCapabilities,
    Feature,
    HandshakeDone,
    Message,
    PacketType,
    Ping,
    ProtocolVersion,
    ServerSession,
    ServerState,
    StreamKind,
    StreamStart,
    StreamStop,
    encode,
)
from teleglyph.wire.acip.packet import HEADER, encode_packet, split_packets
from unit.wire.examples import (
    CAPABILITIES,
    IDENTITY,
    OTHER_IDENTITY,
    PASSWORD_KEY,
    SERVER_SECRET,
    SESSION_ID,
    VECTORS,
    WRONG_KEY,
    converse,
    events,
    scripted,
)

START = StreamStart(StreamKind.VIDEO)
SCREENS = Feature.SCREEN_UPDATES


def follower(**options: object) -> ClientSession:
    client = ClientSession(features=SCREENS, **options)  # type: ignore[arg-type]
    client.wait_for_server()
    return client


def joined(**options: object) -> tuple[ServerSession, ClientSession]:
    """Both roles after a handshake that the server began."""
    server, client = ServerSession(speaks_first=True, features=SCREENS, **options), follower()  # type: ignore[arg-type]
    of_server, of_client = converse(server, client)
    assert of_server == of_client == [HandshakeDone(encrypted=True)]
    return server, client


def test_the_server_begins_with_the_known_bytes() -> None:
    server = ServerSession(speaks_first=True, random=scripted(SERVER_SECRET, SESSION_ID))
    assert server.data_to_send() == VECTORS["crypto parameters"][1] + VECTORS["key exchange init"][1]
    server.receive_data(VECTORS["key exchange response"][1])
    assert server.next_event() == HandshakeDone(encrypted=True)
    assert server.data_to_send() == VECTORS["handshake complete"][1]


def test_the_client_says_nothing_before_the_server() -> None:
    assert follower().data_to_send() == b""


def test_there_are_no_features() -> None:
    server, client = joined()
    assert client.features == Feature.NONE
    assert server.shared_key == client.shared_key


def test_a_client_without_encryption_cannot_wait_for_the_server() -> None:
    with pytest.raises(HandshakeError, match="--no-encrypt"):
        ClientSession(encrypt=False).wait_for_server()


@pytest.mark.parametrize("order", ["server", "client"])
@pytest.mark.parametrize("with_key", [False, True])
@pytest.mark.parametrize("with_password", [False, True])
@pytest.mark.parametrize("identities", [(), (IDENTITY,), (IDENTITY, OTHER_IDENTITY)])
def test_proofs_are_the_same_in_both_orders(
    order: str, with_key: bool, with_password: bool, identities: tuple[object, ...]
) -> None:
    server = ServerSession(
        password_key=PASSWORD_KEY if with_password else None,
        identities=identities,  # type: ignore[arg-type]
        admits=(lambda key: key == OTHER_IDENTITY.public_key) if with_key else None,
        speaks_first=order == "server",
    )
    client = ClientSession(password_key=PASSWORD_KEY if with_password else None, client_key=OTHER_IDENTITY)
    if order == "server":
        client.wait_for_server()
    of_server, of_client = converse(server, client)
    if not of_server:
        server.hello_timeout()
        of_server, of_client = converse(server, client)
    [done] = of_server
    assert isinstance(done, HandshakeDone)
    assert done.client_identity == (OTHER_IDENTITY.public_key if with_key else None)
    assert done.authenticated == (with_key or with_password)
    [done] = of_client
    assert isinstance(done, HandshakeDone)
    assert done.identity == (IDENTITY.public_key if identities else None)


def test_a_wrong_password_is_refused() -> None:
    server, client = ServerSession(password_key=PASSWORD_KEY, speaks_first=True), follower(password_key=WRONG_KEY)
    with pytest.raises(AuthenticationError, match="does not know the password"):
        converse(server, client)
    client.receive_data(server.data_to_send())
    with pytest.raises(AuthenticationError, match="Wrong password"):
        list(events(client))


def test_a_missing_or_foreign_key_is_refused() -> None:
    for key in (None, OTHER_IDENTITY):
        server = ServerSession(admits=lambda key: key == IDENTITY.public_key, speaks_first=True)
        with pytest.raises(AuthenticationError):
            converse(server, follower(client_key=key))


def test_a_server_that_does_not_ask_for_the_password_is_left() -> None:
    with pytest.raises(AuthenticationError, match="does not ask for the password"):
        converse(ServerSession(speaks_first=True), follower(password_key=PASSWORD_KEY))


def test_the_client_judges_the_identity() -> None:
    def refuse(_identity: bytes | None) -> None:
        raise VerificationError("not this one")

    with pytest.raises(VerificationError, match="not this one"):
        converse(ServerSession(identities=[IDENTITY], speaks_first=True), follower(check_identity=refuse))


@pytest.mark.parametrize("message", [Ping(), ClientHello(IDENTITY.public_key)])
def test_a_late_choice_of_the_identity_is_tolerated(message: Message) -> None:
    server = ServerSession(identities=[IDENTITY], speaks_first=True)
    server.receive_data(encode(message))
    assert converse(server, follower())[0] == [HandshakeDone(encrypted=True)]


@pytest.mark.parametrize("message", [ProtocolVersion(1), CryptoCapabilities(), CAPABILITIES])
def test_the_clients_opening_of_tcp_is_refused(message: Message) -> None:
    server = ServerSession(speaks_first=True, allow_plaintext=True)
    server.receive_data(encode(message))
    with pytest.raises(HandshakeError):
        server.next_event()


def test_states_of_the_server_are_accepted_during_the_handshake_up_to_a_number() -> None:
    client = follower()
    client.receive_data(encode(ServerState(1, 1)) * 100)
    assert client.next_event() is None
    client.receive_data(encode(ServerState(1, 1)))
    with pytest.raises(HandshakeError, match="more than 100 times"):
        client.next_event()
    usual = ClientSession()
    usual.receive_data(encode(ServerState(1, 1)))
    with pytest.raises(HandshakeError, match="SERVER_STATE"):
        usual.next_event()


# --- plaintext --------------------------------------------------------------------------------------------------------


def test_a_browser_introduces_itself_in_plaintext() -> None:
    server, client = joined()
    server.receive_data(encode(CAPABILITIES) + encode(START) + client.seal(encode(Ping())))
    assert list(events(server)) == [CAPABILITIES, START, Ping()]


@pytest.mark.parametrize("message", [CAPABILITIES, START])
def test_plaintext_ends_with_the_first_encrypted_packet(message: Message) -> None:
    server, client = joined()
    server.receive_data(encode(CAPABILITIES) + client.seal(encode(Ping())))
    assert list(events(server)) == [CAPABILITIES, Ping()]
    server.receive_data(encode(message))
    with pytest.raises(ProtocolError, match="came unencrypted"):
        server.next_event()


def test_after_a_forged_encrypted_packet_nothing_is_accepted() -> None:
    server, _ = joined()
    for data in (encode_packet(PacketType.ENCRYPTED, bytes(100)), encode(CAPABILITIES)):
        server.receive_data(data)
        with pytest.raises(CryptoError):
            server.next_event()


@pytest.mark.parametrize("message", [Ping(), StreamStop(StreamKind.VIDEO), ProtocolVersion(1)])
def test_nothing_else_is_accepted_in_plaintext(message: Message) -> None:
    server, _ = joined()
    server.receive_data(encode(CAPABILITIES) + encode(message))
    assert server.next_event() == CAPABILITIES
    with pytest.raises(ProtocolError, match="came unencrypted"):
        server.next_event()


def test_streams_need_capabilities_first_also_in_plaintext() -> None:
    server, _ = joined()
    server.receive_data(encode(START))
    with pytest.raises(ProtocolError, match="before CLIENT_CAPABILITIES"):
        server.next_event()


@pytest.mark.parametrize("message", [CAPABILITIES, START])
def test_over_tcp_nothing_is_accepted_in_plaintext(message: Message) -> None:
    server, client = ServerSession(), ClientSession()
    converse(server, client)
    server.receive_data(encode(message))
    with pytest.raises(ProtocolError, match="came unencrypted"):
        server.next_event()


@pytest.mark.parametrize("message", [CAPABILITIES, START])
def test_nothing_is_accepted_in_plaintext_before_the_end_of_the_handshake(message: Message) -> None:
    server = ServerSession(speaks_first=True, password_key=PASSWORD_KEY)
    client = follower(password_key=PASSWORD_KEY)
    early = ServerSession(speaks_first=True, password_key=PASSWORD_KEY)
    early.receive_data(encode(message))
    with pytest.raises(HandshakeError, match="waiting for the client's key"):
        early.next_event()
    client.receive_data(server.data_to_send())
    assert client.next_event() is None
    server.receive_data(client.data_to_send() + encode(message))
    with pytest.raises(HandshakeError, match="waiting for the answer to the challenge"):
        server.next_event()


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_packets_are_small_until_the_handshake_is_over() -> None:
    server = ServerSession(speaks_first=True)
    assert server.max_packet == HEADER.size + 1024
    client = follower()
    converse(server, client)
    assert 1 << 20 < server.max_packet < HEADER.size + MAX_PAYLOAD


@pytest.mark.parametrize(
    ("options", "admits"),
    [
        ({}, False),
        ({"allow_plaintext": True}, True),
        ({"allow_plaintext": True, "password_key": PASSWORD_KEY}, False),
        ({"allow_plaintext": True, "admits": bool}, False),
        ({"allow_plaintext": True, "speaks_first": True}, False),
    ],
)
def test_only_a_server_that_encrypts_nothing_admits_plaintext(options: dict[str, object], admits: bool) -> None:
    assert ServerSession(**options).admits_plaintext is admits  # type: ignore[arg-type]


def test_packets_are_split_at_their_borders() -> None:
    packets = [encode(Ping()), encode(CAPABILITIES), encode(START)]
    assert split_packets(b"".join(packets)) == packets
    assert split_packets(b"") == []
