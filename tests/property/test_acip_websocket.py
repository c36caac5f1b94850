"""Any bytes on a WebSocket for calls give packets or a clean error, in both roles and in every phase.

``HYPOTHESIS_PROFILE=long`` (see tests/conftest.py) tries hundreds of times as many inputs.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teleglyph.errors import PeerError
from teleglyph.net.acip_websocket import LIKE_TCP, MAX_MESSAGE, SERVER_FIRST, SUBPROTOCOLS, AcipWebSocket
from teleglyph.net.http_proxy import MAX_ANSWER, Answer
from teleglyph.net.websocket_client import ClientWebSocket
from teleglyph.net.websocket_server import ServerWebSocket
from teleglyph.wire.acip import ClientSession, Feature, Ping, ServerSession, encode
from teleglyph.wire.acip.packet import encode_packet
from teleglyph.wire.acip.packet_type import PacketType

PAYLOADS = (
    st.binary(max_size=60)
    | st.builds(encode_packet, st.sampled_from(list(PacketType)), st.binary(max_size=200))
    | st.just(encode(Ping()) * 2)
)
FRAMES = st.tuples(st.integers(0, 255), PAYLOADS)
"""First bytes, with opcode and flags, and payloads of frames."""
WHOLE_FRAMES = st.tuples(st.sampled_from([0x80, 0x81, 0x82, 0x82, 0x82, 0x02, 0x88, 0x89, 0x8A]), PAYLOADS)
PIECES = st.lists(st.binary(max_size=40) | FRAMES | WHOLE_FRAMES, max_size=8)


def serialized(piece: bytes | tuple[int, bytes], *, masked: bool) -> bytes:
    """A frame with a mask of zeros, or bytes as they are."""
    if isinstance(piece, bytes):
        return piece
    first, data = piece
    bit, mask = (0x80, bytes(4)) if masked else (0, b"")
    size = bytes([bit | len(data)]) if len(data) < 126 else bytes([bit | 126]) + len(data).to_bytes(2, "big")
    return bytes([first]) + size + mask + data


def drain(session: AcipWebSocket) -> None:
    """Read everything, as a connection does; only a PeerError may end it, and every later call raises it again."""
    try:
        while session.next_event() is not None:
            session.data_to_send()
    except PeerError as error:
        session.data_to_send()
        try:
            session.next_event()
        except PeerError as again:
            assert again is error
        else:
            raise AssertionError("a failed session went on") from error
    session.data_to_send()


def conversation(order: str, steps: int) -> tuple[AcipWebSocket, AcipWebSocket]:
    """A server and a client after so many exchanges."""
    websocket = ClientWebSocket("ws://a/call", subprotocols=[order], max_message=MAX_MESSAGE)
    client = AcipWebSocket(websocket, ClientSession(features=Feature.SCREEN_UPDATES))
    accepted = ServerWebSocket(
        client.data_to_send(), origins=[None], subprotocols=SUBPROTOCOLS, max_message=MAX_MESSAGE
    )
    server = AcipWebSocket(accepted, ServerSession(speaks_first=order == SERVER_FIRST))
    for _ in range(steps):
        client.receive_data(server.data_to_send())
        drain(client)
        server.receive_data(client.data_to_send())
        drain(server)
    return server, client


@given(st.sampled_from([SERVER_FIRST, LIKE_TCP]), st.integers(0, 4), st.booleans(), PIECES, st.integers(1, 50))
def test_random_frames_and_bytes_never_crash_a_session(
    order: str, steps: int, at_the_server: bool, pieces: list[bytes | tuple[int, bytes]], chunk: int
) -> None:
    server, client = conversation(order, steps)
    session = server if at_the_server else client
    data = b"".join(serialized(piece, masked=at_the_server) for piece in pieces)
    for start in range(0, len(data), chunk):
        session.receive_data(data[start : start + chunk])
        drain(session)
    session.closing_bytes(None)
    drain(session)


@given(
    st.lists(
        st.binary(max_size=300) | st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 407\r\n", b"\r\n", b"a: b\r\n"]),
        max_size=50,
    )
)
def test_a_proxys_answer_is_a_status_or_a_clean_error(pieces: list[bytes]) -> None:
    answer, fed = Answer(), 0
    try:
        for piece in pieces:
            answer.feed(piece)
            fed += len(piece)
            if answer.status:
                break
            assert fed <= MAX_ANSWER
    except ValueError as error:
        assert str(error)
    assert answer.status == 0 or 100 <= answer.status <= 599
