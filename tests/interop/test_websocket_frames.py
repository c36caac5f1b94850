"""WebSocket rules (RFC 6455) of our endpoint, frame by frame, with a client that can break each of them.

The cases follow the Autobahn suite's groups 1 to 7 and 10; the relay answers each text that is not a message with a
NOTICE, which stands for the suite's echo.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from conftest import ServerProcess
from nostr_peer import ANN, NostrPeer, make

StartServer = Callable[..., ServerProcess]
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
ASK = b'["REQ","s",{"limit":0}]'
ANSWER = b'["EOSE","s"]'


class RawSocket:
    """A WebSocket of bare frames; checks every rule for what it receives."""

    def __init__(self, server: ServerProcess) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.http_port), timeout=10)
        self.socket.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self.socket.recv(4096)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        assert b"101" in head.split(b"\r\n")[0]
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert self.receive()[0] == TEXT  # the challenge

    def frame(self, opcode: int, data: bytes, *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
        head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
        mark = 0x80 if masked else 0
        if len(data) < 126:
            head += bytes([mark | len(data)])
        elif len(data) < 1 << 16:
            head += struct.pack(">BH", mark | 126, len(data))
        else:
            head += struct.pack(">BQ", mark | 127, len(data))
        if not masked:
            return head + data
        mask = os.urandom(4)
        return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))

    def send(self, opcode: int, data: bytes, **options: object) -> None:
        self.socket.sendall(self.frame(opcode, data, **options))  # type: ignore[arg-type]

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def receive(self) -> tuple[int, bytes]:
        first, second = self._take(2)
        assert first & 0x70 == 0, "no reserved bits"
        assert first & 0x80, "the server does not cut messages"
        assert second & 0x80 == 0, "servers do not mask"
        size = second
        if size == 126:
            (size,) = struct.unpack(">H", self._take(2))
            assert size >= 126, "the shortest form"
        elif size == 127:
            (size,) = struct.unpack(">Q", self._take(8))
            assert size >= 1 << 16, "the shortest form"
        opcode = first & 15
        assert opcode in (TEXT, CLOSE, PING, PONG)
        if opcode >= CLOSE:
            assert size < 126
        return opcode, self._take(size)

    def close_code(self) -> int | None:
        """The code of the next close frame, or None.  The connection must end after it."""
        while True:
            opcode, data = self.receive()
            if opcode == CLOSE:
                break
        if data:
            data[2:].decode()
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                self.receive()
        return int.from_bytes(data[:2], "big") if data else None

    def works(self) -> bool:
        self.send(TEXT, ASK)
        while True:
            opcode, data = self.receive()
            if opcode == TEXT:
                return data == ANSWER


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data = tmp_path_factory.mktemp("frames")
    process = ServerProcess("--http", "--http-port", "0", "--events", "--event-rate", "0", "--data-dir", str(data))
    process.wait_for_log("HTTP on port")
    yield process
    assert process.stop() == 0
    assert "Traceback" not in "".join(process.log)


@pytest.fixture
def raw(server: ServerProcess) -> Iterator[RawSocket]:
    opened = RawSocket(server)
    yield opened
    opened.socket.close()


@pytest.mark.parametrize("size", [0, 125, 126, 127, 128, 65535, 65536, 100_000])
def test_texts_of_all_lengths_are_answered(raw: RawSocket, size: int) -> None:
    raw.send(TEXT, b" " * max(0, size - len(ASK)) + ASK if size >= len(ASK) else b" " * size)
    opcode, data = raw.receive()
    assert opcode == TEXT
    assert json.loads(data)[0] in ("EOSE", "NOTICE")
    assert raw.works()


def test_a_text_may_arrive_in_single_bytes(raw: RawSocket) -> None:
    for byte in raw.frame(TEXT, ASK):
        raw.socket.sendall(bytes([byte]))
    assert raw.receive() == (TEXT, ANSWER)


@pytest.mark.parametrize("data", [b"", b"hello", bytes(range(125)), b"\x00\xff\xfe\xfd\xfc"])
def test_a_ping_gets_its_pong(raw: RawSocket, data: bytes) -> None:
    raw.send(PING, data)
    assert raw.receive() == (PONG, data)
    raw.send(PONG, b"nobody asked")
    assert raw.works()


def test_many_pings_get_their_pongs_in_order(raw: RawSocket) -> None:
    for number in range(50):
        raw.send(PING, b"%d" % number)
    assert [raw.receive() for _ in range(50)] == [(PONG, b"%d" % number) for number in range(50)]


@pytest.mark.parametrize("opcode", [PING, CLOSE])
def test_control_frames_have_at_most_125_bytes(raw: RawSocket, opcode: int) -> None:
    raw.send(opcode, bytes(126))
    assert raw.close_code() == 1002


@pytest.mark.parametrize("reserved", [1, 2, 4, 7])
@pytest.mark.parametrize("opcode", [TEXT, PING, CLOSE])
def test_reserved_bits_are_refused(raw: RawSocket, opcode: int, reserved: int) -> None:
    raw.send(opcode, b"", reserved=reserved)
    assert raw.close_code() == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_unknown_opcodes_are_refused(raw: RawSocket, opcode: int) -> None:
    assert raw.works()
    raw.send(opcode, b"x")
    assert raw.close_code() == 1002


def test_pings_may_arrive_between_the_fragments_of_a_text(raw: RawSocket) -> None:
    raw.send(TEXT, ASK[:5], fin=False)
    raw.send(PING, b"one")
    assert raw.receive() == (PONG, b"one")
    raw.send(CONT, b"", fin=False)
    raw.send(CONT, ASK[5:9], fin=False)
    raw.send(PING, b"two")
    raw.send(CONT, ASK[9:])
    assert [raw.receive(), raw.receive()] == [(PONG, b"two"), (TEXT, ANSWER)]


def test_fragments_that_do_not_belong_together_are_refused(server: ServerProcess) -> None:
    for frames in (
        [(CONT, True)],
        [(CONT, False)],
        [(TEXT, False), (TEXT, True)],
        [(TEXT, False), (BINARY, True)],
        [(TEXT, True), (CONT, True)],
        [(PING, False)],
        [(CLOSE, False)],
    ):
        raw = RawSocket(server)
        for opcode, fin in frames:
            raw.send(opcode, b"", fin=fin)
        assert raw.close_code() == 1002, frames
        raw.socket.close()


def test_a_frame_without_a_mask_is_refused(raw: RawSocket) -> None:
    raw.send(TEXT, ASK, masked=False)
    assert raw.close_code() == 1002


@pytest.mark.parametrize(
    "data",
    [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"ok \xe2\x82", b"\xf8\x88\x80\x80\x80"],
)
def test_a_text_that_is_not_utf_8_is_refused(raw: RawSocket, data: bytes) -> None:
    raw.send(TEXT, data)
    assert raw.close_code() == 1007


def test_a_character_may_be_split_between_fragments(raw: RawSocket) -> None:
    message = '["REQ","ü€😀",{"limit":0}]'.encode()
    for place in range(len(message)):
        raw.send(TEXT if place == 0 else CONT, message[place : place + 1], fin=place == len(message) - 1)
    assert raw.receive() == (TEXT, '["EOSE","ü€😀"]'.encode())


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
def test_a_close_is_answered_with_its_code(raw: RawSocket, code: int) -> None:
    raw.send(CLOSE, struct.pack(">H", code) + "über".encode())
    assert raw.close_code() == code


def test_a_close_without_a_code_is_answered(raw: RawSocket) -> None:
    raw.send(CLOSE, b"")
    assert raw.close_code() is None


@pytest.mark.parametrize(
    "data",
    [b"\x03", *(struct.pack(">H", code) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535))],
)
def test_an_invalid_close_is_refused(raw: RawSocket, data: bytes) -> None:
    raw.send(CLOSE, data)
    assert raw.close_code() == 1002


def test_a_close_whose_reason_is_not_utf_8_is_refused(raw: RawSocket) -> None:
    raw.send(CLOSE, struct.pack(">H", 1000) + b"\xff")
    assert raw.close_code() in (1002, 1007)


def test_nothing_is_answered_after_a_close(raw: RawSocket) -> None:
    raw.socket.sendall(raw.frame(CLOSE, struct.pack(">H", 1000)) + raw.frame(TEXT, ASK) + raw.frame(PING, b""))
    assert raw.close_code() == 1000


def test_a_message_may_have_many_fragments(raw: RawSocket) -> None:
    padding = b" " * 60_000
    raw.send(TEXT, ASK, fin=False)
    for start in range(0, len(padding), 100):
        raw.send(CONT, padding[start : start + 100], fin=start + 100 >= len(padding))
    assert raw.receive() == (TEXT, ANSWER)


def test_a_fragmented_message_that_is_too_large_is_refused(raw: RawSocket) -> None:
    raw.send(TEXT, b" " * 70_000, fin=False)
    raw.send(CONT, b" " * 70_000)
    assert raw.close_code() == 1009


def test_a_message_with_a_false_length_is_refused(raw: RawSocket) -> None:
    raw.socket.sendall(b"\x81\xff" + struct.pack(">Q", 1 << 62) + bytes(4) + b"x" * 1000)
    assert raw.close_code() == 1009


def test_a_reader_of_single_bytes_gets_large_events_whole_and_in_order(server: ServerProcess) -> None:
    raw, writer = RawSocket(server), NostrPeer(server)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    raw.send(TEXT, b'["REQ","s",{"limit":0,"#t":["bytes"]}]')
    assert raw.receive() == (TEXT, ANSWER)
    events = [
        make("x" * (60_000 if number % 4 == 1 else 10), ANN, 1, ["t", "bytes"], ["n", str(number)])
        for number in range(9)
    ]
    for event in events:
        assert writer.publish(event)[1] is True

    def one_byte(count: int) -> bytes:
        return b"".join(raw.socket.recv(1) for _ in range(count))

    raw._take = one_byte  # type: ignore[method-assign]
    assert [raw.receive() for _ in events] == [(TEXT, b'["EVENT","s",' + event.text + b"]") for event in events]
    raw.socket.close()
    writer.close()


def test_messages_and_a_close_in_one_read_are_answered_in_their_order(raw: RawSocket) -> None:
    frames = b"".join(raw.frame(TEXT, b'["NOTHING%d"]' % number) for number in range(3))
    raw.socket.sendall(frames + raw.frame(PING, b"p") + raw.frame(CLOSE, struct.pack(">H", 1000)))
    received = []
    while (frame := raw.receive())[0] != CLOSE:
        received.append(frame)
    texts = [json.loads(data) for opcode, data in received if opcode == TEXT]
    assert [text[0] for text in texts] == ["NOTICE"] * 3
    assert [f"NOTHING{number}" in text[1] for number, text in enumerate(texts)] == [True] * 3
    assert frame == (CLOSE, struct.pack(">H", 1000))
    with pytest.raises((EOFError, ConnectionError)):
        raw.receive()


def test_late_answers_are_not_sent_after_a_close(raw: RawSocket) -> None:
    event = make("late", ANN, 1).text
    raw.socket.sendall(
        raw.frame(TEXT, b'["EVENT",' + event + b"]") + raw.frame(TEXT, ASK) + raw.frame(CLOSE, struct.pack(">H", 1000))
    )
    assert raw.close_code() == 1000


def test_a_nonsense_message_and_a_close_in_one_read_end_with_one_close(raw: RawSocket) -> None:
    raw.socket.sendall(raw.frame(BINARY, b"x") + raw.frame(CLOSE, struct.pack(">H", 1000)))
    assert raw.close_code() in (1000, 1003)


@pytest.mark.parametrize("last", ["whole", "ping", "too large"])
def test_thousands_of_fragments_are_one_message(raw: RawSocket, last: str) -> None:
    raw.send(TEXT, ASK, fin=False)
    raw.socket.sendall(raw.frame(CONT, b"", fin=False) * 3000 + raw.frame(CONT, b" ", fin=False) * 3000)
    if last == "ping":
        raw.send(PING, b"p")
        assert raw.receive() == (PONG, b"p")
    if last == "too large":
        raw.send(CONT, b" " * (128 << 10))
        assert raw.close_code() == 1009
    else:
        raw.send(CONT, b"")
        assert raw.receive() == (TEXT, ANSWER)
