"""An ACIP client on a blocking socket, written from the description of the protocol alone.

It shares no code with the package, so that a misreading in the package's wire layer cannot hide behind the same
misreading here.  Tests use it as a well-behaved participant and as a hostile one: every step can be done separately.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator

import google_crc32c
import nacl.bindings
import nacl.pwhash
import nacl.signing

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = 0x0000000A5C11C4A1
HEADER = struct.Struct(">QHIII")

PROTOCOL_VERSION, CRYPTO_CAPABILITIES, CRYPTO_PARAMETERS = 1, 1100, 1101
KEY_EXCHANGE_INIT, KEY_EXCHANGE_RESP = 1102, 1103
AUTH_CHALLENGE, AUTH_RESPONSE, AUTH_FAILED, SERVER_AUTH_RESP = 1104, 1105, 1106, 1107
HANDSHAKE_COMPLETE, ENCRYPTED, CLIENT_HELLO = 1108, 1200, 1000
ERROR_MESSAGE, REMOTE_LOG = 2003, 2004
ASCII_FRAME, IMAGE_FRAME, IMAGE_FRAME_H265, CODED_PICTURE = 3000, 3001, 3002, 3003
AUDIO_OPUS_BATCH = 4001
CLIENT_CAPABILITIES, PING, PONG, CLIENT_JOIN, CLIENT_LEAVE = 5000, 5001, 5002, 5003, 5004
STREAM_START, STREAM_STOP, CLEAR_CONSOLE, SERVER_STATE = 5005, 5006, 5007, 5008


class PeerClosedError(Exception):
    """The server closed the connection."""


class RefusedError(Exception):
    """The server refused the handshake; ``reasons`` are the bits of AUTH_FAILED."""

    def __init__(self, reasons: int) -> None:
        super().__init__(f"{reasons:#04x}")
        self.reasons = reasons


def packet(kind: int, payload: bytes = b"") -> bytes:
    crc = google_crc32c.value(payload) if payload else 0
    return HEADER.pack(MAGIC, kind, len(payload), crc, 0) + payload


def capabilities(
    columns: int = 80,
    rows: int = 24,
    *,
    color: int = 3,
    render: int = 0,
    utf8: bool = True,
    palette: int = 1,
    custom: bytes = b"",
    fps: int = 60,
    padding: bool = True,
) -> bytes:
    return struct.pack(
        ">IIIIHH32s32sBII64sBBBII",
        *(0x0F, color, 1 << 24, render, columns, rows, b"xterm-256color", b"truecolor", 1),
        *(int(utf8), palette, custom, fps, 0, int(padding), 7, 3),
    )


def image(width: int, height: int, pixels: bytes) -> bytes:
    return struct.pack(">IIIIII", width, height, 1, 0, 0, 0) + pixels


class AcipPeer:
    """One connection to a server.

    ``AcipPeer(port)`` only connects; :meth:`join` does everything up to an open video stream.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", timeout: float = 10.0, source: str = "") -> None:
        self.socket = self._connect(host, port, timeout, source)
        self.key: bytes | None = None
        self.identity: bytes | None = None
        """The server's proven identity."""
        self.session_id = os.urandom(16)
        self.counter = 0
        self.features = 0
        """Extensions that this peer understands."""
        self.received: list[tuple[int, bytes]] = []
        """Every packet that :meth:`receive` returned."""
        self._buffer = bytearray()
        self._lock = threading.Lock()

    def _connect(self, host: str, port: int, timeout: float, source: str) -> socket.socket:
        connected = socket.create_connection((host, port), timeout, (source, 0) if source else None)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    # --- raw ------------------------------------------------------------------------------------------

    def send_raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            try:
                chunk = self.socket.recv(1 << 18)
            except ConnectionError as error:
                raise PeerClosedError from error
            if not chunk:
                raise PeerClosedError
            self._buffer += chunk
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def receive_outer(self) -> tuple[int, bytes]:
        magic, kind, length, crc, _ = HEADER.unpack(self._read(HEADER.size))
        assert magic == MAGIC, hex(magic)
        assert length <= 5 << 20
        payload = self._read(length)
        assert crc == (google_crc32c.value(payload) if payload else 0)
        return kind, payload

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()

    # --- handshake ------------------------------------------------------------------------------------

    def expect_outer(self, kind: int, length: int) -> bytes:
        got, payload = self.receive_outer()
        assert (got, len(payload)) == (kind, length)
        return payload

    def handshake(
        self,
        password: str | None = None,
        key: nacl.signing.SigningKey | None = None,
        server_key: bytes | None = None,
    ) -> None:
        """Complete the handshake; raises RefusedError if the server refuses."""
        mode = 3 if password or key else 1
        self.send_raw(packet(PROTOCOL_VERSION, struct.pack(">HHBBBH7x", 1, 0, mode, 0, 0, self.features)))
        assert self.expect_outer(PROTOCOL_VERSION, 16)[4] == mode
        self.send_raw(packet(CRYPTO_CAPABILITIES, struct.pack(">HHHBBBB", 1, 1, 1, 0, 1, mode >> 1, 1)))
        self.exchange_keys(password, key, server_key)

    def exchange_keys(
        self,
        password: str | None = None,
        key: nacl.signing.SigningKey | None = None,
        server_key: bytes | None = None,
    ) -> None:
        """The part of the handshake from CRYPTO_PARAMETERS on."""
        parameters = self.expect_outer(CRYPTO_PARAMETERS, 18)
        assert (parameters[0], parameters[2]) == (1, 1)
        identity_size, signature_size = struct.unpack_from(">HH", parameters, 6)
        if server_key is not None:
            self.send_raw(packet(CLIENT_HELLO, server_key))
        offer = self.expect_outer(KEY_EXCHANGE_INIT, 32 + identity_size + (signature_size if identity_size else 0))
        self.identity = self.check_identity(offer)
        secret = os.urandom(32)
        public = nacl.bindings.crypto_scalarmult_base(secret)
        if parameters[3] or (identity_size and signature_size):
            shown = bytes(32 + 64) if key is None else bytes(key.verify_key) + key.sign(public).signature
            self.send_raw(packet(KEY_EXCHANGE_RESP, public + shown + b"\0"))
        else:
            self.send_raw(packet(KEY_EXCHANGE_RESP, public))
        self.key = nacl.bindings.crypto_scalarmult(secret, offer[:32])
        kind, payload = self.receive_verdict()
        if kind == HANDSHAKE_COMPLETE:
            assert payload == b""
            return
        assert (kind, len(payload)) == (AUTH_CHALLENGE, 33)
        self.authenticate(payload, password, key)

    @staticmethod
    def check_identity(offer: bytes) -> bytes | None:
        if len(offer) == 32:
            return None
        nacl.signing.VerifyKey(offer[32:64]).verify(offer[:32], offer[64:])
        return offer[32:64]

    def receive_verdict(self) -> tuple[int, bytes]:
        kind, payload = self.receive_outer()
        if kind == AUTH_FAILED:
            assert len(payload) == 8
            raise RefusedError(payload[0])
        return kind, payload

    def authenticate(self, challenge: bytes, password: str | None, key: nacl.signing.SigningKey | None = None) -> None:
        assert self.key is not None
        nonce = os.urandom(32)
        secret = self.key
        if challenge[0] & 1 or password:
            assert password is not None, "the server wants a password"
            secret = nacl.pwhash.argon2id.kdf(32, password.encode(), b"ascii-chat-passw", opslimit=2, memlimit=67108864)
            tag = hmac.digest(secret, challenge[1:] + self.key, hashlib.sha256)
            self.send_raw(packet(AUTH_RESPONSE, tag + nonce))
        else:
            assert key is not None, "the server wants a key"
            self.send_raw(packet(AUTH_RESPONSE, key.sign(challenge[1:]).signature + nonce + b"\0"))
        kind, payload = self.receive_verdict()
        assert kind == SERVER_AUTH_RESP
        assert payload == hmac.digest(secret, nonce + self.key, hashlib.sha256)

    # --- session --------------------------------------------------------------------------------------

    def seal(self, plain: bytes) -> bytes:
        assert self.key is not None
        self.counter += 1
        nonce = self.session_id + self.counter.to_bytes(8, "big")
        return packet(ENCRYPTED, nonce + nacl.bindings.crypto_secretbox_easy(plain, nonce, self.key))

    def send(self, kind: int, payload: bytes = b"") -> None:
        with self._lock:
            self.send_raw(self.seal(packet(kind, payload)))

    def receive(self) -> tuple[int, bytes]:
        kind, payload = self.receive_outer()
        assert kind == ENCRYPTED, kind
        assert self.key is not None
        plain = nacl.bindings.crypto_secretbox_open_easy(payload[24:], payload[:24], self.key)
        magic, kind, length, crc, _ = HEADER.unpack_from(plain)
        assert magic == MAGIC
        assert length == len(plain) - HEADER.size
        body = plain[HEADER.size :]
        assert crc == (google_crc32c.value(body) if body else 0)
        if kind == PING:
            self.send(PONG)
        self.received.append((kind, body))
        return kind, body

    def join(self, password: str | None = None, *, video: bool = True, **terminal: object) -> AcipPeer:
        self.handshake(password)
        self.send(CLIENT_CAPABILITIES, capabilities(**terminal))  # type: ignore[arg-type]
        if video:
            self.send(STREAM_START, struct.pack(">I", 1))
        return self

    def send_picture(self, width: int, height: int, pixels: bytes) -> None:
        self.send(IMAGE_FRAME, image(width, height, pixels))

    def send_color(self, red: int, green: int, blue: int, width: int = 32, height: int = 18) -> None:
        self.send_picture(width, height, bytes((red, green, blue)) * (width * height))

    def send_coded(self, codec: int, width: int, height: int, bitstream: bytes, *, keyframe: bool = False) -> None:
        self.send(CODED_PICTURE, struct.pack(">BBHH", codec, keyframe, width, height) + bitstream)

    def packets(self, seconds: float = 10.0) -> Iterator[tuple[int, bytes]]:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                yield self.receive()
            except TimeoutError:
                return

    def wait_for(self, kind: int, accept: Callable[[bytes], bool] = lambda _: True, seconds: float = 10.0) -> bytes:
        """Return the payload of the next packet of this type that is accepted; pings are answered meanwhile."""
        alive = time.monotonic()
        for got, payload in self.packets(seconds):
            if got == kind and accept(payload):
                return payload
            if time.monotonic() - alive > 0.4:
                alive = time.monotonic()
                self.send(PING)
        raise AssertionError(f"no packet of type {kind} within {seconds} s")

    def frame(self, accept: Callable[[str], bool] = lambda _: True, seconds: float = 10.0) -> str:
        """Return the text of the next ASCII frame that is accepted."""
        found: list[str] = []

        def check(payload: bytes) -> bool:
            text = frame_text(payload)
            if accept(text):
                found.append(text)
            return bool(found)

        self.wait_for(ASCII_FRAME, check, seconds)
        return found[0]

    def wait_closed(self, seconds: float = 10.0) -> list[tuple[int, bytes]]:
        """Read until the server closes; return the packets received before."""
        packets = []
        try:
            for item in self.packets(seconds):
                packets.append(item)
        except PeerClosedError:
            return packets
        raise AssertionError(f"the server kept the connection open for {seconds} s")


def frame_text(payload: bytes) -> str:
    """The text of an ASCII_FRAME payload, with all of the receiver's checks."""
    width, height, size, packed, checksum, flags = struct.unpack_from(">IIIIII", payload)
    assert 1 <= width <= 16384
    assert 1 <= height <= 16384
    text = payload[24:]
    assert (flags & 2 != 0) == (packed > 0)
    if packed:
        assert packed == len(text)
        text = zstd.decompress(text)
    assert size == len(text)
    assert checksum == google_crc32c.value(text)
    assert b"\0" not in text
    return text.decode()
