"""The handshakes of both roles: known bytes, every possible end, and packets out of order."""

import re
from typing import Any

import pytest

from teleglyph.errors import (
    AuthenticationError,
    HandshakeError,
    PeerError,
    ProtocolError,
    RateLimitError,
    ServerFullError,
    VerificationError,
)
from teleglyph.wire.acip import (
    AuthChallenge,
    AuthFailed,
    AuthFailure,
    AuthResponse,
    Capabilities,
    ClientHello,
    ClientSession,
    CryptoCapabilities,
    CryptoParameters,
    ErrorMessage,
    HandshakeDone,
    Identity,
    KeyExchangeInit,
    KeyExchangeResponse,
    LogDirection,
    LogLevel,
    Message,
    PacketType,
    Ping,
    ProtocolVersion,
    RemoteLog,
    ServerAuthResponse,
    ServerSession,
    Session,
    SessionState,
    encode,
)
from teleglyph.wire.acip.packet import encode_packet
from teleglyph.wire.acip.primitives import authentication_tag
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
    SeedIdentity,
    converse,
    events,
    payload_of,
    scripted,
)

LOW_ORDER_POINT = bytes(32)


def feed(session: Session, *messages: Message) -> None:
    """Feed messages to a session."""
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


def test_a_server_without_password_sends_the_known_bytes() -> None:
    server = ServerSession(random=scripted(SERVER_SECRET, SESSION_ID))
    feed(server, ProtocolVersion(1))
    assert server.data_to_send() == VECTORS["protocol version"][1]
    feed(server, CryptoCapabilities())
    assert server.data_to_send() == VECTORS["crypto parameters"][1] + VECTORS["key exchange init"][1]
    server.receive_data(VECTORS["key exchange response"][1])
    assert server.next_event() == HandshakeDone(encrypted=True)
    assert server.data_to_send() == VECTORS["handshake complete"][1]
    assert server.shared_key == SHARED


def test_a_client_without_password_sends_the_known_bytes() -> None:
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


def test_a_server_with_password_sends_the_known_bytes() -> None:
    server = ServerSession(password_key=PASSWORD_KEY, random=scripted(SERVER_SECRET, SERVER_NONCE, SESSION_ID))
    feed(server, ProtocolVersion(3), CryptoCapabilities(preferred_authentication=1))
    server.data_to_send()
    feed(server, KeyExchangeResponse(CLIENT_PUBLIC))
    assert server.data_to_send() == VECTORS["auth challenge"][1]
    server.receive_data(VECTORS["auth response"][1])
    assert server.next_event() == HandshakeDone(encrypted=True, authenticated=True)
    assert server.data_to_send() == VECTORS["server auth response"][1]


def test_a_client_with_password_sends_the_known_bytes() -> None:
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


def test_a_server_with_an_identity_sends_the_known_signature() -> None:
    server = ServerSession(identities=[IDENTITY], random=scripted(SERVER_SECRET, SESSION_ID))
    feed(server, ProtocolVersion(1), CryptoCapabilities())
    assert server.data_to_send().endswith(VECTORS["key exchange init with identity"][1])


# --- both sides together ----------------------------------------------------------------------------------------------


SERVER_PASSWORDS = {"no password": None, "password": PASSWORD_KEY}
CLIENT_PASSWORDS = {"no password": None, "right password": PASSWORD_KEY, "wrong password": WRONG_KEY}
CLIENT_KEYS = {"no key": None, "right key": IDENTITY, "wrong key": OTHER_IDENTITY}


def outcome(wants_password: bool, wants_key: bool, password: str, key: str) -> tuple[str, str]:
    """The errors of the client and of the server; empty if the client is admitted."""
    if wants_password and password == "no password":
        return "The server wants a password", ""
    if wants_key and key == "no key":
        return "The server only admits known client keys", ""
    if not wants_password and password != "no password":
        return "does not ask for the password", ""
    if wants_key and key == "wrong key":
        return "does not know our client key", "is not admitted"
    if wants_password and password == "wrong password":
        return "Wrong password", "does not know the password"
    return "", ""


