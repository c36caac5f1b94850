"""Messages about screens: bytes, limits and negotiation."""

import zlib

import pytest

from teleglyph.errors import BadDataError, HandshakeError, PeerError, ProtocolError
from teleglyph.wire.acip import (
    AS_CAPABILITIES,
    MAX_PLACES,
    Capabilities,
    ClientSession,
    Compression,
    Feature,
    HandshakeDone,
    PictureRequest,
    ScreenAck,
    ScreenUpdate,
    ServerSession,
    ViewFlag,
    ViewSettings,
    ViewState,
    encode,
)
from teleglyph.wire.acip.messages.base import Message
from teleglyph.wire.acip.packet import encode_packet

MESSAGES = [
    (
        ScreenUpdate(7, 6, 80, 24, b"body", level=0x13, rate=30),
        "00000007 00000006 0050 0018 00 13 001e 00000004 626f6479",
    ),
    (ScreenAck(7), "00000007 00"),
    (ScreenAck(0, wants_whole=True), "00000000 01"),
    (ViewSettings(), "ff 00 00 00 00000000"),
    (ViewSettings(4, ViewFlag.NAMES | ViewFlag.MIRRORED_SELF, 9, 2_000_000), "04 0c 09 00 001e8480"),
    (ViewState(0, 12), "00 0c"),
    (ViewState(11, 12, "Zoë"), "0b 0c 5a6f c3ab"),
    (PictureRequest(320, 180, 33), "0140 00b4 0021 00 00"),
    (PictureRequest(0, 0, 3000, keyframe=True), "0000 0000 0bb8 01 00"),
]


@pytest.mark.parametrize(("message", "payload"), MESSAGES, ids=lambda value: type(value).__name__)
def test_messages_have_their_known_bytes(message: Message, payload: str) -> None:
    assert message.encode_payload() == bytes.fromhex(payload)
    assert type(message).decode_payload(bytes.fromhex(payload)) == message


@pytest.mark.parametrize("compression", [Compression.ZSTD, Compression.DEFLATE])
def test_a_compressed_update_decodes_to_the_same_update(compression: Compression) -> None:
    message = ScreenUpdate(1, 0, 200, 50, bytes(10_000), compression=compression)
    payload = message.encode_payload()
    assert len(payload) < 200
    assert payload[12] == compression
    assert ScreenUpdate.decode_payload(payload) == message


def test_deflate_is_the_raw_format_of_browsers() -> None:
    body = b"the same again, " * 100
    payload = ScreenUpdate(1, 0, 80, 24, body, compression=Compression.DEFLATE).encode_payload()
    decoder = zlib.decompressobj(wbits=-15)
    assert decoder.decompress(payload[20:]) == body
    assert decoder.eof


def test_the_fast_path_to_a_packet_gives_the_same_bytes() -> None:
    message = ScreenUpdate(3, 2, 10, 5, b"\1\2\3")
    assert message.encode_packet(message.body) == encode(message)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "00000001 00000000 0050 0018 00 00 001e 000000",
        "00000000 00000000 0050 0018 00 00 001e 00000000",
        "00000001 00000000 0000 0018 00 00 001e 00000000",
        "00000001 00000000 0050 1001 00 00 001e 00000000",
        "00000001 00000000 0050 0018 00 00 001e 00000002 41",
        "00000001 00000000 0050 0018 00 00 001e 00100001",
        "00000001 00000000 0050 0018 01 00 001e 00000004 41414141",
        "00000001 00000000 0050 0018 02 00 001e 00000004 41414141",
        "00000001 00000000 0050 0018 02 00 001e 00000001 7304",
        "00000001 00000000 0050 0018 02 00 001e 00000001 73040041",
        "00000001 00000000 0050 0018 03 00 001e 00000004 41414141",
    ],
)
def test_malformed_updates_are_refused(payload: str) -> None:
    with pytest.raises(ProtocolError):
        ScreenUpdate.decode_payload(bytes.fromhex(payload))


