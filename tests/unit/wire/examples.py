"""Known bytes, and sessions in known states, for the tests of the wire package.

The bytes are test vectors that were not made by this code; docs/protocol/ shows some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import nacl.signing

from teleglyph.wire.acip import (
    AsciiFrame,
    AudioBatch,
    AuthChallenge,
    AuthFailed,
    AuthResponse,
    Capabilities,
    ClearConsole,
    ClientHello,
    ClientJoin,
    ClientLeave,
    ClientSession,
    CryptoCapabilities,
    CryptoParameters,
    ErrorMessage,
    Event,
    HandshakeComplete,
    HevcFrame,
    ImageFrame,
    KeyExchangeInit,
    KeyExchangeResponse,
    Message,
    NoEncryption,
    OpusBatch,
    PacketType,
    Ping,
    Pong,
    ProtocolVersion,
    RekeyComplete,
    RekeyRequest,
    RekeyResponse,
    RemoteLog,
    ServerAuthResponse,
    ServerSession,
    ServerState,
    Session,
    StreamStart,
    StreamStop,
)

SERVER_SECRET, CLIENT_SECRET = bytes(range(0x01, 0x21)), bytes(range(0x21, 0x41))
SERVER_PUBLIC = bytes.fromhex("07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c")
CLIENT_PUBLIC = bytes.fromhex("5869aff450549732cbaaed5e5df9b30a6da31cb0e5742bad5ad4a1a768f1a67b")
SHARED = bytes.fromhex("a84dc7c3c8f058b1b2dc4cd1e9b5dc0a7987f88b6a9564cde3391fc421159e77")
SERVER_NONCE, CLIENT_NONCE = bytes(range(0xA0, 0xC0)), bytes(range(0xC0, 0xE0))
SESSION_ID = bytes(range(0x10, 0x20))
PASSWORD = "correct horse"
PASSWORD_KEY = bytes.fromhex("3f033a9a1ea61c6a95c948d7f09ef77ae18004dd5e434c72e38bb70afb90c0e9")
WRONG_KEY = bytes.fromhex("6a00f5228848207d1d5d1ee53885e3e1015e595ce8a9b3c6cfbc5d7206b47f8e")
CLIENT_TAG = bytes.fromhex("32ab2fccc1e9d357a97d7fd0240ab1d8416b21052e44f0463f93c25f79b910a8")
SERVER_TAG = bytes.fromhex("d220e42959007b5327c948a668509621aea5a2983b1d61458cb453e58c936b45")
IDENTITY_SIGNATURE = bytes.fromhex(
    "42ffedf5c466b0c9a21fed7b588b83dc242c1eade27c8d5c8950f84b665b2450"
    "306aa89e92b3326cb5df1c95de380549db5788de9e18fbe41825e22d7bb75e03"
)
IDENTITY_PUBLIC = bytes.fromhex("ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c")


class SeedIdentity:
    """An Ed25519 identity from a seed of 32 equal bytes."""

    def __init__(self, seed: int) -> None:
        self._key = nacl.signing.SigningKey(bytes([seed]) * 32)

    @property
    def public_key(self) -> bytes:
        return bytes(self._key.verify_key)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data).signature


IDENTITY, OTHER_IDENTITY = SeedIdentity(0x07), SeedIdentity(0x09)

VECTORS: dict[str, tuple[Message, bytes]] = {
    name: (message, bytes.fromhex(data))
    for name, message, data in (
        ("ping", Ping(), "0000000a5c11c4a1 1389 00000000 00000000 00000000"),
        ("stream start", StreamStart(1), "0000000a5c11c4a1 138d 00000004 ba0cc8c4 00000000 00000001"),
        (
            "protocol version",
            ProtocolVersion(1),
            "0000000a5c11c4a1 0001 00000010 148fb3db 00000000 0001 0000 01 00 00 0000 00000000000000",
        ),
        (
            "error message",
            ErrorMessage(44, "oops"),
            "0000000a5c11c4a1 07d3 0000000c 6358dea8 00000000 0000002c 00000004 6f6f7073",
        ),
        (
            "remote log",
            RemoteLog(2, 1, "hello"),
            "0000000a5c11c4a1 07d4 0000000d 6e489009 00000000 02 01 0000 00000005 68656c6c6f",
        ),
        (
            "server state",
            ServerState(2, 1),
            "0000000a5c11c4a1 1390 00000020 4efe1d8c 00000000 00000002 00000001" + "00" * 24,
        ),
        (
            "client join",
            ClientJoin("bob-1234", 5),
            "0000000a5c11c4a1 138b 00000028 a55189fd 00000000 00000000 626f622d31323334" + "00" * 24 + "00000005",
        ),
        (
            "ascii frame",
            AsciiFrame(80, 24, b"\x1b[0mHi\n\x1b[0m"),
            "0000000a5c11c4a1 0bb8 00000023 fb39edd4 00000000"
            "00000050 00000018 0000000b 00000000 e872169e 00000000 1b5b306d48690a1b5b306d",
        ),
        (
            "image frame",
            ImageFrame(2, 1, bytes.fromhex("ff000000ff00")),
            "0000000a5c11c4a1 0bb9 0000001e 8ac12fdd 00000000"
            "00000002 00000001 00000001 00000000 00000000 00000000 ff0000 00ff00",
        ),
        (
            "opus batch",
            OpusBatch(48000, 20, (bytes.fromhex("fcfffe"), bytes.fromhex("f8fffe01"))),
            "0000000a5c11c4a1 0fa1 0000001b 8a2c338f 00000000"
            "0000bb80 00000014 00000002 00000000 0003 0004 fcfffe f8fffe01",
        ),
        (
            "audio batch",
            AudioBatch(48000, 1, bytes.fromhex("40000000e0000000")),
            "0000000a5c11c4a1 0fa0 00000018 d590c821 0000000000000001 00000002 0000bb80 00000001 40000000 e0000000",
        ),
        (
            "capabilities",
            Capabilities(
                width=80,
                height=24,
                color_level=3,
                palette_type=1,
                desired_fps=60,
                wants_padding=True,
                terminal_flags=0x0F,
                color_count=1 << 24,
                term_type="xterm-256color",
                colorterm="truecolor",
                video_codecs=7,
                audio_codecs=3,
            ),
            "0000000a5c11c4a1 1388 000000a8 bfc69587 00000000"
            "0000000f 00000003 01000000 00000000 0050 0018 787465726d2d323536636f6c6f72"
            + "00" * 18
            + "74727565636f6c6f72"
            + "00" * 23
            + "01 00000001 00000001"
            + "00" * 64
            + "3c 00 01 00000007 00000003",
        ),
        (
            "crypto capabilities",
            CryptoCapabilities(),
            "0000000a5c11c4a1044c0000000a10db743a00000000 00010001000100010001",
        ),
        (
            "crypto capabilities with authentication",
            CryptoCapabilities(preferred_authentication=1),
            "0000000a5c11c4a1044c0000000a0379ec4d00000000 00010001000100010101",
        ),
        (
            "crypto parameters",
            CryptoParameters(),
            "0000000a5c11c4a1044d00000012f73826b300000000 010001000020000000000020181020000000",
        ),
        (
            "crypto parameters with identity and whitelist",
            CryptoParameters(authentication=1, verification=1, identity_size=32, signature_size=64),
            "0000000a5c11c4a1044d00000012a5b144b200000000 010101010020002000400020181020000000",
        ),
        (
            "key exchange init",
            KeyExchangeInit(SERVER_PUBLIC),
            "0000000a5c11c4a1044e00000020aa3c308e00000000" + SERVER_PUBLIC.hex(),
        ),
        (
            "key exchange init with identity",
            KeyExchangeInit(SERVER_PUBLIC, IDENTITY_PUBLIC, IDENTITY_SIGNATURE),
            "0000000a5c11c4a1044e0000008064cc174600000000"
            + (SERVER_PUBLIC + IDENTITY_PUBLIC + IDENTITY_SIGNATURE).hex(),
        ),
        (
            "key exchange response",
            KeyExchangeResponse(CLIENT_PUBLIC),
            "0000000a5c11c4a1044f00000020f9c626a800000000" + CLIENT_PUBLIC.hex(),
        ),
        (
            "handshake complete",
            HandshakeComplete(),
            "0000000a5c11c4a10454000000000000000000000000",
        ),
        (
            "auth failed",
            AuthFailed(2),
            "0000000a5c11c4a10452000000081e5048c400000000 0200000000000000",
        ),
        (
            "auth challenge",
            AuthChallenge(1, SERVER_NONCE),
            "0000000a5c11c4a104500000002179c6255e00000000 01" + SERVER_NONCE.hex(),
        ),
        (
            "auth response",
            AuthResponse(CLIENT_TAG, CLIENT_NONCE),
            "0000000a5c11c4a10451000000402e4f629500000000" + (CLIENT_TAG + CLIENT_NONCE).hex(),
        ),
        (
            "server auth response",
            ServerAuthResponse(SERVER_TAG),
            "0000000a5c11c4a1045300000020145bd21500000000" + SERVER_TAG.hex(),
        ),
    )
}

SEALED_PING = bytes.fromhex(
    "0000000a5c11c4a104b00000003e0960cd7b00000000"
    "101112131415161718191a1b1c1d1e1f0000000000000001"
    "f1df627e77a5afb1e226fde976482b8a"
    "47c4705e0fced5a0fa7a990e023a0a947e749e534b0a"
)
SEALED_STREAM_START = bytes.fromhex(
    "0000000a5c11c4a104b00000004222e2ae4e00000000"
    "101112131415161718191a1b1c1d1e1f0000000000000002"
    "84e2f94ee364c2db98e15b634d35bd72"
    "8f2387fdd6f6b180e695e1c53b9bc5a0745ad08195764e78984b"
)
SEALED_PING_OTHER_KEY = bytes.fromhex(
    "0000000a5c11c4a104b00000003eeeeade0700000000"
    "101112131415161718191a1b1c1d1e1f0000000000000001"
    "8039a11a11530af0c8cdb334c1f70d60"
    "6e81383c34b557281cbbbf84e65c6264a5084fd86de4"
)

CAPABILITIES = Capabilities(80, 24)
MESSAGES: dict[int, Message] = {
    message.type: message
    for message in (
        *(message for message, _ in VECTORS.values()),
        *(Pong(), ClearConsole(), ClientLeave("bye"), StreamStop(3), NoEncryption()),
        *(RekeyRequest(CLIENT_PUBLIC), RekeyResponse(SERVER_PUBLIC), RekeyComplete()),
        ClientHello(IDENTITY_PUBLIC),
        HevcFrame(4, 2, b"\0\0\0\1\x40", keyframe=True),
        *(CAPABILITIES, ProtocolVersion(1), CryptoCapabilities(), CryptoParameters()),
        KeyExchangeInit(SERVER_PUBLIC),
        RemoteLog(2, 2, "hello"),
    )
}
"""One message of every type that has a class, valid from either side where both may send it."""


def payload_of(kind: int) -> bytes:
    """A valid payload of a packet type, empty for the types without a message class."""
    return MESSAGES[kind].encode_payload() if kind in MESSAGES else b""


ALL_TYPES = (0, *PacketType, 7, 65535)


def scripted(*values: bytes) -> Callable[[int], bytes]:
    """A source of random bytes that gives the listed values in order."""
    rest = iter(values)

    def draw(size: int) -> bytes:
        value = next(rest)
        assert len(value) == size
        return value

    return draw


def events(session: Session) -> Iterator[Event]:
    """A session's events until it needs more bytes."""
    while (event := session.next_event()) is not None:
        yield event


def converse(server: ServerSession, client: ClientSession) -> tuple[list[Event], list[Event]]:
    """Carry bytes between two sessions until neither sends any; return the events of the server and of the client."""
    of_server, of_client = list(events(server)), list(events(client))
    while True:
        to_server, to_client = client.data_to_send(), server.data_to_send()
        if not to_server and not to_client:
            return of_server, of_client
        server.receive_data(to_server)
        of_server += events(server)
        client.receive_data(to_client)
        of_client += events(client)


def established(
    server: ServerSession | None = None, client: ClientSession | None = None, *, joined: bool = True
) -> tuple[ServerSession, ClientSession]:
    """Two sessions after the handshake; ``joined`` if the client's capabilities have arrived, too."""
    server, client = server or ServerSession(), client or ClientSession()
    converse(server, client)
    if joined:
        server.receive_data(client.seal(VECTORS["capabilities"][1]))
        assert server.next_event() == VECTORS["capabilities"][0]
    return server, client