@pytest.mark.parametrize("key", CLIENT_KEYS)
@pytest.mark.parametrize("password", CLIENT_PASSWORDS)
@pytest.mark.parametrize("wants_key", [False, True], ids=["", "key wanted"])
@pytest.mark.parametrize("server_password", SERVER_PASSWORDS)
@pytest.mark.parametrize("identities", [[], [OTHER_IDENTITY], [OTHER_IDENTITY, IDENTITY]], ids=["0", "1", "2"])
def test_only_clients_with_the_required_proofs_are_admitted(
    identities: list[SeedIdentity], server_password: str, wants_key: bool, password: str, key: str
) -> None:
    server = ServerSession(
        password_key=SERVER_PASSWORDS[server_password],
        identities=identities,
        admits=IDENTITY.public_key.__eq__ if wants_key else None,
    )
    client = ClientSession(password_key=CLIENT_PASSWORDS[password], client_key=CLIENT_KEYS[key])
    wants_password = server_password == "password"
    to_client, to_server = outcome(wants_password, wants_key, password, key)
    results: dict[str, object] = {"server": None, "client": None}
    for _ in range(8):
        for name, session, other in (("client", client, server), ("server", server, client)):
            if results[name] is None:
                try:
                    results[name] = session.next_event()
                except AuthenticationError as error:
                    results[name] = error
            other.receive_data(session.data_to_send())
        if server.waiting_for_hello:
            server.hello_timeout()
    if not to_client:
        proven = wants_password or wants_key
        assert results["client"] == HandshakeDone(
            True, identities[0].public_key if identities else None, authenticated=proven
        )
        assert results["server"] == HandshakeDone(
            True, authenticated=proven, client_identity=IDENTITY.public_key if wants_key else None
        )
        assert server.shared_key == client.shared_key
        return
    assert isinstance(results["client"], AuthenticationError)
    assert to_client in str(results["client"])
    assert results["client"].exit_code == 62
    if to_server:
        assert to_server in str(results["server"])
    else:
        # Without a password or a list of keys the server admits everybody, and the client leaves.
        assert results["server"] is None or (not wants_password and not wants_key)


def test_a_server_that_requires_keys_sends_the_known_bytes() -> None:
    server = ServerSession(identities=[IDENTITY], admits=lambda key: True)
    feed(server, ProtocolVersion(3), CryptoCapabilities(preferred_authentication=1))
    assert server.data_to_send()[38:].startswith(
        bytes.fromhex("0000000a5c11c4a1044d00000012a5b144b200000000010101010020002000400020181020000000")
    )


def test_a_client_key_gives_the_known_signatures() -> None:
    signer = OTHER_IDENTITY
    client = ClientSession(client_key=signer, random=scripted(CLIENT_SECRET, CLIENT_NONCE, SESSION_ID))
    feed(client, ProtocolVersion(3), CryptoParameters(verification=1, signature_size=64))
    client.data_to_send()
    feed(client, KeyExchangeInit(SERVER_PUBLIC))
    shown = KeyExchangeResponse.decode_payload(client.data_to_send()[22:])
    assert shown.identity == signer.public_key
    assert shown.signature.hex().startswith("4cb603867a99d0673e00a151eddf1987903a753d736b4b839a31d9fe6c13c057")
    feed(client, AuthChallenge(2, SERVER_NONCE))
    answer = AuthResponse.decode_payload(client.data_to_send()[22:])
    assert answer.proof.hex().startswith("8497dd4bcad69a15eb6628065f0f395daba930eee287842ac4d6014f1e9195ad")
    assert answer.nonce == CLIENT_NONCE
    client.receive_data(encode(ServerAuthResponse(authentication_tag(SHARED, CLIENT_NONCE, SHARED))))
    assert client.next_event() == HandshakeDone(True, authenticated=True)