@pytest.mark.parametrize("size", [1000, 100_001])
@pytest.mark.parametrize("compression", [Compression.ZSTD, Compression.DEFLATE])
def test_an_update_of_another_size_than_its_stated_one_is_refused(compression: Compression, size: int) -> None:
    payload = bytearray(ScreenUpdate(1, 0, 80, 24, bytes(100_000), compression=compression).encode_payload())
    payload[16:20] = size.to_bytes(4, "big")
    with pytest.raises(ProtocolError):
        ScreenUpdate.decode_payload(bytes(payload))


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(BadDataError, match="render_mode"):
        ViewSettings.decode_payload(bytes.fromhex("07 00 00 00 00000000"))


def test_any_place_up_to_the_maximum_can_have_the_spotlight() -> None:
    assert ViewSettings.decode_payload(bytes.fromhex("ff 00 ff 00 00000000")).spotlight == MAX_PLACES


@pytest.mark.parametrize("payload", ["03 02", "03", "00 00" + 65 * "41"])
def test_malformed_states_of_a_view_are_refused(payload: str) -> None:
    with pytest.raises(ProtocolError):
        ViewState.decode_payload(bytes.fromhex(payload))


def test_a_long_name_is_cut_between_characters() -> None:
    state = ViewState.decode_payload(ViewState(1, 2, "\N{GRINNING FACE}" * 40).encode_payload())
    assert state.name == "\N{GRINNING FACE}" * 16


def test_flags_of_later_versions_are_ignored() -> None:
    assert ViewSettings.decode_payload(bytes.fromhex("ff e8 00 00 00000000")).flags == ViewFlag.NAMES


@pytest.mark.parametrize("kind", [ScreenAck, ViewSettings, PictureRequest, ViewState])
def test_wrong_sizes_are_refused(kind: type[Message]) -> None:
    with pytest.raises(ProtocolError):
        kind.decode_payload(b"")


def shake_hands(client: ClientSession, server: ServerSession) -> tuple[HandshakeDone, HandshakeDone]:
    done: dict[str, HandshakeDone] = {}
    for _ in range(8):
        server.receive_data(client.data_to_send())
        for name, session in (("server", server), ("client", client)):
            event = session.next_event()
            if isinstance(event, HandshakeDone):
                done[name] = event
            if name == "server":
                client.receive_data(server.data_to_send())
        if len(done) == 2:
            return done["client"], done["server"]
    raise HandshakeError("the handshake did not end")


@pytest.mark.parametrize("ours", [Feature.NONE, Feature.SCREEN_UPDATES])
@pytest.mark.parametrize("theirs", [Feature.NONE, Feature.SCREEN_UPDATES])
@pytest.mark.parametrize("password_key", [None, b"k" * 32])
def test_screens_are_used_only_if_both_sides_support_them(
    ours: Feature, theirs: Feature, password_key: bytes | None
) -> None:
    client = ClientSession(features=ours, password_key=password_key)
    server = ServerSession(features=theirs, password_key=password_key)
    client_done, server_done = shake_hands(client, server)
    assert client_done.features == server_done.features == ours & theirs
    server.receive_data(client.seal(encode(ViewSettings(AS_CAPABILITIES))))
    server.receive_data(client.seal(encode(Capabilities(80, 24))))
    client.receive_data(server.seal(encode(PictureRequest(1, 1, 1))))
    if ours & theirs:
        assert isinstance(server.next_event(), ViewSettings)
        assert isinstance(server.next_event(), Capabilities)
        assert isinstance(client.next_event(), PictureRequest)
    else:
        for session in (server, client):
            with pytest.raises(PeerError):
                session.next_event()


def test_a_client_of_ascii_chat_sees_no_trace_of_screens() -> None:
    """Its first packet has no feature bits, and the answer has none either."""
    client, server = ClientSession(), ServerSession(features=Feature.SCREEN_UPDATES)
    server.receive_data(client.data_to_send())
    assert server.next_event() is None
    assert server.data_to_send() == encode_packet(1, bytes.fromhex("0001 0000 01 00 00 0000 00000000000000"))
