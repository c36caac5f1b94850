"""Attacks a server in one way, as fast as possible, for some seconds.

It shares the machine with its victim.  Its own computing is not part of the attack, so it runs at the lowest priority.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable

import numpy as np

from bench.keyframes import keyframe
from bench.transports import NotServedError, TlsStream, Way, open_session, shake_hands
from teleglyph.errors import PeerError
from teleglyph.media.hevc import HevcEncoder
from teleglyph.media.opus import SAMPLE_RATE, OpusEncoder
from teleglyph.wire.acip import (
    Capabilities,
    ClientSession,
    Codec,
    CodedPicture,
    Feature,
    HevcFrame,
    ImageFrame,
    OpusBatch,
    Ping,
    ProtocolVersion,
    StreamStart,
    encode,
)
from teleglyph.wire.acip.messages.capabilities import PaletteType
from teleglyph.wire.acip.packet import encode_packet
from teleglyph.wire.link2 import ALPN
from teleglyph.wire.nostr.event import sign_event
from teleglyph.wire.nostr.groups import GroupKind
from teleglyph.wire.proxy_protocol import SIGNATURE

Attack = Callable[[int, float], None]
"""Called with the port and the time at which to stop."""


def connect(port: int, timeout: float, source: str = "127.0.0.2") -> socket.socket:
    """Connect from a separate address, because limits count addresses."""
    return socket.create_connection(("127.0.0.1", port), timeout, source_address=(source, 0))


class Peer:
    """A participant that has joined correctly."""

    def __init__(self, port: int, source: str = "127.0.0.2") -> None:
        self.session = ClientSession(features=Feature.CODED_PICTURES)
        self.socket = connect(port, 5, source)
        shake_hands(self.socket, self.session)
        self.send(encode(Capabilities(80, 24, desired_fps=60)), encode(StreamStart(3)))
        threading.Thread(target=self._drain, daemon=True).start()

    def send(self, *packets: bytes) -> None:
        self.socket.sendall(b"".join(map(self.session.seal, packets)))

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while self.socket.recv(1 << 18):
                pass


def again(act: Callable[[Peer, random.Random], None]) -> Attack:
    """Join and act repeatedly, and reconnect after being closed."""

    def run(port: int, until: float) -> None:
        chance = random.Random(1)
        while time.monotonic() < until:
            with contextlib.suppress(OSError, PeerError):
                peer = Peer(port)
                while time.monotonic() < until:
                    act(peer, chance)

    return run


def hold(begin: Callable[[socket.socket], object], count: int = 500) -> Attack:
    """Hold connections that begin and then send nothing; replace closed ones.

    Args:
        begin: sends the first bytes on a connected socket.
        count: connections at the same time.
    """

    def run(port: int, until: float) -> None:
        connections: list[socket.socket] = []
        while time.monotonic() < until:
            while len(connections) < count and time.monotonic() < until:
                with contextlib.suppress(OSError, PeerError, NotServedError):
                    connection = connect(port, 2)
                    begin(connection)
                    connection.setblocking(False)
                    connections.append(connection)
            for connection in connections[:]:
                if is_closed(connection):
                    connection.close()
                    connections.remove(connection)
            time.sleep(0.02)

    return run


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed a connection that does not block; what it sent before is dropped."""
    try:
        return not connection.recv(4096)
    except BlockingIOError:
        return False
    except OSError:
        return True


def sending(data: bytes) -> Callable[[socket.socket], object]:
    return lambda connection: connection.sendall(data)


def client_hello() -> bytes:
    """The first bytes of a client that speaks link 2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([ALPN])
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


def link_hello(connection: socket.socket) -> None:
    """Begin a link, and send nothing after its first packet."""
    stream, session = open_session(Way.LINK, connection)
    stream.sendall(session.data_to_send())


def repeatedly(act: Callable[[socket.socket, random.Random], object]) -> Attack:
    """Connect and act, again and again."""

    def run(port: int, until: float) -> None:
        chance = random.Random(1)
        while time.monotonic() < until:
            with contextlib.suppress(OSError, PeerError, NotServedError), connect(port, 2) as connection:
                act(connection, chance)

    return run


class ByteByByte:
    """A socket that sends each byte in a segment of its own."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.recv, self.close = connection.recv, connection.close
        self._send = connection.sendall

    def sendall(self, data: bytes) -> None:
        for byte in data:
            self._send(bytes([byte]))