def test_an_ascii_chat_server_may_require_keys_without_an_identity() -> None:
    """It reads the start of the signature as our nonce (docs/protocol/handshake.md#crypto_auth_response)."""
    client = ClientSession(client_key=IDENTITY, random=scripted(CLIENT_SECRET, CLIENT_NONCE, SESSION_ID))
    feed(client, ProtocolVersion(3), CryptoParameters(verification=1), KeyExchangeInit(SERVER_PUBLIC))
    client.data_to_send()
    feed(client, AuthChallenge(2, SERVER_NONCE))
    payload = client.data_to_send()[22:]
    assert len(payload) == 97
    client.receive_data(encode(ServerAuthResponse(authentication_tag(SHARED, payload[:32], SHARED))))
    assert client.next_event() == HandshakeDone(True, authenticated=True)


def server_wanting_keys(*, password: bytes | None = None) -> ServerSession:
    server = ServerSession(
        password_key=password,
        admits=IDENTITY.public_key.__eq__,
        random=scripted(SERVER_SECRET, SERVER_NONCE, SESSION_ID),
    )
    feed(server, ProtocolVersion(3), CryptoCapabilities(preferred_authentication=1))
    server.data_to_send()
    return server


def shown(identity: SeedIdentity, signer: SeedIdentity | None = None) -> KeyExchangeResponse:
    return KeyExchangeResponse(CLIENT_PUBLIC, identity.public_key, (signer or identity).sign(CLIENT_PUBLIC))


def test_a_key_that_the_client_does_not_own_is_refused_before_anything_else() -> None:
    server = server_wanting_keys()
    refused(server, encode(shown(IDENTITY, signer=OTHER_IDENTITY)), AuthenticationError)
    assert server.data_to_send() == encode(AuthFailed(0x10))


@pytest.mark.parametrize(
    "proof", [OTHER_IDENTITY.sign(SERVER_NONCE), IDENTITY.sign(CLIENT_NONCE), IDENTITY.sign(CLIENT_PUBLIC), CLIENT_TAG]
)
def test_a_key_is_proved_only_by_signing_this_challenge(proof: bytes) -> None:
    """A recorded key exchange is not enough, and the short form without a signature is refused."""
    server = server_wanting_keys()
    feed(server, shown(IDENTITY))
    assert server.data_to_send() == encode(AuthChallenge(2, SERVER_NONCE))
    refused(server, encode(AuthResponse(proof, CLIENT_NONCE)), AuthenticationError)
    assert server.data_to_send() == encode(AuthFailed(0x08))


def test_with_a_password_and_keys_one_of_both_is_not_enough() -> None:
    for key, answer, reason in (
        (KeyExchangeResponse(CLIENT_PUBLIC), AuthResponse(CLIENT_TAG, CLIENT_NONCE), 0x04),
        (shown(OTHER_IDENTITY), AuthResponse(CLIENT_TAG, CLIENT_NONCE), 0x08),
        (shown(IDENTITY), AuthResponse(IDENTITY.sign(SERVER_NONCE), CLIENT_NONCE), 0x02),
    ):
        server = server_wanting_keys(password=PASSWORD_KEY)
        feed(server, key)
        server.data_to_send()
        refused(server, encode(answer), AuthenticationError)
        assert server.data_to_send() == encode(AuthFailed(reason))


def test_admission_may_change_during_a_handshake() -> None:
    admitted: set[bytes] = set()
    for expected in (AuthFailed(0x08), None):
        server = ServerSession(admits=admitted.__contains__, random=scripted(SERVER_SECRET, SERVER_NONCE, SESSION_ID))
        feed(server, ProtocolVersion(3), CryptoCapabilities(preferred_authentication=1), shown(IDENTITY))
        server.data_to_send()
        answer = encode(AuthResponse(IDENTITY.sign(SERVER_NONCE), CLIENT_NONCE))
        if expected is not None:
            refused(server, answer, AuthenticationError)
            assert server.data_to_send() == encode(expected)
            admitted.add(IDENTITY.public_key)
        else:
            server.receive_data(answer)
            assert isinstance(server.next_event(), HandshakeDone)


