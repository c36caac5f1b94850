"""Any message survives any chunking; any damage gives a message or a clean error.

``HYPOTHESIS_PROFILE=long`` (see tests/conftest.py) tries hundreds of times as many inputs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from teleglyph.errors import PeerError
from teleglyph.server.call_rooms import RoomAccess
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
    Compression,
    CryptoCapabilities,
    CryptoParameters,
    ErrorMessage,
    Event,
    HandshakeComplete,
    HandshakeDone,
    HevcFrame,
    ImageFrame,
    KeyExchangeInit,
    KeyExchangeResponse,
    Message,
    NoEncryption,
    OpusBatch,
    PacketDecoder,
    PageHello,
    PageWelcome,
    Ping,
    Pong,
    ProtocolVersion,
    RekeyComplete,
    RekeyRequest,
    RekeyResponse,
    RemoteLog,
    Roster,
    RosterEntry,
    ScreenUpdate,
    ServerAuthResponse,
    ServerSession,
    ServerState,
    Session,
    SessionState,
    StreamStart,
    StreamStop,
    encode,
)
from teleglyph.wire.page import PageServerSession, PasswordDigest
from unit.wire.examples import PASSWORD_KEY, established, events

U8, U16, U32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
KEY = st.binary(min_size=32, max_size=32)
SIDE = st.integers(1, 8192)
KINDS = st.sampled_from([1, 2, 3])
OPUS_FRAMES = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8).map(tuple)
SAMPLES = st.integers(1, 100).flatmap(lambda count: st.binary(min_size=4 * count, max_size=4 * count))


def text(maximum: int) -> st.SearchStrategy[str]:
    """Text without NUL of at most ``maximum`` bytes in UTF-8."""
    characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.text(characters, max_size=maximum).filter(lambda value: len(value.encode()) <= maximum)


def image(width: int, height: int, data: bytes, timestamp: int) -> ImageFrame:
    size = 3 * width * height
    return ImageFrame(width, height, (data * (size // len(data) + 1))[:size], 1, timestamp)


MESSAGES: dict[type[Message], st.SearchStrategy[Message]] = {
    ProtocolVersion: st.builds(ProtocolVersion, st.sampled_from([0, 1, 3])),
    ClientHello: st.builds(ClientHello, KEY),
    CryptoCapabilities: st.builds(CryptoCapabilities, U16, U16, U16, U8),
    CryptoParameters: st.builds(CryptoParameters, U8, U8, U8, U8, U16, U16, U16),
    KeyExchangeInit: st.builds(KeyExchangeInit, KEY)
    | st.builds(KeyExchangeInit, KEY, KEY, st.binary(min_size=64, max_size=64)),
    KeyExchangeResponse: st.builds(KeyExchangeResponse, KEY),
    AuthChallenge: st.builds(AuthChallenge, U8, KEY),
    AuthResponse: st.builds(AuthResponse, KEY, KEY),
    AuthFailed: st.builds(AuthFailed, st.integers(0, 31)),
    ServerAuthResponse: st.builds(ServerAuthResponse, KEY),
    HandshakeComplete: st.just(HandshakeComplete()),
    NoEncryption: st.just(NoEncryption()),
    RekeyRequest: st.builds(RekeyRequest, KEY),
    RekeyResponse: st.builds(RekeyResponse, KEY),
    RekeyComplete: st.just(RekeyComplete()),
    ErrorMessage: st.builds(ErrorMessage, U32, text(200)),
    RemoteLog: st.builds(RemoteLog, st.integers(0, 5), KINDS.filter(lambda kind: kind < 3), text(200)),
    AsciiFrame: st.builds(
        AsciiFrame,
        *(st.integers(1, 16384), st.integers(1, 16384)),
        st.binary(max_size=500).map(lambda data: data.replace(b"\0", b" ")),
        *(st.booleans(), st.booleans(), st.just(False)),
    ),
    ImageFrame: st.builds(image, st.integers(1, 40), st.integers(1, 40), st.binary(min_size=1, max_size=50), U32),
    HevcFrame: st.builds(
        HevcFrame, SIDE, SIDE, st.binary(max_size=200).map(lambda data: b"\0\0\0\1" + data), st.booleans()
    ),
    OpusBatch: st.builds(OpusBatch, st.just(48000), st.just(20), OPUS_FRAMES),
    AudioBatch: st.builds(AudioBatch, st.just(48000), st.just(1), SAMPLES),
    Capabilities: st.builds(
        Capabilities,
        width=st.integers(1, 4096),
        height=st.integers(1, 4096),
        color_level=st.integers(0, 3),
        render_mode=st.integers(0, 2),
        utf8=st.booleans(),
        desired_fps=st.integers(1, 144),
        wants_padding=st.booleans(),
        palette_type=st.integers(0, 6),
        palette_custom=text(60),
        terminal_flags=U32,
        color_count=U32,
        term_type=text(30),
        colorterm=text(30),
        color_filter=U8,
        video_codecs=U32,
        audio_codecs=U32,
    ),
    Ping: st.just(Ping()),
    Pong: st.just(Pong()),
    ClientJoin: st.builds(ClientJoin, text(30).filter(bool), st.integers(1, 7)),
    ClientLeave: st.builds(ClientLeave, text(200)),
    StreamStart: st.builds(StreamStart, KINDS),
    StreamStop: st.builds(StreamStop, KINDS),
    ClearConsole: st.just(ClearConsole()),
    ServerState: st.builds(ServerState, U32, U32),
    PageHello: st.builds(PageHello, U32, text(128), text(256), text(400), U16),
    PageWelcome: st.builds(PageWelcome, U32, U32, U8, text(128), text(64)),
    Roster: st.builds(
        Roster,
        st.lists(st.builds(RosterEntry, U32, U8, U8, U16, U16, U16, U16, text(128)), max_size=5).map(tuple),
    ),
    ScreenUpdate: st.builds(
        ScreenUpdate,
        *(st.integers(1, 2**32 - 1), U32, st.integers(1, 4096), st.integers(1, 4096), st.binary(max_size=500), U8, U16),
        st.sampled_from(Compression),
    ),
}
ANY_MESSAGE = st.sampled_from(sorted(MESSAGES, key=lambda kind: kind.__name__)).flatmap(MESSAGES.__getitem__)
CUTS = st.lists(st.integers(0, 2**16), max_size=12)
Damage = Callable[[bytes], bytes]


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """One way to damage bytes."""
    kind = draw(st.sampled_from(["flip", "set", "cut", "insert", "swap", "repeat", "length"]))
    one, other, value = (
        draw(st.integers(0, 2**16)),
        draw(st.integers(0, 2**16)),
        draw(st.binary(min_size=1, max_size=4)),
    )

    def damage(data: bytes) -> bytes:
        if not data:
            return value
        start, end = sorted((one % len(data), other % len(data)))
        match kind:
            case "flip":
                return data[:start] + bytes([data[start] ^ (1 << other % 8)]) + data[start + 1 :]
            case "set":
                return data[:start] + value + data[start + len(value) :]
            case "cut":
                return data[:start] + data[end:]
            case "insert":
                return data[:start] + value + data[start:]
            case "swap":
                return data[end:] + data[start:end] + data[:start]
            case "repeat":
                return data[:end] + data[start:]
        return data[:10] + value.rjust(4, b"\0") + data[14:]

    return damage


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def same(one: Event, other: Event) -> bool:
    """Whether messages are equal; received pictures are views of the received bytes."""
    return type(one) is type(other) and encode(one) == encode(other)  # type: ignore[arg-type]


@given(st.lists(ANY_MESSAGE, min_size=1, max_size=4), CUTS)
def test_messages_survive_any_chunking(messages: list[Message], cuts: list[int]) -> None:
    decoder = PacketDecoder()
    received = []
    for chunk in chunks(b"".join(map(encode, messages)), cuts):
        decoder.feed(chunk)
        while (packet := decoder.next_packet()) is not None:
            received.append(packet)
    assert [packet.type for packet in received] == [message.type for message in messages]
    for packet, message in zip(received, messages, strict=True):
        assert same(type(message).decode_payload(packet.payload), message)


@given(ANY_MESSAGE, st.lists(damages(), min_size=1, max_size=3))
def test_a_damaged_payload_gives_a_message_or_a_clean_error(message: Message, harm: list[Damage]) -> None:
    payload = encode(message)[22:]
    for damage in harm:
        payload = damage(payload)
    try:
        decoded = type(message).decode_payload(payload)
    except PeerError as error:
        assert str(error)
    else:
        assert isinstance(decoded, Event)


@given(ANY_MESSAGE, st.lists(damages(), min_size=1, max_size=3), CUTS)
def test_damaged_packets_give_packets_or_a_clean_error(message: Message, harm: list[Damage], cuts: list[int]) -> None:
    data = encode(message)
    for damage in harm:
        data = damage(data)
    decoder = PacketDecoder()
    try:
        for chunk in chunks(data, cuts):
            decoder.feed(chunk)
            while decoder.next_packet() is not None:
                pass
    except PeerError as error:
        assert str(error)


def run(session: Session, data: bytes, cuts: list[int]) -> list[Event]:
    """Feed a session; return its events until the end or the first error, which must be clean."""
    received: list[Event] = []
    try:
        for chunk in chunks(data, cuts):
            session.receive_data(chunk)
            received += events(session)
    except PeerError as error:
        assert str(error)
        assert session.state is SessionState.FAILED
    session.data_to_send()
    return received


@given(st.binary(max_size=300), CUTS, st.booleans(), st.booleans())
def test_random_bytes_never_establish_a_session(data: bytes, cuts: list[int], is_server: bool, password: bool) -> None:
    key = PASSWORD_KEY if password else None
    session = ServerSession(password_key=key) if is_server else ClientSession(password_key=key)
    assert run(session, data, cuts) == []
    assert session.state is not SessionState.ESTABLISHED


@given(st.lists(damages(), min_size=1, max_size=2), st.integers(0, 3), st.booleans(), st.booleans(), CUTS)
def test_a_damaged_handshake_ends_cleanly_or_with_the_same_secret(
    harm: list[Damage], hit: int, of_server: bool, password: bool, cuts: list[int]
) -> None:
    key = PASSWORD_KEY if password else None
    server, client = ServerSession(password_key=key), ClientSession(password_key=key)
    done = {"server": False, "client": False}
    for step in range(8):
        to_server, to_client = client.data_to_send(), server.data_to_send()
        if step // 2 == hit:
            for damage in harm:
                to_server, to_client = (damage(to_server), to_client) if of_server else (to_server, damage(to_client))
        for name, session, data in (("server", server, to_server), ("client", client, to_client)):
            if session.state is SessionState.HANDSHAKE:
                done[name] |= any(isinstance(event, HandshakeDone) for event in run(session, data, cuts))
    if done["server"] and done["client"] and password:
        assert server.shared_key == client.shared_key


@given(MESSAGES[PageHello], st.lists(damages(), max_size=2), CUTS)
def test_only_the_password_admits_a_page(hello: PageHello, harm: list[Damage], cuts: list[int]) -> None:
    room = RoomAccess("lobby", password=PasswordDigest("correct horse"))
    session = PageServerSession(lambda _: room)
    data = encode(hello)
    for damage in harm:
        data = damage(data)
    assert run(session, data, cuts) == []
    assert session.state is not SessionState.ESTABLISHED


@given(st.lists(ANY_MESSAGE, min_size=1, max_size=3), st.lists(damages(), min_size=1, max_size=2), CUTS, st.booleans())
def test_damaged_encrypted_streams_give_sent_messages_or_a_clean_error(
    messages: list[Message], harm: list[Damage], cuts: list[int], to_server: bool
) -> None:
    server, client = established()
    sender, receiver = (client, server) if to_server else (server, client)
    data = b"".join(sender.seal(encode(message)) for message in messages)
    for damage in harm:
        data = damage(data)
    sent = [encode(message) for message in messages]
    for event in run(receiver, data, cuts):
        if isinstance(event, Message):
            assert encode(event) in sent, "only sent messages arrive"
