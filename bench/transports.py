"""Every way into a call, on blocking sockets, for synthetic clients."""

from __future__ import annotations

import contextlib
import enum
import hashlib
import socket
import ssl
import threading
from typing import Protocol

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from teleglyph.keys.certificate import ed25519_key_of
from teleglyph.wire.acip import ClientSession, Feature, HandshakeDone
from teleglyph.wire.acip.session import ClientRole
from teleglyph.wire.link2 import ALPN, Channel, LinkClientSession


class Way(enum.Enum):
    """A way into a call."""

    ACIP = "v1"
    LINK = "link 2"
    WEBSOCKET = "v1 over WebSocket"


class NotServedError(Exception):
    """The server does not offer this way; the text is its answer."""


class Stream(Protocol):
    """Bytes to and from a server."""

    def sendall(self, data: bytes) -> None: ...

    def recv(self, size: int) -> bytes:
        """Some bytes; none at the end."""

    def close(self) -> None: ...


class TlsStream:
    """TLS on a blocking socket.  One thread may read while another one writes, unlike with ``ssl.SSLSocket``.

    Args:
        sock: connected.
        protocol: offered in ALPN.
    """

    def __init__(self, sock: Stream, protocol: str = ALPN) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([protocol])
        self._socket = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self.tls = context.wrap_bio(self._incoming, self._outgoing)
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
                break
            self._socket.sendall(self._outgoing.read())
            self._receive(65536)
        self._socket.sendall(self._outgoing.read())

    def sendall(self, data: bytes) -> None:
        with self._sending:
            with self._lock:
                self.tls.write(data)
                sealed = self._outgoing.read()
            self._socket.sendall(sealed)

    def recv(self, size: int) -> bytes:
        while True:
            with self._lock:
                try:
                    return self.tls.read(size)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError:
                    return b""
            self._receive(size)

    def _receive(self, size: int) -> None:
        data = self._socket.recv(size)
        with self._lock:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def close(self) -> None:
        self._socket.close()


class WebSocketStream:
    """ACIP in the messages of a WebSocket, in the order of TCP.

    Args:
        sock: connected.
        port: of the server.

    Raises:
        NotServedError: the server has no calls over WebSocket.
    """

    def __init__(self, sock: socket.socket, port: int) -> None:
        self._socket = sock
        self._protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/call"), subprotocols=["acip.tcp"])  # type: ignore[list-item]
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        while self._protocol.state.name == "CONNECTING" and self._protocol.handshake_exc is None:
            data = self._socket.recv(65536)
            self._protocol.receive_data(data) if data else self._protocol.receive_eof()
        if self._protocol.handshake_exc is not None:
            raise NotServedError(str(self._protocol.handshake_exc))
        self._protocol.events_received()

    def sendall(self, data: bytes) -> None:
        self._protocol.send_binary(data)
        self._flush()

    def recv(self, size: int) -> bytes:
        while True:
            frames = [event for event in self._protocol.events_received() if isinstance(event, Frame)]
            if data := b"".join(frame.data for frame in frames if frame.opcode in (Opcode.BINARY, Opcode.CONT)):
                return data
            received = self._socket.recv(size)
            if not received:
                return b""
            self._protocol.receive_data(received)
            self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            self._socket.sendall(data)

    def close(self) -> None:
        self._socket.close()


def open_session(
    way: Way, sock: socket.socket, password_key: bytes | None = None, features: Feature = Feature.NONE
) -> tuple[Stream, ClientRole]:
    """Make the transport and the session of a way, whose handshake is still to come.

    Args:
        way: into the call.
        sock: connected to the server.
        password_key: of the call; None for none.
        features: that the client supports.

    Raises:
        NotServedError: the server does not offer this way.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if way is not Way.LINK:
        stream = sock if way is Way.ACIP else WebSocketStream(sock, sock.getpeername()[1])
        return stream, ClientSession(password_key=password_key, features=features)
    secured = TlsStream(sock)
    if secured.tls.selected_alpn_protocol() != ALPN:
        raise NotServedError("it does not speak link 2")
    certificate = secured.tls.getpeercert(binary_form=True) or b""
    channel = Channel(hashlib.sha256(certificate).digest(), ed25519_key_of(certificate))
    return secured, LinkClientSession(channel, password_key=password_key, features=features)


def shake_hands(stream: Stream, session: ClientRole) -> None:
    """Complete the handshake of a session.

    Raises:
        ConnectionError: the server closed the connection.
        PeerError: the server refused the client.
    """
    while True:
        event = session.next_event()
        if data := session.data_to_send():
            stream.sendall(data)
        if isinstance(event, HandshakeDone):
            return
        if event is None:
            if not (chunk := stream.recv(65536)):
                raise ConnectionResetError
            session.receive_data(chunk)
