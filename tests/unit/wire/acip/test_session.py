"""Sessions after the handshake: what each role accepts, in which order, and what ends them."""

import pytest

from teleglyph.errors import BadDataError, CryptoError, HandshakeError, PeerError, ProtocolError
from teleglyph.wire.acip import (
    MAX_PLAINTEXT,
    AsciiFrame,
    ClientLeave,
    ClientSession,
    ImageFrame,
    Message,
    PacketType,
    Ping,
    Pong,
    RemoteLog,
    ServerSession,
    ServerState,
    Session,
    SessionState,
    encode,
)
from teleglyph.wire.acip.packet import encode_packet
from unit.wire.examples import (
    ALL_TYPES,
    CAPABILITIES,
    CLIENT_PUBLIC,
    MESSAGES,
    SHARED,
    VECTORS,
    converse,
    established,
    events,
    payload_of,
)

SERVER_TAKES = {
    PacketType.CLIENT_CAPABILITIES,
    PacketType.IMAGE_FRAME,
    PacketType.IMAGE_FRAME_H265,
    PacketType.CLIENT_JOIN,
    PacketType.CLIENT_LEAVE,
    PacketType.STREAM_START,
    PacketType.STREAM_STOP,
    PacketType.AUDIO_BATCH,
    PacketType.AUDIO_OPUS_BATCH,
    PacketType.PING,
    PacketType.PONG,
    PacketType.ERROR_MESSAGE,
}
CLIENT_TAKES = {
    PacketType.ASCII_FRAME,
    PacketType.SERVER_STATE,
    PacketType.CLEAR_CONSOLE,
    PacketType.AUDIO_BATCH,
    PacketType.AUDIO_OPUS_BATCH,
    PacketType.PING,
    PacketType.PONG,
    PacketType.ERROR_MESSAGE,
}
IGNORED_BY_SERVER = {PacketType.PROTOCOL_VERSION}
IGNORED_BY_CLIENT = {PacketType.SESSION_JOINED, PacketType.WEBRTC_SDP, PacketType.WEBRTC_ICE}


def pass_on(sender: Session, receiver: Session, packet: bytes) -> list[object]:
    receiver.receive_data(sender.seal(packet))
    return list(events(receiver))


@pytest.mark.parametrize("kind", sorted(SERVER_TAKES))
def test_a_server_accepts_client_messages(kind: PacketType) -> None:
    server, client = established()
    message = MESSAGES[kind]
    assert pass_on(client, server, encode(message)) == [message]


@pytest.mark.parametrize("kind", sorted(CLIENT_TAKES))
def test_a_client_accepts_server_messages(kind: PacketType) -> None:
    server, client = established()
    message = MESSAGES[kind]
    assert pass_on(server, client, encode(message)) == [message]


def test_log_lines_are_accepted_in_their_direction_only() -> None:
    server, client = established()
    to_client, to_server = RemoteLog(2, 1, "hello"), RemoteLog(2, 2, "hello")
    assert pass_on(server, client, encode(to_client)) == [to_client]
    assert pass_on(client, server, encode(to_server)) == [to_server]
    with pytest.raises(BadDataError, match="direction mismatch"):
        pass_on(client, server, encode(to_client))


def test_everything_else_ends_a_servers_session() -> None:
    for kind in set(ALL_TYPES) - SERVER_TAKES - IGNORED_BY_SERVER - {PacketType.REMOTE_LOG}:
        server, client = established()
        with pytest.raises(ProtocolError):
            pass_on(client, server, encode_packet(kind, payload_of(kind)))
        assert server.state is SessionState.FAILED


def test_everything_else_ends_a_clients_session() -> None:
    for kind in set(ALL_TYPES) - CLIENT_TAKES - IGNORED_BY_CLIENT - {PacketType.REMOTE_LOG}:
        server, client = established()
        with pytest.raises(ProtocolError):
            pass_on(server, client, encode_packet(kind, payload_of(kind)))


def test_a_client_sends_capabilities_first_but_may_ping_before() -> None:
    server, client = established(joined=False)
    assert pass_on(client, server, encode(Ping())) == [Ping()]
    assert pass_on(client, server, encode(CAPABILITIES)) == [CAPABILITIES]
    for kind in SERVER_TAKES - {PacketType.PING, PacketType.CLIENT_CAPABILITIES}:
        server, client = established(joined=False)
        with pytest.raises(ProtocolError, match="before CLIENT_CAPABILITIES"):
            pass_on(client, server, encode(MESSAGES[kind]))


def test_an_encrypted_session_accepts_no_plaintext() -> None:
    for message in (Ping(), CAPABILITIES, VECTORS["ascii frame"][0]):
        for session in established():
            session.receive_data(encode(message))
            with pytest.raises(ProtocolError, match="came unencrypted"):
                session.next_event()


@pytest.mark.parametrize("kind", [PacketType.CRYPTO_REKEY_REQUEST, PacketType.CRYPTO_REKEY_RESPONSE, 1203])
def test_a_limited_number_of_rekey_requests_is_ignored(kind: int) -> None:
    server, client = established()
    packet = encode_packet(kind, CLIENT_PUBLIC if kind != 1203 else b"")
    server.receive_data(packet * 1000)
    assert server.next_event() is None
    assert pass_on(client, server, encode(Ping())) == [Ping()]
    server.receive_data(packet)
    with pytest.raises(ProtocolError, match="without effect"):
        server.next_event()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (PacketType.CRYPTO_KEY_EXCHANGE_RESP, "Crypto handshake auth challenge failed"),
        (PacketType.CRYPTO_AUTH_RESPONSE, "Crypto handshake complete failed"),
        (PacketType.CRYPTO_NO_ENCRYPTION, "Encryption mode mismatch"),
    ],
)
def test_a_client_that_repeats_the_handshake_gets_a_reason_before_the_close(kind: PacketType, reason: str) -> None:
    server, _ = established()
    server.receive_data(encode_packet(kind, payload_of(kind)))
    with pytest.raises(BadDataError, match=reason):
        server.next_event()


