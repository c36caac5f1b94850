"""Connections before their protocol is known: sniffing, deadlines, TLS, PROXY headers, shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from certificates import certificate
from proxy_header import header_of
from teleglyph.net import listener as listener_module
from teleglyph.net.first_bytes import FirstProtocol
from teleglyph.net.forwarding import Client
from teleglyph.net.listener import Entry, Listener, TlsOffer

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop]
with contextlib.suppress(ImportError):
    import uvloop

    LOOPS.append(uvloop.new_event_loop)


class Recorder(asyncio.Protocol):
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.data = b""
        self.is_open = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False


class Place:
    """Counts those who wait."""

    refusal = ""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._is_inside = True
        handler.inside += 1

    def pass_on(self) -> None:
        self._handler.inside -= self._is_inside
        self._is_inside = False

    leave = pass_on


class Handler:
    """Records decisions."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.proxies: set[str] = set()
        self.refused: set[str] = set()
        self.reply: bytes | None = None
        self.accepts_tls = True
        self.pause = 0.0
        self.counted: list[str] = []
        self.inside = 0
        self.found: list[tuple[Client, FirstProtocol]] = []
        self.protocols: list[Recorder] = []
        self.rejections: list[str] = []

    def is_proxy(self, peer: str) -> bool:
        return peer in self.proxies

    def let_in(self, peer: str, *, is_proxy: bool) -> Place | None:
        if peer in self.refused:
            return None
        self.counted.append(f"{peer}{' (proxy)' if is_proxy else ''}")
        return Place(self)

    def plain(self, client: Client, kind: FirstProtocol, entry: Entry) -> asyncio.Protocol | bytes:
        self.found.append((client, kind))
        return self._protocol() if self.reply is None else self.reply

    def tls(self, client: Client, entry: Entry) -> TlsOffer | None:
        return self if self.accepts_tls else None

    def choose(self, client: Client, tls: ssl.SSLObject, entry: Entry) -> asyncio.Protocol | bytes:
        self.found.append((client, FirstProtocol.TLS))
        return self._protocol() if self.reply is None else self.reply

    def rejected(self, peer: str, reason: str) -> None:
        self.rejections.append(reason)

    def _protocol(self) -> Recorder:
        self.protocols.append(Recorder())
        return self.protocols[-1]


