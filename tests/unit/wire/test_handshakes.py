"""The handshakes of both roles: known bytes, every way they can end, and everything that is out of order."""

import re

import pytest

from teleglyph.errors import (
    AuthenticationError,
    HandshakeError,
    PeerError,
    ProtocolError,
    ServerFull,
    VerificationError,
)
from teleglyph.wire import (
    AuthChallenge,
    AuthFailed,
    AuthResponse,
    Capabilities,
    ClientHello,
    ClientSession,
    CryptoCapabilities,
    CryptoParameters,
    HandshakeDone,
    KeyExchangeInit,
    KeyExchangeResponse,
    Message,
    PacketType,
    Ping,
    ProtocolVersion,
    ServerAuthResponse,
    ServerSession,
    Session,
    SessionState,
    encode,
)
from teleglyph.wire.packet import encode_packet
from unit.wire.examples import (
    ALL_TYPES,
    CAPABILITIES,
    CLIENT_NONCE,
    CLIENT_PUBLIC,
    CLIENT_SECRET,
    CLIENT_TAG,
    IDENTITY,
    OTHER_IDENTITY,
    PASSWORD_KEY,
    SERVER_NONCE,
    SERVER_PUBLIC,
    SERVER_SECRET,
    SESSION_ID,
    SHARED,
    VECTORS,
    WRONG_KEY,
    converse,
    events,
    payload_of,
    scripted,
)

LOW_ORDER_POINT = bytes(32)


def feed(session: Session, *messages: Message) -> None:
    """Let a session take messages."""
    for message in messages:
        session.receive_data(encode(message))
        assert list(events(session)) in ([], [HandshakeDone(True)])


def assert_failed_for_good(session: Session, error: PeerError) -> None:
    assert session.state is SessionState.FAILED
    session.data_to_send()
    session.receive_data(encode(Ping()))
    with pytest.raises(type(error), match=re.escape(str(error))):
        session.next_event()
    assert session.data_to_send() == b""


def refused(session: Session, data: bytes, kind: type[PeerError]) -> PeerError:
    """Feed bytes that must be refused, and return the error."""
    session.receive_data(data)
    with pytest.raises(kind) as caught:
        list(events(session))
    return caught.value


# --- known bytes ------------------------------------------------------------------------------------------------------


def test_a_server_without_password_says_the_known_bytes() -> None:
    server = ServerSession(random=scripted(SERVER_SECRET, SESSION_ID))
    feed(server, ProtocolVersion(1))
    assert server.data_to_send() == VECTORS["protocol version"][1]
    feed(server, CryptoCapabilities())
    assert server.data_to_send() == VECTORS["crypto parameters"][1] + VECTORS["key exchange init"][1]
    server.receive_data(VECTORS["key exchange response"][1])
    assert server.next_event() == HandshakeDone(encrypted=True)
    assert server.data_to_send() == VECTORS["handshake complete"][1]
    assert server.shared_key == SHARED


def test_a_client_without_password_says_the_known_bytes() -> None:
    client = ClientSession(random=scripted(CLIENT_SECRET, SESSION_ID))
    assert client.data_to_send() == VECTORS["protocol version"][1]
    feed(client, ProtocolVersion(1))
    assert client.data_to_send() == VECTORS["crypto capabilities"][1]
    client.receive_data(VECTORS["crypto parameters"][1] + VECTORS["key exchange init"][1])
    assert client.next_event() is None
    assert client.data_to_send() == VECTORS["key exchange response"][1]
    client.receive_data(VECTORS["handshake complete"][1])
    assert client.next_event() == HandshakeDone(encrypted=True)
    assert client.shared_key == SHARED


def test_a_server_with_password_says_the_known_bytes() -> None:
    server = ServerSession(password_key=PASSWORD_KEY, random=scripted(SERVER_SECRET, SERVER_NONCE, SESSION_ID))
    feed(server, ProtocolVersion(3), CryptoCapabilities(preferred_authentication=1))
    server.data_to_send()
    feed(server, KeyExchangeResponse(CLIENT_PUBLIC))
    assert server.data_to_send() == VECTORS["auth challenge"][1]
    server.receive_data(VECTORS["auth response"][1])
    assert server.next_event() == HandshakeDone(encrypted=True, authenticated=True)
    assert server.data_to_send() == VECTORS["server auth response"][1]