def slow_tls(connection: socket.socket, _chance: random.Random) -> None:
    TlsStream(ByteByByte(connection))


def quick_tls(connection: socket.socket, _chance: random.Random) -> None:
    TlsStream(connection)


def wrong_password(connection: socket.socket, chance: random.Random) -> None:
    shake_hands(*open_session(Way.LINK, connection, chance.randbytes(32)))


_PROXY_HEADER = SIGNATURE + bytes.fromhex("2111000c") + bytes.fromhex("c0000201 c0000202 0fa0 6a58")


def proxy_header(connection: socket.socket, _chance: random.Random) -> None:
    connection.sendall(_PROXY_HEADER)
    connection.recv(4096)


_BANNERS = (
    *(b"", b"\0", b"\r\n\r\n", b"EHLO scan\r\n", b"SSH-2.0-scan\r\n", b"*1\r\n$4\r\nPING\r\n", b"\x03\0\0\x13\x0e\xe0"),
    *(
        b"GET / HTTP/1.0\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\0\0\x2f\x01\0\0\x2b\x03\0",
        b"PROXY TCP4 ",
    ),
)


def scan(connection: socket.socket, chance: random.Random) -> None:
    """Close at once, or send the beginning of some protocol and look for an answer."""
    banner = chance.choice(_BANNERS) or chance.randbytes(40)
    if chance.random() < 0.5:
        connection.sendall(banner)
        connection.settimeout(0.05)
        connection.recv(4096)


def mistaken(connection: socket.socket, chance: random.Random) -> None:
    """Ask for pages without TLS, with it, or with an unknown protocol inside it."""
    request = b"GET /call HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    stream = chance.choice((lambda: connection, lambda: TlsStream(connection, "smtp"), lambda: TlsStream(connection)))()
    stream.sendall(request)
    while stream.recv(4096):
        pass


def storm(port: int, until: float) -> None:
    """Connect, and leave at different points of a conversation."""
    hello = encode(ProtocolVersion(1))
    for number in range(1 << 30):
        if time.monotonic() > until:
            return
        with contextlib.suppress(OSError, PeerError):
            if number % 3 == 2:
                Peer(port).socket.shutdown(socket.SHUT_RDWR)
                continue
            with connect(port, 2) as connection:
                if number % 3:
                    connection.sendall(hello)


def silent(port: int, until: float) -> None:
    """Hold connections that begin a request and never end it; replace closed ones."""
    connections: list[socket.socket] = []
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            connection = connect(port, 2)
            connection.sendall(b"GET / HTTP/1.1\r\nUpgrade: x\r\n")
            connections.append(connection)
        if len(connections) > 400:
            connections.pop(0).close()


def palettes(peer: Peer, _chance: random.Random) -> None:
    peer.send(encode(Capabilities(80, 24, desired_fps=60, palette_type=PaletteType.CUSTOM, palette_custom="\x1b[2J")))


def pings(peer: Peer, _chance: random.Random) -> None:
    peer.send(*[encode(Ping())] * 200)


_SMALL = encode(ImageFrame(32, 18, bytes(32 * 18 * 3)))
_GIANT = encode(ImageFrame(590, 590, os.urandom(590 * 590 * 3)))
_CLAIM = encode_packet(3001, struct.pack(">IIIIII", 8192, 8192, 1, 0, 0, 0) + bytes(1000))


def pictures(peer: Peer, _chance: random.Random) -> None:
    peer.send(*[_SMALL] * 50)


def giants(peer: Peer, _chance: random.Random) -> None:
    peer.send(_GIANT)


def claims(peer: Peer, _chance: random.Random) -> None:
    peer.send(_CLAIM)