class Peer:
    """A client on a socket of its own."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setblocking(False)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def received(self) -> bytes:
        """Everything until the other end closes."""
        data = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                while chunk := await asyncio.get_running_loop().sock_recv(self.socket, 4096):
                    data += chunk
        self.socket.close()
        return data


@contextlib.asynccontextmanager
async def listening(handler: Handler, seconds: float = 5.0) -> AsyncIterator[tuple[Listener, int]]:
    listener = Listener(handler, seconds)
    try:
        yield listener, listener.listen("127.0.0.1", 0)[1]
    finally:
        listener.close()
        for protocol in handler.protocols:
            if protocol.transport is not None:
                protocol.transport.abort()
        await asyncio.sleep(0.01)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def run(main: Awaitable[None], make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def awaited() -> None:
        await main

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(awaited())


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"][: len(LOOPS)])
def loop(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    return lambda main: run(main, request.param)


Run = Callable[[Awaitable[None]], None]


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"GET / HTTP/1.1\r\n\r\n", FirstProtocol.HTTP), (b"\x7f\x45\x00", FirstProtocol.OTHER)],
)
def test_the_protocol_reads_all_bytes_however_they_arrive(loop: Run, data: bytes, kind: FirstProtocol) -> None:
    async def main() -> None:
        handler = Handler()
        async with listening(handler) as (_, port):
            for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
                handler.found.clear()
                peer = Peer(port)
                for piece in pieces:
                    await peer.send(piece)
                    await asyncio.sleep(0.002)
                await until(lambda: bool(handler.found))
                await until(lambda: handler.protocols[-1].data == data)
                assert handler.found == [(Client("127.0.0.1", is_direct=True), kind)]
                assert handler.inside == 0
                peer.socket.close()

    loop(main())


def test_a_peer_that_sends_nothing_or_too_little_is_closed_at_its_deadline(loop: Run) -> None:
    async def main() -> None:
        handler = Handler()
        async with listening(handler, 0.1) as (listener, port):
            for data in (b"", b"GE"):
                peer = Peer(port)
                await peer.send(data)
                assert await peer.received() == b""
        assert handler.rejections == ["it sent nothing in time"] * 2
        assert handler.inside == 0
        assert not listener.peers
        assert handler.found == []

    loop(main())


def test_a_peer_that_sends_too_little_and_closes_is_forgotten_at_once(loop: Run) -> None:
    async def main() -> None:
        handler = Handler()
        async with listening(handler, 60) as (listener, port):
            peer = Peer(port)
            await peer.send(b"GE")
            await until(lambda: len(listener.peers) == 1)
            await asyncio.sleep(0.02)
            peer.socket.close()
            await until(lambda: not listener.peers)
        assert handler.inside == 0

    loop(main())


def test_a_peer_that_is_not_let_in_is_closed(loop: Run) -> None:
    async def main() -> None:
        handler = Handler()
        handler.refused.add("127.0.0.1")
        async with listening(handler) as (listener, port):
            assert await Peer(port).received() == b""
            assert not listener.peers

    loop(main())


def test_a_refusal_arrives_although_the_peer_sent_more(loop: Run) -> None:
    async def main() -> None:
        handler = Handler()
        handler.reply = b"SERVER_FULL: try later\n"
        async with listening(handler) as (_, port):
            peer = Peer(port)
            await peer.send(b"\x7f" + bytes(5000))
            assert await peer.received() == handler.reply
        assert handler.inside == 0

    loop(main())


def test_closing_the_listener_closes_peers_that_wait(loop: Run) -> None:
    async def main() -> None:
        handler = Handler()
        async with listening(handler, 60) as (listener, port):
            silent, greeting = Peer(port), Peer(port)
            await greeting.send(b"\x16\x03\x01")
            await until(lambda: len(listener.peers) == 2)
            listener.close()
            assert await silent.received() == await greeting.received() == b""
        await until(lambda: not listener.peers)
        assert handler.inside == 0

    loop(main())


# --- TLS ------------------------------------------------------------------------------------------------


def server_context(tmp_path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path, "localhost"))
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_a_tls_peer_gets_its_protocol_after_the_handshake(loop: Run, tmp_path: Path) -> None:
    async def main() -> None:
        handler = Handler(server_context(tmp_path))
        async with listening(handler) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context())
            writer.write(b"hello")
            await until(lambda: bool(handler.protocols) and handler.protocols[-1].data == b"hello")
            assert handler.found == [(Client("127.0.0.1", is_direct=True), FirstProtocol.TLS)]
            assert handler.inside == 0
            transport = handler.protocols[-1].transport
            assert transport is not None
            transport.write(b"back")
            assert await reader.readexactly(4) == b"back"
            writer.close()
            await until(lambda: not handler.protocols[-1].is_open)

    loop(main())


def test_a_tls_handshake_has_a_deadline(loop: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "_TLS_SECONDS", 0.1)

    async def main() -> None:
        handler = Handler(server_context(tmp_path))
        async with listening(handler) as (listener, port):
            peer = Peer(port)
            await peer.send(b"\x16\x03\x01\x00\x01\x01")
            assert await peer.received() == b""
            await until(lambda: not listener.peers)
        assert len(handler.rejections) == 1
        assert handler.rejections[0].startswith("the TLS handshake failed: ")
        assert handler.inside == 0

    loop(main())


def test_tls_begins_when_its_first_record_is_complete(loop: Run, tmp_path: Path) -> None:
    async def main() -> None:
        handler = Handler(server_context(tmp_path))
        handler.pause = 3600.0
        hello = b"\x16\x03\x01\x00\x14" + bytes(20)

        def has_begun() -> bool:
            return any(task.get_name() == "tls handshake" for task in asyncio.all_tasks())

        async with listening(handler) as (_, port):
            peer = Peer(port)
            for place in range(len(hello)):
                await asyncio.sleep(0.002)
                assert not has_begun()
                await peer.send(hello[place : place + 1])
            await until(has_begun)
            peer.socket.close()

    loop(main())


def test_a_tls_handshake_waits_for_its_turn(loop: Run, tmp_path: Path) -> None:
    async def main() -> None:
        handler = Handler(server_context(tmp_path))
        handler.pause = 3600.0
        async with listening(handler) as (listener, port):
            peer = Peer(port)
            await peer.send(b"\x16\x03\x01\x00\x01\x01")
            await until(lambda: any(task.get_name() == "tls handshake" for task in asyncio.all_tasks()))
            await asyncio.sleep(0.05)
            assert handler.inside == len(listener.peers) == 1
            listener.close()
            assert await peer.received() == b""
            assert handler.inside == len(listener.peers) == 0
            assert handler.rejections == []

    loop(main())


def test_garbage_in_a_tls_handshake_closes_the_connection(loop: Run, tmp_path: Path) -> None:
    async def main() -> None:
        handler = Handler(server_context(tmp_path))
        async with listening(handler) as (listener, port):
            peer = Peer(port)
            await peer.send(b"\x16\x03\x01\x00\x05hello" + bytes(300))
            await peer.received()
            await until(lambda: not listener.peers)
        assert handler.inside == 0
        assert handler.found == []

    loop(main())


def test_tls_can_be_refused(loop: Run) -> None:
    async def main() -> None:
        handler = Handler()
        handler.accepts_tls = False
        async with listening(handler) as (listener, port):
            peer = Peer(port)
            await peer.send(b"\x16\x03\x01\x00\x01\x01")
            assert await peer.received() == b""
            assert not listener.peers
        assert handler.inside == 0

    loop(main())


# --- proxies --------------------------------------------------------------------------------------------


def test_a_proxys_header_names_the_client(loop: Run) -> None:
    async def main() -> None:
        handler = Handler()
        handler.proxies.add("127.0.0.1")
        header = header_of("192.0.2.7", 4000)
        async with listening(handler) as (_, port):
            for pieces in (
                [header + b"GET / "],
                [header, b"GET / "],
                [header[:5], header[5:20], header[20:] + b"GET / "],
            ):
                handler.found.clear()
                handler.counted.clear()
                peer = Peer(port)
                for piece in pieces:
                    await peer.send(piece)
                    await asyncio.sleep(0.01)
                await until(lambda: bool(handler.found) and handler.protocols[-1].data == b"GET / ")
                assert handler.found == [(Client("192.0.2.7", is_direct=False), FirstProtocol.HTTP)]
                assert handler.counted == ["127.0.0.1 (proxy)", "192.0.2.7"]
                assert handler.inside == 0
                peer.socket.close()

    loop(main())


def test_a_client_behind_a_proxy_may_be_refused(loop: Run) -> None:
    async def main() -> None:
        handler = Handler()
        handler.proxies.add("127.0.0.1")
        handler.refused.add("192.0.2.7")
        async with listening(handler) as (listener, port):
            peer = Peer(port)
            await peer.send(header_of("192.0.2.7", 4000) + b"GET / ")
            assert await peer.received() == b""
            assert not listener.peers
        assert handler.inside == 0
        assert handler.found == []

    loop(main())


def test_a_damaged_header_closes_the_connection(loop: Run) -> None:
    async def main() -> None:
        handler = Handler()
        handler.proxies.add("127.0.0.1")
        async with listening(handler) as (listener, port):
            for header in (b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n", header_of("192.0.2.7", 1)[:12] + b"\x31\0\0\0"):
                peer = Peer(port)
                await peer.send(header)
                assert await peer.received() == b""
            assert not listener.peers
        assert len(handler.rejections) == 2
        assert handler.inside == 0

    loop(main())


def test_nobody_else_may_send_a_header(loop: Run) -> None:
    async def main() -> None:
        handler = Handler()
        handler.reply = b""
        async with listening(handler) as (_, port):
            peer = Peer(port)
            await peer.send(header_of("192.0.2.7", 4000))
            assert await peer.received() == b""
        assert handler.found == [(Client("127.0.0.1", is_direct=True), FirstProtocol.PROXY)]

    loop(main())


def test_a_proxy_may_speak_without_a_header(loop: Run) -> None:
    async def main() -> None:
        handler = Handler()
        handler.proxies.add("127.0.0.1")
        async with listening(handler) as (_, port):
            peer = Peer(port)
            await peer.send(b"GET / ")
            await until(lambda: bool(handler.found))
            assert handler.found == [(Client("127.0.0.1", is_direct=True), FirstProtocol.HTTP)]
            peer.socket.close()

    loop(main())