def test_a_client_with_password_says_the_known_bytes() -> None:
    client = ClientSession(password_key=PASSWORD_KEY, random=scripted(CLIENT_SECRET, CLIENT_NONCE, SESSION_ID))
    client.data_to_send()
    feed(client, ProtocolVersion(3))
    assert client.data_to_send() == VECTORS["crypto capabilities with authentication"][1]
    feed(client, CryptoParameters(), KeyExchangeInit(SERVER_PUBLIC))
    client.data_to_send()
    feed(client, AuthChallenge(1, SERVER_NONCE))
    assert client.data_to_send() == VECTORS["auth response"][1]
    client.receive_data(VECTORS["server auth response"][1])
    assert client.next_event() == HandshakeDone(encrypted=True, authenticated=True)


def test_a_server_with_an_identity_shows_the_known_signature() -> None:
    server = ServerSession(identities=[IDENTITY], random=scripted(SERVER_SECRET, SESSION_ID))
    feed(server, ProtocolVersion(1), CryptoCapabilities())
    assert server.data_to_send().endswith(VECTORS["key exchange init with identity"][1])


# --- both sides together ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identities", [[], [IDENTITY], [OTHER_IDENTITY, IDENTITY]])
@pytest.mark.parametrize("server_key", [None, PASSWORD_KEY])
@pytest.mark.parametrize("client_key", [None, PASSWORD_KEY, WRONG_KEY])
def test_who_knows_the_password_gets_in_and_nobody_else(
    identities: list[object], server_key: bytes | None, client_key: bytes | None
) -> None:
    server = ServerSession(password_key=server_key, identities=identities)
    client = ClientSession(password_key=client_key)
    if server_key is None or client_key == server_key:
        of_server, of_client = converse(server, client)
        if len(identities) > 1 and not of_client:
            server.hello_timeout()
            of_server, of_client = converse(server, client)
        expected = HandshakeDone(True, authenticated=server_key is not None)
        assert of_server == [expected]
        identity = identities[0].public_key if identities else None
        assert of_client == [HandshakeDone(True, identity, server_key is not None)]
        assert server.shared_key == client.shared_key
        return
    with pytest.raises(AuthenticationError) as caught:
        for _ in range(3):
            converse(server, client)
    assert caught.value.exit_code == 62
    if client_key is None:
        assert "wants a password" in str(caught.value)
        return
    client.receive_data(server.data_to_send())
    with pytest.raises(AuthenticationError, match="wrong password"):
        client.next_event()


def test_a_server_that_does_not_know_the_password_is_found_out() -> None:
    client = ClientSession(password_key=PASSWORD_KEY, random=scripted(CLIENT_SECRET, CLIENT_NONCE, SESSION_ID))
    feed(client, ProtocolVersion(3), CryptoParameters(), KeyExchangeInit(SERVER_PUBLIC), AuthChallenge(1, SERVER_NONCE))
    error = refused(client, encode(ServerAuthResponse(CLIENT_TAG)), AuthenticationError)
    assert "does not know the password" in str(error)


def test_a_client_can_refuse_a_servers_identity() -> None:
    seen: list[bytes | None] = []

    def refuse(identity: bytes | None) -> None:
        seen.append(identity)
        raise VerificationError("not the one I know")

    for identities in ([IDENTITY], []):
        server, client = ServerSession(identities=identities), ClientSession(check_identity=refuse)
        with pytest.raises(VerificationError, match="not the one I know"):
            converse(server, client)
        assert client.data_to_send() in (b"", encode(Ping())), "our key is not given to it"
    assert seen == [IDENTITY.public_key, None]