def test_a_client_names_the_identity_it_expects() -> None:
    server = ServerSession(identities=[IDENTITY, OTHER_IDENTITY])
    client = ClientSession(hello=OTHER_IDENTITY.public_key)
    _, of_client = converse(server, client)
    assert of_client == [HandshakeDone(True, OTHER_IDENTITY.public_key)]


def test_a_challenge_without_requirements_is_refused() -> None:
    client = ClientSession(random=scripted(CLIENT_SECRET, CLIENT_NONCE))
    feed(client, ProtocolVersion(1), CryptoParameters(), KeyExchangeInit(SERVER_PUBLIC))
    refused(client, encode(AuthChallenge(0, SERVER_NONCE)), HandshakeError)


def test_a_server_that_does_not_know_the_password_is_detected() -> None:
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
        assert client.data_to_send() in (b"", encode(Ping())), "our key is not revealed to it"
    assert seen == [IDENTITY.public_key, None]


def test_an_identity_that_the_server_does_not_own_is_refused() -> None:
    client = ClientSession()
    feed(client, ProtocolVersion(1), CryptoParameters(authentication=1, identity_size=32, signature_size=64))
    forged = KeyExchangeInit(SERVER_PUBLIC, IDENTITY.public_key, OTHER_IDENTITY.sign(SERVER_PUBLIC))
    error = refused(client, encode(forged), VerificationError)
    assert "does not own it" in str(error)
    assert_failed_for_good(client, error)


def test_an_announced_identity_must_be_proved() -> None:
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


def test_a_server_with_one_identity_accepts_a_hello_for_it_only() -> None:
    server = ServerSession(identities=[IDENTITY])
    feed(server, ProtocolVersion(1), CryptoCapabilities(), ClientHello(IDENTITY.public_key))
    server.receive_data(encode(KeyExchangeResponse(CLIENT_PUBLIC)))
    assert server.next_event() == HandshakeDone(True)
    other = ServerSession(identities=[IDENTITY])
    feed(other, ProtocolVersion(1), CryptoCapabilities())
    assert "not ours" in str(refused(other, encode(ClientHello(OTHER_IDENTITY.public_key)), HandshakeError))


# --- plaintext --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [CAPABILITIES, ProtocolVersion(0)])
def test_plaintext_works_only_if_the_server_allows_it(start: Message) -> None:
    willing = ServerSession(allow_plaintext=True)
    willing.receive_data(encode(start))
    assert willing.next_event() == HandshakeDone(encrypted=False)
    assert willing.next_event() == (CAPABILITIES if isinstance(start, Capabilities) else None)
    assert "requires it" in str(refused(ServerSession(), encode(start), HandshakeError))


@pytest.mark.parametrize("start", [CAPABILITIES, ProtocolVersion(0)])
def test_plaintext_never_bypasses_a_list_of_keys(start: Message) -> None:
    server = ServerSession(admits=lambda key: True, allow_plaintext=True)
    refused(server, encode(start), AuthenticationError)
    assert server.data_to_send() == encode(AuthFailed(4))


@pytest.mark.parametrize("start", [CAPABILITIES, ProtocolVersion(0)])
def test_plaintext_never_bypasses_a_password(start: Message) -> None:
    server = ServerSession(password_key=PASSWORD_KEY, allow_plaintext=True)
    error = refused(server, encode(start), AuthenticationError)
    assert server.data_to_send() == encode(AuthFailed(1))
    assert_failed_for_good(server, error)


def test_a_server_cannot_turn_off_a_clients_encryption() -> None:
    client = ClientSession()
    assert "chose 0x00" in str(refused(client, encode(ProtocolVersion(0)), HandshakeError))
    client = ClientSession(password_key=PASSWORD_KEY)
    assert "chose 0x01" in str(refused(client, encode(ProtocolVersion(1)), HandshakeError))