def bad_films(peer: Peer, chance: random.Random) -> None:
    start = b"\0\0\0\1"
    data = start + b"\x40\x01" + chance.randbytes(60) + start + b"\x42\x01" + chance.randbytes(90)
    data += start + b"\x44\x01" + chance.randbytes(30) + start + b"\x26\x01" + chance.randbytes(20_000)
    peer.send(*[encode(HevcFrame(8192, 8192, data, keyframe=True))] * 5)


def jpeg_bombs(port: int, until: float) -> None:
    """Send JPEG files of a few bytes that claim to be as large as allowed or larger, with many scans or progressive."""
    small = keyframe(Codec.JPEG, np.zeros((48, 64, 3), np.uint8))
    frame_header, scan = small.index(b"\xff\xc0"), small.index(b"\xff\xda")
    files = []
    for size in ((4096, 2160), (8192, 8192)):
        large = bytearray(small)
        large[frame_header + 5 : frame_header + 9] = struct.pack(">HH", size[1], size[0])
        padding = bytes(4096 * 2160 // 256)
        files += [bytes(large), bytes(large[:-2]) + padding + b"\xff\xd9"]
    progressive = small.replace(b"\xff\xc0", b"\xff\xc2")
    files += [small[:-2] + small[scan:-2] * 500 + b"\xff\xd9", progressive[:-2] + progressive[scan:-2] * 500]
    packets = [encode(CodedPicture(Codec.JPEG, 64, 48, file, keyframe=True)) for file in files]
    again(lambda peer, _chance: peer.send(*packets))(port, until)


def codec_changes(port: int, until: float) -> None:
    """Change the codec with every picture; each is a valid keyframe of 320x180 noise."""
    noise = np.random.default_rng(1).integers(0, 256, (180, 320, 3), np.uint8)
    packets = [encode(CodedPicture(codec, 320, 180, keyframe(codec, noise), keyframe=True)) for codec in Codec]
    again(lambda peer, _chance: peer.send(*packets))(port, until)


def noise(peer: Peer, chance: random.Random) -> None:
    kind = chance.choice((3000, 3001, 3002, 4000, 4001, 5000, 5004, 5005, 5006, 2003, 2004, 6000, 1201, 1, 1104))
    peer.send(encode_packet(kind, chance.randbytes(chance.randrange(3000))))


_LOUD = OpusEncoder().encode(np.sign(np.sin(np.arange(960) / 20)).astype(np.float32))


def loud(peer: Peer, chance: random.Random) -> None:
    packets = [_LOUD, chance.randbytes(200)] * 10
    peer.send(*[encode(OpusBatch(SAMPLE_RATE, 20, (packet,))) for packet in packets])


class WebSocket:
    """A client of the Nostr relay that sends bare frames."""

    def __init__(self, port: int) -> None:
        self.socket = connect(port, 5)
        self.socket.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        if b" 101 " not in self.socket.recv(4096):
            raise ConnectionError
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while self.socket.recv(1 << 18):
                pass


def frame(first: int, data: bytes = b"") -> bytes:
    """A client's frame; the mask is zero."""
    if len(data) < 126:
        size = bytes([0x80 | len(data)])
    else:
        size = struct.pack(">BH", 0xFE, len(data)) if len(data) < 1 << 16 else struct.pack(">BQ", 0xFF, len(data))
    return bytes([first]) + size + bytes(4) + data


def over_websocket(data: bytes) -> Attack:
    """Send the same bytes without a pause, on one connection after the other."""

    def run(port: int, until: float) -> None:
        while time.monotonic() < until:
            try:
                peer = WebSocket(port)
                while time.monotonic() < until:
                    peer.socket.sendall(data)
            except OSError:
                time.sleep(0.05)

    return run


def together(attack: Attack, count: int) -> Attack:
    """Run several copies of an attack at once."""

    def run(port: int, until: float) -> None:
        threads = [threading.Thread(target=attack, args=(port, until)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run


_PINGS = frame(0x89) * 20_000
_FRAGMENTS = frame(0x01) + frame(0x00) * 20_000
_QUERY = json.dumps(["REQ", "q", *[{"search": f"word{number}", "limit": 500} for number in range(5)]]).encode()
_QUERIES = frame(0x81, _QUERY) * 100
_JUNK = frame(0x81, json.dumps(["EVENT", {"id": "0" * 64, "content": "x" * 1000}]).encode()) * 100


def group_changes(port: int, until: float) -> None:
    """Create a group with 10 000 members, of which one leaves and returns repeatedly.

    It is always the same group, so that attacking again leaves nothing else behind.
    """
    chance, now = random.Random(1), int(time.time())
    key = chance.randbytes(32)
    group = ["h", "hostile"]
    crowd = [chance.randbytes(32).hex() for _ in range(9_990)]
    events = [sign_event(key, now, GroupKind.CREATE_GROUP, [group])]
    for start in range(0, len(crowd), 900):
        people = [["p", one] for one in crowd[start : start + 900]]
        events.append(sign_event(key, now, GroupKind.PUT_USER, [group, *people]))
    for number in range(2000):
        kind = GroupKind.PUT_USER if number % 2 else GroupKind.REMOVE_USER
        events.append(sign_event(key, now + number, kind, [group, ["p", crowd[0]]]))
    while time.monotonic() < until:
        try:
            peer = WebSocket(port)
            for event in events:
                peer.socket.sendall(frame(0x81, b'["EVENT",' + event.text + b"]"))
                if time.monotonic() > until:
                    break
        except OSError:
            time.sleep(0.05)


def large_films(port: int, until: float) -> None:
    """Send valid noise pictures of 1920x1080, all of them keyframes."""
    encoder = HevcEncoder(1920, 1080, 30.0)
    noise = np.random.default_rng(1).integers(0, 256, (1080, 1920, 3), np.uint8)
    film = encode(HevcFrame(1920, 1080, encoder.encode(noise)[0].data, keyframe=True))
    again(lambda peer, _chance: peer.send(film))(port, until)


ATTACKS: dict[str, Attack] = {
    "500 half-open handshakes": hold(sending(encode(ProtocolVersion(1)))),
    "connections that come and go": storm,
    "flood of pings": again(pings),
    "flood of pictures": again(pictures),
    "pictures of 1 MB": again(giants),
    "claims of 8192x8192 pixels": again(claims),
    "invalid films": again(bad_films),
    "random packets after the handshake": again(noise),
    "flood of noise as sound": again(loud),
    "four senders of large films": together(large_films, 4),
    "WebSocket pings": over_websocket(_PINGS),
    "WebSocket pings, 20 connections": together(over_websocket(_PINGS), 20),
    "WebSocket fragments": over_websocket(_FRAGMENTS),
    "junk as events": over_websocket(_JUNK),
    "queries to the relay": over_websocket(_QUERIES),
    "queries, 20 connections": together(over_websocket(_QUERIES), 20),
    "changes of a large group": group_changes,
    "400 silent connections of HTTP": silent,
    "JPEG bombs": jpeg_bombs,
    "codec changes on every picture": codec_changes,
    "palettes that cannot be drawn": again(palettes),
    "500 connections with one byte": hold(sending(b"\x16")),
    "500 halves of a PROXY header": hold(sending(_PROXY_HEADER[:20])),
    "PROXY headers from a stranger": repeatedly(proxy_header),
    "500 TLS handshakes that stop": hold(sending(client_hello())),
    "TLS byte by byte, 20 connections": together(repeatedly(slow_tls), 20),
    "TLS handshakes, 4 at a time": together(repeatedly(quick_tls), 4),
    "500 links that stop": hold(link_hello),
    "wrong passwords over link 2": together(repeatedly(wrong_password), 4),
    "port scan": together(repeatedly(scan), 4),
    "wrong protocols": together(repeatedly(mistaken), 4),
}
WITH_PASSWORD = frozenset({"500 links that stop", "wrong passwords over link 2"})
"""Attacks on a server with a password."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("attack", choices=ATTACKS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    os.nice(19)
    ATTACKS[options.attack](options.port, time.monotonic() + options.seconds)


if __name__ == "__main__":
    main()