def test_an_identity_that_the_server_does_not_own_is_refused() -> None:
    client = ClientSession()
    feed(client, ProtocolVersion(1), CryptoParameters(authentication=1, identity_size=32, signature_size=64))
    forged = KeyExchangeInit(SERVER_PUBLIC, IDENTITY.public_key, OTHER_IDENTITY.sign(SERVER_PUBLIC))
    error = refused(client, encode(forged), VerificationError)
    assert "without owning it" in str(error)
    assert_failed_for_good(client, error)


def test_an_identity_that_was_announced_must_be_shown() -> None:
    client = ClientSession()
    feed(client, ProtocolVersion(1), CryptoParameters(authentication=1, identity_size=32, signature_size=64))
    assert "did not show it" in str(refused(client, encode(KeyExchangeInit(SERVER_PUBLIC)), VerificationError))


@pytest.mark.parametrize("hello", [ClientHello(OTHER_IDENTITY.public_key), Ping()])
def test_a_client_may_choose_among_identities_or_take_the_default(hello: Message) -> None:
    server = ServerSession(identities=[IDENTITY, OTHER_IDENTITY])
    feed(server, ProtocolVersion(1), CryptoCapabilities())
    assert server.waiting_for_hello
    server.data_to_send()
    feed(server, hello)
    assert not server.waiting_for_hello
    shown = KeyExchangeInit.decode_payload(server.data_to_send()[22:])
    expected = OTHER_IDENTITY if isinstance(hello, ClientHello) else IDENTITY
    assert shown.identity == expected.public_key


def test_a_server_with_one_identity_takes_a_hello_for_it_and_refuses_another() -> None:
    server = ServerSession(identities=[IDENTITY])
    feed(server, ProtocolVersion(1), CryptoCapabilities(), ClientHello(IDENTITY.public_key))
    server.receive_data(encode(KeyExchangeResponse(CLIENT_PUBLIC)))
    assert server.next_event() == HandshakeDone(True)
    other = ServerSession(identities=[IDENTITY])
    feed(other, ProtocolVersion(1), CryptoCapabilities())
    assert "not ours" in str(refused(other, encode(ClientHello(OTHER_IDENTITY.public_key)), HandshakeError))


# --- plaintext --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [CAPABILITIES, ProtocolVersion(0)])
def test_plaintext_needs_a_server_that_allows_it(start: Message) -> None:
    willing = ServerSession(allow_plaintext=True)
    willing.receive_data(encode(start))
    assert willing.next_event() == HandshakeDone(encrypted=False)
    assert willing.next_event() == (CAPABILITIES if isinstance(start, Capabilities) else None)
    assert "insists on it" in str(refused(ServerSession(), encode(start), HandshakeError))


@pytest.mark.parametrize("start", [CAPABILITIES, ProtocolVersion(0)])
def test_plaintext_never_goes_around_a_password(start: Message) -> None:
    server = ServerSession(password_key=PASSWORD_KEY, allow_plaintext=True)
    error = refused(server, encode(start), AuthenticationError)
    assert server.data_to_send() == encode(AuthFailed(1))
    assert_failed_for_good(server, error)


def test_a_client_is_not_talked_out_of_encryption() -> None:
    client = ClientSession()
    assert "chose 0x00" in str(refused(client, encode(ProtocolVersion(0)), HandshakeError))
    client = ClientSession(password_key=PASSWORD_KEY)
    assert "chose 0x01" in str(refused(client, encode(ProtocolVersion(1)), HandshakeError))


@pytest.mark.parametrize("mode", [2, 4, 0x81])
def test_modes_that_mean_nothing_are_refused(mode: int) -> None:
    with pytest.raises(PeerError):
        server = ServerSession(allow_plaintext=True)
        server.receive_data(encode_packet(PacketType.PROTOCOL_VERSION, b"\0\1\0\0" + bytes([mode]) + bytes(11)))
        list(events(server))


# --- weak and wrong parameters ----------------------------------------------------------------------------------------