@pytest.mark.parametrize("mode", [2, 4, 0x81])
def test_unknown_modes_are_refused(mode: int) -> None:
    with pytest.raises(PeerError):
        server = ServerSession(allow_plaintext=True)
        server.receive_data(encode_packet(PacketType.PROTOCOL_VERSION, b"\0\1\0\0" + bytes([mode]) + bytes(11)))
        list(events(server))


# --- weak and wrong parameters ----------------------------------------------------------------------------------------


def test_keys_with_a_predictable_secret_are_refused() -> None:
    server, client = ServerSession(), ClientSession()
    feed(server, ProtocolVersion(1), CryptoCapabilities())
    assert "low order" in str(refused(server, encode(KeyExchangeResponse(LOW_ORDER_POINT)), HandshakeError))
    feed(client, ProtocolVersion(1), CryptoParameters())
    assert "low order" in str(refused(client, encode(KeyExchangeInit(LOW_ORDER_POINT)), HandshakeError))


@pytest.mark.parametrize("offer", [{"key_exchange": 2}, {"cipher": 2}, {"key_exchange": 0, "cipher": 0}])
def test_a_client_without_our_algorithms_is_refused(offer: dict[str, int]) -> None:
    server = ServerSession()
    feed(server, ProtocolVersion(1))
    assert "No common algorithms" in str(refused(server, encode(CryptoCapabilities(**offer)), HandshakeError))


@pytest.mark.parametrize(
    "choice",
    [{"key_exchange": 2}, {"cipher": 0}, {"key_exchange_size": 16}, {"identity_size": 31}, {"signature_size": 63}],
)
def test_a_server_with_other_algorithms_is_refused(choice: dict[str, int]) -> None:
    client = ClientSession()
    feed(client, ProtocolVersion(1))
    assert "The server" in str(refused(client, encode(CryptoParameters(**choice)), HandshakeError))


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize("name", ["crypto capabilities", "key exchange response", "auth response"])
def test_a_server_accepts_only_payloads_of_the_right_size(name: str, change: int) -> None:
    server = at_step(SERVER_STEPS, {"crypto": "algorithms", "key": "key", "auth": "answer"}[name.split(maxsplit=1)[0]])
    message, packet = VECTORS[name]
    payload = packet[22:] + bytes(change) if change > 0 else packet[22:change]
    refused(server, encode_packet(message.type, payload), PeerError)


def test_a_full_server_is_distinguished_from_a_broken_one() -> None:
    client = ClientSession()
    error = refused(client, b"SERVER_FULL: Maximum client limit reached\n", ServerFullError)
    assert_failed_for_good(client, error)
    with pytest.raises(ProtocolError):
        refused(ClientSession(), b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(40), ServerFullError)


# --- packets out of order ---------------------------------------------------------------------------------------------

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


def at_step(steps: dict[str, tuple[dict[str, Any], tuple[Message, ...], set[int]]], name: str) -> Session:
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
        assert answer in (b"", encode(AuthFailed(0))), f"nothing is revealed after {kind}"
        assert_failed_for_good(session, error)


@pytest.mark.parametrize("name", CLIENT_STEPS)
def test_a_client_refuses_every_packet_that_is_out_of_order(name: str) -> None:
    explanations = {PacketType.ERROR_MESSAGE, PacketType.REMOTE_LOG}
    for kind in set(ALL_TYPES) - CLIENT_STEPS[name][2] - explanations:
        session = at_step(CLIENT_STEPS, name)
        error = refused(session, encode_packet(kind, payload_of(kind)), PeerError)
        is_refusal = kind == PacketType.CRYPTO_AUTH_FAILED or (name, kind) == (
            "verdict",
            PacketType.CRYPTO_AUTH_CHALLENGE,
        )
        assert type(error) is (AuthenticationError if is_refusal else HandshakeError), kind
        assert session.data_to_send() == b""
        assert_failed_for_good(session, error)


