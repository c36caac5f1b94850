"""A discovery service with one call, and the call's host, made of the parts without I/O; both misbehave on demand."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import cache

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from teleglyph.errors import PeerError
from teleglyph.keys.private import FileIdentity
from teleglyph.net.data_channel import DataChannelAnswer
from teleglyph.server import web_pages
from teleglyph.server.page_files import PageFile, PageFiles, load_page
from teleglyph.wire.acip.messages.base import Message, encode
from teleglyph.wire.acip.messages.text import ErrorMessage
from teleglyph.wire.acip.packet import HEADER, parse_packet
from teleglyph.wire.acip.server_handshake import Admission
from teleglyph.wire.acip.session import HandshakeDone
from teleglyph.wire.discovery.messages import (
    Capability,
    IceServer,
    Rendezvous,
    SessionInfo,
    SessionJoin,
    SessionJoined,
    SessionLeave,
    SessionLookup,
    Ways,
    WaysAnswer,
    WaysOffer,
    decode_discovery,
)
from teleglyph.wire.page import PasswordDigest
from teleglyph.wire.rendezvous import RendezvousServerSession

NAME = "brave-otter-lantern"
SESSION, PAGE, HOST = (bytes((fill,)) * 16 for fill in (1, 2, 3))
PROTOCOL, PAGE_PROTOCOL = "teleglyph.discovery", "teleglyph.page"
META = b'<meta name="teleglyph-discovery" content="1" /><title>'


@dataclass(frozen=True)
class Room:
    """What the host asks of those who join."""

    name: str
    group: str
    password: PasswordDigest | None
    admits: Admission | None = None
    requires_key: bool = False


class FakeDiscovery:
    """Runs in a thread of its own, between ``with`` and its end.

    Args:
        call_port: of the server that has the call, which pages reach through the data channel only.
        password: of the call; empty for none.

    Attributes:
        identity: the host's key.
        is_up: False refuses pages' WebSockets.
        is_host_away: there is no host at the moment.
        capabilities: of the session.
        servers: STUN and TURN servers that the host names.
        welcome: sent to each page that connects, as the bytes of one message.
        change: what a hostile service makes of what the host sends; None drops a message.
        relayed: what the service saw of pages and the host, in order.
        requests: types of the packets that pages sent.
        offers: session descriptions of pages.
        port: of the service.
    """

    def __init__(self, call_port: int, password: str = "") -> None:
        self.identity = FileIdentity(b"h" * 32)
        self.is_up = True
        self.is_host_away = False
        self.capabilities: int = Capability.RENDEZVOUS
        self.servers: tuple[IceServer, ...] = ()
        self.welcome: bytes | str = b""
        self.change: Callable[[bytes], bytes | None] = lambda message: message
        self.relayed: list[bytes] = []
        self.requests: list[type[object]] = []
        self.offers: list[str] = []
        self.port = 0
        self._call_port = call_port
        self._password = password
        self._loop = asyncio.new_event_loop()
        self._channels: set[asyncio.Task[None]] = set()

    def hang_up(self) -> None:
        """Cut all data channels."""
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(20)

    @contextlib.contextmanager
    def running(self) -> Iterator[FakeDiscovery]:
        ready = threading.Event()
        stop = asyncio.Event()
        thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve(ready, stop)))
        thread.start()
        try:
            assert ready.wait(20)
            yield self
        finally:
            self._loop.call_soon_threadsafe(stop.set)
            thread.join(20)
            self._loop.close()

    async def _serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.get("/discovery", self._connect),
                web.get("/web/{version}/{name:.+}", self._file),
                web.get("/{path:.*}", self._page),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        ready.set()
        await stop.wait()
        await self._hang_up()
        await runner.cleanup()

    async def _hang_up(self) -> None:
        channels = list(self._channels)
        for channel in channels:
            channel.cancel()
        await asyncio.gather(*channels, return_exceptions=True)

    # --- the service --------------------------------------------------------------------------------------

    async def _page(self, _: web.Request) -> web.Response:
        index = _files().index
        return _response(PageFile(index.type, index.body.replace(b"<title>", META), None))

    async def _file(self, request: web.Request) -> web.Response:
        return _response(_files().others[request.match_info["name"]])

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        if not self.is_up:
            raise web.HTTPServiceUnavailable
        assert PROTOCOL in request.headers["Sec-WebSocket-Protocol"]
        socket = web.WebSocketResponse(protocols=[PROTOCOL])
        await socket.prepare(request)
        if isinstance(self.welcome, str):
            await socket.send_str(self.welcome)
        elif self.welcome:
            await socket.send_bytes(self.welcome)
        host = _Host(self)
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                break
            packet = parse_packet(message.data)
            event = decode_discovery(packet.type, packet.payload)
            self.requests.append(type(event))
            async for answer in self._answers(event, host):
                if not socket.closed:
                    await socket.send_bytes(encode(answer))
        return socket

    async def _answers(self, request: object, host: _Host) -> AsyncIterator[Message]:
        if isinstance(request, SessionLookup):
            found = request.name == NAME
            yield SessionInfo(True, SESSION, self.identity.public_key, self.capabilities) if found else SessionInfo()
        elif isinstance(request, SessionJoin):
            yield SessionJoined(success=True, participant_id=PAGE, session_id=SESSION, has_host=True, host_id=HOST)
        elif isinstance(request, Rendezvous):
            assert (request.session_id, request.sender_id, request.recipient_id) == (SESSION, PAGE, HOST)
            if self.is_host_away:
                yield ErrorMessage(44, "The host is away.")
                return
            self.relayed.append(request.body)
            async for body in host.answers(request.body):
                self.relayed.append(body)
                if changed := self.change(body):
                    yield Rendezvous(SESSION, HOST, PAGE, changed)
        else:
            assert isinstance(request, SessionLeave)

    # --- the host -----------------------------------------------------------------------------------------

    def room(self, name: str) -> Room:
        return Room(name or "lobby", "", PasswordDigest(self._password) if self._password else None)

    async def answer(self, offer: str) -> str:
        self.offers.append(offer)
        channel = DataChannelAnswer()
        answer = await channel.create(offer, [])
        task = asyncio.ensure_future(self._bridge(channel))
        self._channels.add(task)
        task.add_done_callback(self._channels.discard)
        return answer

    async def _bridge(self, channel: DataChannelAnswer) -> None:
        """Connect a data channel with the call."""
        socket, protocol = await channel.open()
        assert protocol == PAGE_PROTOCOL
        reader, writer = await asyncio.open_connection(sock=socket)
        url = f"http://127.0.0.1:{self._call_port}"
        try:
            async with (
                ClientSession() as session,
                session.ws_connect(f"{url}/call", protocols=[PAGE_PROTOCOL], origin=url) as call,
                asyncio.TaskGroup() as group,
            ):
                group.create_task(_forward(reader, call))
                async for message in call:
                    if message.type is not WSMsgType.BINARY or writer.is_closing():
                        break
                    writer.write(message.data)
                    await writer.drain()
                writer.close()
        except* ConnectionError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            await channel.close()


class _Host:
    """The host's side of one rendezvous."""

    def __init__(self, discovery: FakeDiscovery) -> None:
        self._discovery = discovery
        self._session = RendezvousServerSession(SESSION, [discovery.identity], discovery.room)  # type: ignore[arg-type]

    async def answers(self, body: bytes) -> AsyncIterator[bytes]:
        session = self._session
        session.receive(body)
        try:
            while (event := session.next_event()) is not None:
                if isinstance(event, HandshakeDone):
                    session.send(Ways((), self._discovery.servers))
                elif isinstance(event, WaysOffer):
                    session.send(WaysAnswer(await self._discovery.answer(event.sdp)))
        except PeerError:
            pass  # The packets tell the page.
        for message in session.messages_to_send():
            yield message


async def _forward(reader: asyncio.StreamReader, call: ClientWebSocketResponse) -> None:
    """Send the packets of a stream as messages, and end the call with the stream."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readexactly(HEADER.size)
            packet = head + await reader.readexactly(HEADER.unpack(head)[2])
            parse_packet(packet)
            await call.send_bytes(packet)
    await call.close()


@cache
def _files() -> PageFiles:
    return load_page()


def _response(file: PageFile) -> web.Response:
    return web.Response(body=file.body, headers={**web_pages._HEADERS, "Content-Type": file.type})