def test_keys_that_make_the_secret_predictable_are_refused() -> None:
    server, client = ServerSession(), ClientSession()
    feed(server, ProtocolVersion(1), CryptoCapabilities())
    assert "low order" in str(refused(server, encode(KeyExchangeResponse(LOW_ORDER_POINT)), HandshakeError))
    feed(client, ProtocolVersion(1), CryptoParameters())
    assert "low order" in str(refused(client, encode(KeyExchangeInit(LOW_ORDER_POINT)), HandshakeError))


@pytest.mark.parametrize("offer", [{"key_exchange": 2}, {"cipher": 2}, {"key_exchange": 0, "cipher": 0}])
def test_a_client_without_our_algorithms_is_refused(offer: dict[str, int]) -> None:
    server = ServerSession()
    feed(server, ProtocolVersion(1))
    assert "no common algorithms" in str(refused(server, encode(CryptoCapabilities(**offer)), HandshakeError))


@pytest.mark.parametrize(
    "choice",
    [{"key_exchange": 2}, {"cipher": 0}, {"key_exchange_size": 16}, {"identity_size": 31}, {"signature_size": 63}],
)
def test_a_server_with_other_algorithms_is_refused(choice: dict[str, int]) -> None:
    client = ClientSession()
    feed(client, ProtocolVersion(1))
    assert "the server" in str(refused(client, encode(CryptoParameters(**choice)), HandshakeError))


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize("name", ["crypto capabilities", "key exchange response", "auth response"])
def test_a_servers_steps_take_only_payloads_of_the_right_size(name: str, change: int) -> None:
    server = at_step(SERVER_STEPS, {"crypto": "algorithms", "key": "key", "auth": "answer"}[name.split(maxsplit=1)[0]])
    message, packet = VECTORS[name]
    payload = packet[22:] + bytes(change) if change > 0 else packet[22:change]
    refused(server, encode_packet(message.type, payload), PeerError)


def test_a_full_server_is_told_from_a_broken_one() -> None:
    client = ClientSession()
    error = refused(client, b"SERVER_FULL: Maximum client limit reached\n", ServerFull)
    assert_failed_for_good(client, error)
    with pytest.raises(ProtocolError):
        refused(ClientSession(), b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(40), ServerFull)


# --- everything that is out of order ----------------------------------------------------------------------------------

SERVER_STEPS: dict[str, tuple[dict[str, object], tuple[Message, ...], set[int]]] = {
    "version": ({}, (), {PacketType.PROTOCOL_VERSION}),
    "algorithms": (
        {},
        (ProtocolVersion(1),),
        {PacketType.CRYPTO_CAPABILITIES},
    ),
    "hello": (
        {"identities": [IDENTITY, OTHER_IDENTITY]},
        (ProtocolVersion(1), CryptoCapabilities()),
        {PacketType.CRYPTO_CLIENT_HELLO, PacketType.PING},
    ),
    "key or hello": (
        {"identities": [IDENTITY]},
        (ProtocolVersion(1), CryptoCapabilities()),
        {PacketType.CRYPTO_CLIENT_HELLO, PacketType.PING, PacketType.CRYPTO_KEY_EXCHANGE_RESP},
    ),
    "key": (
        {"identities": [IDENTITY]},
        (ProtocolVersion(1), CryptoCapabilities(), Ping()),
        {PacketType.CRYPTO_KEY_EXCHANGE_RESP},
    ),
    "answer": (
        {"password_key": PASSWORD_KEY},
        (ProtocolVersion(1), CryptoCapabilities(), KeyExchangeResponse(CLIENT_PUBLIC)),
        {PacketType.CRYPTO_AUTH_RESPONSE},
    ),
}
"""How a server gets to each step, and what it then takes."""