REFUSED = encode(AuthFailed(AuthFailure.PASSWORD_INCORRECT))
LOG = encode(RemoteLog(LogLevel.WARN, LogDirection.SERVER_TO_CLIENT, "Wait 4 s."))


def error_message(code: int) -> bytes:
    return encode(ErrorMessage(code, "Wait 4 s."))


@pytest.mark.parametrize("name", CLIENT_STEPS)
@pytest.mark.parametrize(
    "packets",
    [(LOG, REFUSED), (REFUSED, LOG), (error_message(46), REFUSED), (REFUSED, error_message(62))],
    ids=["log, refusal", "refusal, log", "error, refusal", "refusal, error"],
)
def test_a_servers_explanation_is_part_of_a_refusal(name: str, packets: tuple[bytes, ...]) -> None:
    error = refused(at_step(CLIENT_STEPS, name), b"".join(packets), PeerError)
    assert isinstance(error, AuthenticationError)
    assert (error.reasons, error.explanation) == (AuthFailure.PASSWORD_INCORRECT, "Wait 4 s.")
    assert "wrong password" in str(error).lower()
    assert "Wait 4 s." in str(error)


@pytest.mark.parametrize("name", CLIENT_STEPS)
@pytest.mark.parametrize(
    ("code", "kind"), [(46, RateLimitError), (48, ServerFullError), (62, AuthenticationError), (7, PeerError)]
)
def test_an_error_message_alone_ends_the_handshake_with_its_meaning(
    name: str, code: int, kind: type[PeerError]
) -> None:
    error = refused(at_step(CLIENT_STEPS, name), error_message(code), PeerError)
    assert type(error) is kind
    assert "Wait 4 s." in str(error)


def test_a_server_that_sends_only_log_lines_is_given_up() -> None:
    error = refused(at_step(CLIENT_STEPS, "proof"), LOG * 9, PeerError)
    assert type(error) is HandshakeError


def test_a_log_line_alone_does_not_end_a_handshake() -> None:
    session = at_step(CLIENT_STEPS, "version")
    session.receive_data(LOG + encode(ProtocolVersion(1)))
    assert session.next_event() is None
    assert session.data_to_send(), "the handshake continues"


@pytest.mark.parametrize("identities", [(), (IDENTITY,)], ids=["no identity", "identity"])
def test_a_key_is_sent_only_to_a_server_that_requires_keys(identities: tuple[Identity, ...]) -> None:
    for wants_keys in (False, True):
        client = ClientSession(client_key=OTHER_IDENTITY)
        server = ServerSession(identities=identities, admits=(lambda _: True) if wants_keys else None)
        sent = b""
        for _ in range(10):
            server.receive_data(data := client.data_to_send())
            sent += data
            server.next_event()
            client.receive_data(server.data_to_send())
            client.next_event()
        assert client.state is server.state is SessionState.ESTABLISHED
        assert (OTHER_IDENTITY.public_key in sent) is wants_keys


@pytest.mark.parametrize("name", SERVER_STEPS)
def test_the_hello_timeout_acts_only_while_a_hello_is_expected(name: str) -> None:
    server = at_step(SERVER_STEPS, name)
    assert isinstance(server, ServerSession)
    server.hello_timeout()
    assert bool(server.data_to_send()) is (name == "hello")


# The meaning of a refusal's bits for somebody without a password or key, with one that was not sent, or that was sent.
REFUSALS: dict[int, tuple[str, str, str]] = {
    1: ("wants a password. Ask the host for it", "before it took ours", "wants a password, and did not accept ours"),
    2: (
        "wrong password, but we sent none",
        "wrong password, but has not seen",
        "Wrong password. Ask the host for the right",
    ),
    4: ("keys, and we showed none", "did not let us show ours", "keys, and did not accept ours. Ask the host to add"),
    8: ("key, but we showed none", "but has not seen it", "does not know our client key. Ask the host to add it"),
    16: ("signature, but we sent none. It", "signature, but we sent none. Ask", "verify the signature of our client"),
}