def test_a_handshake_cannot_be_repeated() -> None:
    server, client = established()
    client.receive_data(VECTORS["key exchange init"][1])
    with pytest.raises(HandshakeError, match="after the handshake"):
        client.next_event()
    assert server.state is SessionState.ESTABLISHED


def test_packets_repeated_reflected_or_from_another_session_are_refused() -> None:
    server, client = established()
    sealed = client.seal(encode(Ping()))
    server.receive_data(sealed)
    assert server.next_event() == Ping()
    server.receive_data(sealed)
    with pytest.raises(CryptoError, match="sent before"):
        server.next_event()

    server, client = established()
    client.receive_data(client.seal(encode(Ping())))
    with pytest.raises(CryptoError, match="Our own packet"):
        client.next_event()

    server, client = established()
    _, stranger = established()
    server.receive_data(stranger.seal(encode(Ping())))
    with pytest.raises(CryptoError):
        server.next_event()


def test_an_encrypted_packet_holds_exactly_one_packet() -> None:
    for inner in (b"", encode(Ping())[:-1], encode(Ping()) + b"x", encode(Ping()) * 2):
        server, client = established()
        assert client._cipher is not None
        nonce, sealed = client._cipher.seal(inner)
        server.receive_data(encode_packet(PacketType.ENCRYPTED, nonce + sealed))
        with pytest.raises(PeerError):
            server.next_event()


def test_encryption_is_not_nested() -> None:
    server, client = established()
    with pytest.raises(ProtocolError, match="must not be encrypted"):
        pass_on(client, server, client.seal(encode(Ping())))


def test_events_before_a_fault_are_delivered_and_the_fault_stays() -> None:
    server, client = established()
    server.receive_data(client.seal(encode(Ping())) + client.seal(encode(Pong())) + b"junk" * 10)
    assert [server.next_event(), server.next_event()] == [Ping(), Pong()]
    for _ in range(2):
        with pytest.raises(ProtocolError):
            server.next_event()
    server.receive_data(client.seal(encode(Ping())))
    with pytest.raises(ProtocolError):
        server.next_event()


def test_a_failed_session_can_still_send_the_reason() -> None:
    server, client = established()
    server.receive_data(b"junk" * 10)
    with pytest.raises(ProtocolError):
        server.next_event()
    farewell = VECTORS["error message"]
    assert pass_on(server, client, farewell[1]) == [farewell[0]]


def test_nothing_is_sealed_before_the_handshake_is_complete() -> None:
    for session in (ServerSession(), ClientSession(), ServerSession(allow_plaintext=True)):
        with pytest.raises(RuntimeError, match="before its handshake"):
            session.seal(encode(Ping()))


def test_messages_are_unencrypted_if_both_sides_agreed() -> None:
    server, client = ServerSession(allow_plaintext=True), ClientSession(encrypt=False)
    assert not client.next_event().encrypted  # type: ignore[union-attr]
    server.receive_data(client.seal(encode(CAPABILITIES)))
    assert [type(event).__name__ for event in events(server)] == ["HandshakeDone", "Capabilities"]
    assert server.seal(encode(Ping())) == encode(Ping())
    assert pass_on(server, client, encode(ServerState(1, 0))) == [ServerState(1, 0)]


def test_the_largest_message_arrives_and_a_larger_one_is_not_sealed() -> None:
    server, client = established()
    width = (MAX_PLAINTEXT - 46) // 3
    rows, columns = width // 500, 500
    picture = ImageFrame(columns, rows, bytes(3 * columns * rows))
    received = pass_on(client, server, encode(picture))
    assert isinstance(received[0], ImageFrame)
    assert bytes(received[0].pixels) == picture.pixels
    with pytest.raises(ValueError, match="exceeds"):
        client.seal(bytes(MAX_PLAINTEXT + 1))


def test_a_client_drops_frames_over_its_size_limit() -> None:
    server, client = established(client=ClientSession(max_frame_text=100))
    small, large = AsciiFrame(80, 24, b"x" * 100), AsciiFrame(80, 24, b"x" * 101)
    received = pass_on(server, client, encode(large)) + pass_on(server, client, encode(small))
    assert [type(event).__name__ for event in received] == ["DroppedFrame", "AsciiFrame"]


def test_the_text_of_a_session_contains_no_secret() -> None:
    server, client = ServerSession(), ClientSession()
    converse(server, client)
    assert server.shared_key == client.shared_key
    assert server.shared_key != SHARED
    assert server.shared_key is not None
    for thing in (server, client, server._handshake, server._handshake.result, server._cipher):
        assert server.shared_key.hex() not in repr(thing)
        assert repr(server.shared_key) not in repr(thing)


def test_a_goodbye_is_accepted() -> None:
    server, client = established()
    message: Message = ClientLeave("bye")
    assert pass_on(client, server, encode(message)) == [message]