CLIENT_STEPS: dict[str, tuple[dict[str, object], tuple[Message, ...], set[int]]] = {
    "version": ({}, (), {PacketType.PROTOCOL_VERSION}),
    "parameters": ({}, (ProtocolVersion(1),), {PacketType.CRYPTO_PARAMETERS}),
    "key": ({}, (ProtocolVersion(1), CryptoParameters()), {PacketType.CRYPTO_KEY_EXCHANGE_INIT}),
    "verdict": (
        {},
        (ProtocolVersion(1), CryptoParameters(), KeyExchangeInit(SERVER_PUBLIC)),
        {PacketType.CRYPTO_HANDSHAKE_COMPLETE},
    ),
    "proof": (
        {"password_key": PASSWORD_KEY},
        (ProtocolVersion(3), CryptoParameters(), KeyExchangeInit(SERVER_PUBLIC), AuthChallenge(1, SERVER_NONCE)),
        {PacketType.CRYPTO_SERVER_AUTH_RESP},
    ),
}


def at_step(steps: dict[str, tuple[dict[str, object], tuple[Message, ...], set[int]]], name: str) -> Session:
    options, messages, _ = steps[name]
    session = ServerSession(**options) if steps is SERVER_STEPS else ClientSession(**options)
    feed(session, *messages)
    session.data_to_send()
    return session


@pytest.mark.parametrize("name", SERVER_STEPS)
def test_a_server_refuses_every_packet_that_is_out_of_order(name: str) -> None:
    for kind in set(ALL_TYPES) - SERVER_STEPS[name][2]:
        session = at_step(SERVER_STEPS, name)
        error = refused(session, encode_packet(kind, payload_of(kind)), HandshakeError)
        answer = session.data_to_send()
        assert answer in (b"", encode(AuthFailed(0))), f"nothing is given away after {kind}"
        assert_failed_for_good(session, error)


@pytest.mark.parametrize("name", CLIENT_STEPS)
def test_a_client_refuses_every_packet_that_is_out_of_order(name: str) -> None:
    for kind in set(ALL_TYPES) - CLIENT_STEPS[name][2]:
        session = at_step(CLIENT_STEPS, name)
        error = refused(session, encode_packet(kind, payload_of(kind)), PeerError)
        is_refusal = kind == PacketType.CRYPTO_AUTH_FAILED or (name, kind) == (
            "verdict",
            PacketType.CRYPTO_AUTH_CHALLENGE,
        )
        assert type(error) is (AuthenticationError if is_refusal else HandshakeError), kind
        assert session.data_to_send() == b""
        assert_failed_for_good(session, error)


@pytest.mark.parametrize("name", SERVER_STEPS)
def test_the_time_out_for_a_hello_only_acts_where_one_is_awaited(name: str) -> None:
    server = at_step(SERVER_STEPS, name)
    assert isinstance(server, ServerSession)
    server.hello_timeout()
    assert bool(server.data_to_send()) is (name == "hello")


@pytest.mark.parametrize(
    ("reasons", "words"),
    [(1, "wants a password"), (2, "wrong password"), (4, "known client keys"), (8, "does not know our client key")]
    + [(16, "could not verify"), (3, "wants a password: .*; wrong password"), (0, "without a reason")],
)
def test_a_refusal_says_why_in_words(reasons: int, words: str) -> None:
    client = at_step(CLIENT_STEPS, "verdict")
    error = refused(client, encode(AuthFailed(reasons)), AuthenticationError)
    assert re.search(words, str(error))
    assert isinstance(error, AuthenticationError)
    assert error.reasons == reasons


def test_a_server_that_only_admits_client_keys_is_understood() -> None:
    client = at_step(CLIENT_STEPS, "verdict")
    assert "client keys" in str(refused(client, encode(AuthChallenge(2, SERVER_NONCE)), AuthenticationError))


def test_proofs_of_other_connections_prove_nothing() -> None:
    server = ServerSession(password_key=PASSWORD_KEY)
    feed(server, ProtocolVersion(1), CryptoCapabilities(), KeyExchangeResponse(CLIENT_PUBLIC))
    server.data_to_send()
    error = refused(server, encode(AuthResponse(CLIENT_TAG, CLIENT_NONCE)), AuthenticationError)
    assert server.data_to_send() == encode(AuthFailed(2))
    assert_failed_for_good(server, error)