def refuse(password: bool, key: bool, asks_for_key: bool, is_late: bool, reasons: int) -> tuple[bytes, PeerError]:
    """What a client sent before it was refused, before or after its answer to the challenge, and its error."""
    client = ClientSession(
        password_key=PASSWORD_KEY if password else None,
        client_key=IDENTITY if key else None,
        random=scripted(CLIENT_SECRET, CLIENT_NONCE, SESSION_ID),
    )
    parameters = CryptoParameters(verification=int(asks_for_key), signature_size=64 if asks_for_key else 0)
    feed(client, ProtocolVersion(3 if password or key else 1), parameters, KeyExchangeInit(SERVER_PUBLIC))
    if is_late:
        feed(client, AuthChallenge(int(password) | 2 * int(key and asks_for_key), SERVER_NONCE))
    return client.data_to_send(), refused(client, encode(AuthFailed(reasons)), AuthenticationError)


@pytest.mark.parametrize("is_late", [False, True], ids=["before the proof", "after the proof"])
@pytest.mark.parametrize("asks_for_key", [False, True], ids=["", "key asked for"])
@pytest.mark.parametrize("key", [False, True], ids=["no key", "key"])
@pytest.mark.parametrize("password", [False, True], ids=["no password", "password"])
def test_the_reason_for_a_refusal_depends_on_what_was_sent(
    password: bool, key: bool, asks_for_key: bool, is_late: bool
) -> None:
    if is_late and not password and not (key and asks_for_key):
        return  # there is nothing to prove
    for reasons in range(64):
        sent, error = refuse(password, key, asks_for_key, is_late, reasons)
        password_state = 2 if CLIENT_TAG in sent else int(password)
        key_state = 2 if IDENTITY.public_key in sent else int(key)
        assert (password_state == 2, key_state == 2) == (password and is_late, key and asks_for_key)
        assert isinstance(error, AuthenticationError)
        assert error.reasons == reasons
        sentences = re.split(r" (?=The server|Wrong password)", str(error))
        bits = [bit for bit in REFUSALS if reasons & bit]
        if not bits:
            assert sentences == [f"The server refused us for an unknown reason ({reasons:#04x})."]
            continue
        for bit, sentence in zip(bits, sentences, strict=True):
            words = REFUSALS[bit][password_state if bit < 4 else key_state]
            if bit == 4 and reasons & 2 and key_state == 2:
                words = "did not say whether it knows ours"
            assert words in sentence, (reasons, sentence)
            if bit >= 4 and key_state == 2:
                assert "none" not in sentence


def test_a_key_that_the_server_gave_no_chance_to_send_is_not_called_missing() -> None:
    client = ClientSession(client_key=IDENTITY)
    feed(client, ProtocolVersion(3), CryptoParameters(), KeyExchangeInit(SERVER_PUBLIC))
    error = refused(client, encode(AuthChallenge(2, SERVER_NONCE)), AuthenticationError)
    assert "did not let us show ours" in str(error)


def test_the_error_for_a_missing_key_names_client_keys() -> None:
    client = at_step(CLIENT_STEPS, "verdict")
    assert "client keys" in str(refused(client, encode(AuthChallenge(2, SERVER_NONCE)), AuthenticationError))


def test_proofs_of_other_connections_are_refused() -> None:
    server = ServerSession(password_key=PASSWORD_KEY)
    feed(server, ProtocolVersion(1), CryptoCapabilities(), KeyExchangeResponse(CLIENT_PUBLIC))
    server.data_to_send()
    error = refused(server, encode(AuthResponse(CLIENT_TAG, CLIENT_NONCE)), AuthenticationError)
    assert server.data_to_send() == encode(AuthFailed(2))
    assert_failed_for_good(server, error)
