"""Accepts connections, looks at their first bytes, and passes each to the protocol that they belong to.

The first bytes are only peeked at: they stay in the kernel until the chosen protocol reads them.  The exception is a
trusted proxy's PROXY header, which is read before anything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from teleglyph.errors import BindError, ProtocolError
from teleglyph.net.first_bytes import FirstProtocol, detect_protocol, record_size
from teleglyph.net.forwarding import Client
from teleglyph.net.tcp import bind_failure, refuse
from teleglyph.wire.proxy_protocol import HEADER_SIZE, header_length, parse_header

_BACKLOG = 128
_ACCEPTED_AT_ONCE = 4
"""Connections accepted before the event loop does anything else; each takes up to 0.3 ms, and frames wait meanwhile."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE = 1.0
"""Seconds until the next attempt to accept after the system has run out of a resource."""
_TLS_SECONDS = 5.0
"""For a TLS handshake, after the first bytes."""
_REFUSED_SECONDS = 1.0
"""For the first bytes of a peer that is refused."""
_CLOSE_SECONDS = 1.0
"""For the end of a TLS connection that we close."""
_DRAIN = 64 << 10


Choose = Callable[[str, Callable[[], None]], "asyncio.Protocol | bytes"]
"""Takes a peer's address and what it calls when its connection has ended."""


class Entry(Protocol):
    """A peer's place on the server, from its acceptance on."""

    @property
    def refusal(self) -> str:
        """Why the peer is refused; empty if it is not.  It is only let in to be told, so it has less time."""

    def pass_on(self) -> None:
        """The peer's protocol is known, and it no longer counts among those who wait."""

    def leave(self) -> None:
        """The connection has ended; more calls do nothing."""


class TlsOffer(Protocol):
    """What a peer that speaks TLS gets."""

    @property
    def context(self) -> ssl.SSLContext:
        """For the TLS handshake."""

    @property
    def pause(self) -> float:
        """Seconds to wait before the TLS handshake, because the peer's address has used its share of time."""

    def choose(self, client: Client, tls: ssl.SSLObject, entry: Entry) -> asyncio.Protocol | bytes:
        """The protocol for a peer after its handshake, or bytes to send before closing."""


class PeerHandler(Protocol):
    """Decides about peers that connect."""

    def is_proxy(self, peer: str) -> bool:
        """Whether an address is that of a trusted proxy."""

    def let_in(self, peer: str, *, is_proxy: bool) -> Entry | None:
        """Count a peer; None closes the connection."""

    def plain(self, client: Client, kind: FirstProtocol, entry: Entry) -> asyncio.Protocol | bytes:
        """The protocol for a peer without TLS, or bytes to send before closing; no bytes close without a word.

        The protocol calls ``entry.leave`` when the connection has ended.
        """

    def tls(self, client: Client, entry: Entry) -> TlsOffer | None:
        """For a peer that begins a TLS handshake; None closes the connection."""

    def rejected(self, peer: str, reason: str) -> None:
        """Record that a peer was closed before it was passed on."""


class Listener:
    """Listening sockets that share one handler.

    Args:
        handler: decides about peers.
        first_bytes_timeout: seconds from a peer's connection to its first bytes.
        service: what listens, for error messages.
        option: the option that chooses another port, for error messages.
    """

    def __init__(
        self, handler: PeerHandler, first_bytes_timeout: float, service: str = "calls", option: str = "--port"
    ) -> None:
        self.handler = handler
        self.first_bytes_timeout = first_bytes_timeout
        self.peers: set[_NewPeer] = set()
        """Peers that were not passed on yet."""
        self._service = service
        self._option = option
        self._sockets: list[socket.socket] = []

    def listen(self, host: str, port: int) -> tuple[str, int]:
        """Listen on one more address (an IPv4 or IPv6 literal); returns the bound address and port.

        Raises:
            BindError: the address is in use, not ours, or the port is reserved.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise BindError(bind_failure([(host, error)], port, self._service, self._option)) from error
        listening.setblocking(False)
        self._sockets.append(listening)
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)
        name = listening.getsockname()
        return str(name[0]), int(name[1])

    def adopt(self, sock: socket.socket, peer: str, choose: Choose | None = None) -> None:
        """Serve a peer that came in another way than by TCP.

        Args:
            sock: a connected stream socket, not blocking; it belongs to the listener now.
            peer: the address that limits count.
            choose: the protocol for the peer, or bytes to send before closing; None lets its first bytes decide.
        """
        _NewPeer(self, sock, peer).start(choose)

    def close(self) -> None:
        """Stop listening and close peers that were not passed on; other connections stay open."""
        for listening in self._sockets:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        self._sockets.clear()
        for peer in list(self.peers):
            peer.abandon()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # Other errors concern a single peer that has left meanwhile.
                if error.errno in _EXHAUSTED:
                    loop = asyncio.get_running_loop()
                    loop.remove_reader(listening)
                    loop.call_later(_PAUSE, self._resume, listening)
                    return
                continue
            accepted.setblocking(False)
            _NewPeer(self, accepted, str(address[0])).start()

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)


class _NewPeer:
    """A peer whose protocol is not known yet.

    Args:
        listener: that accepted it.
        sock: its socket, not blocking.
        address: its numeric address.
    """

    def __init__(self, listener: Listener, sock: socket.socket, address: str) -> None:
        self._listener = listener
        self._handler = listener.handler
        self._socket = sock
        self._client = Client(address, is_direct=True)
        self._is_proxy = self._handler.is_proxy(address)
        self._entry: Entry | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._looked_at = 0
        self._loop = asyncio.get_running_loop()

    def start(self, choose: Choose | None = None) -> None:
        """Count the peer and wait for its first bytes, unless its protocol is known."""
        self._entry = self._handler.let_in(self._client.address, is_proxy=self._is_proxy)
        if self._entry is None:
            self._socket.close()
            return
        self._listener.peers.add(self)
        if choose is not None:
            self._serve(b"" if self._entry.refusal else choose(self._client.address, self._entry.leave), self._entry)
            return
        seconds = self._listener.first_bytes_timeout
        if self._entry.refusal:
            seconds = min(seconds, _REFUSED_SECONDS)
        self._timer = self._loop.call_later(seconds, self._expire)
        self._loop.add_reader(self._socket, self._look)

    def abandon(self) -> None:
        """Close the connection."""
        if self._task is not None:
            self._task.cancel()
        else:
            self._stop_looking()
            self._socket.close()
            self._finish()

    # --- looking at the first bytes -------------------------------------------------------------------

    def _look(self) -> None:
        data = self._peek(HEADER_SIZE)
        if data is None:
            return
        kind = detect_protocol(data)
        if kind is FirstProtocol.PROXY and self._is_proxy:
            self._read_proxy_header(data)
        elif kind is None:
            self._wait_for(data, len(data) + 1)
        elif kind is FirstProtocol.TLS and not self._has_record(data):
            pass
        else:
            self._stop_looking()
            self._pass_on(kind)

    def _has_record(self, data: bytes) -> bool:
        """Whether the first TLS record is complete; waits for the rest otherwise.

        In pieces it would cost the event loop a step for each piece.
        """
        size = record_size(data)
        if size <= len(data):
            return True
        record = self._peek(size)
        if record is None or len(record) == size:
            return record is not None
        self._wait_for(record, size)
        return False

    def _peek(self, size: int) -> bytes | None:
        """The first bytes, at most ``size``; None if there are none, or the peer is gone."""
        try:
            data = self._socket.recv(size, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            data = b""
        if not data:
            self.abandon()
            return None
        return data

    def _wait_for(self, data: bytes, size: int) -> None:
        """Call :meth:`_look` again when there are ``size`` bytes.

        The socket would be readable all the time because of the bytes that stay in it.
        """
        if len(data) == self._looked_at:
            self.abandon()  # it is readable without more bytes: the peer has closed
            return
        self._looked_at = len(data)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def _read_proxy_header(self, data: bytes) -> None:
        if len(data) < HEADER_SIZE:
            self._wait_for(data, HEADER_SIZE)
            return
        try:
            size = header_length(data)
            header = self._peek(size)
            if header is None:
                return
            if len(header) < size:
                self._wait_for(header, size)
                return
            address = parse_header(header)
        except ProtocolError as error:
            self._handler.rejected(self._client.address, str(error))
            self.abandon()
            return
        self._socket.recv(size)
        self._looked_at = 0
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._is_proxy = False
        if address is None:  # the proxy itself looks whether we are alive
            self._client = Client(self._client.address, is_direct=False)
            return
        if self._entry is not None:
            self._entry.leave()
        self._client = Client(address.address, is_direct=False)
        self._entry = self._handler.let_in(address.address, is_proxy=False)
        if self._entry is None:
            self.abandon()

    def _stop_looking(self) -> None:
        self._loop.remove_reader(self._socket)
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _expire(self) -> None:
        self._handler.rejected(self._client.address, "it sent nothing in time")
        self.abandon()

    # --- passing on -----------------------------------------------------------------------------------

    def _pass_on(self, kind: FirstProtocol) -> None:
        entry = self._entry
        if entry is None:
            return
        if kind is FirstProtocol.TLS:
            offer = self._handler.tls(self._client, entry)
            if offer is not None:
                self._task = self._loop.create_task(self._secure(offer, entry), name="tls handshake")
                return
            verdict: asyncio.Protocol | bytes = b""
        else:
            verdict = self._handler.plain(self._client, kind, entry)
        self._serve(verdict, entry)

    def _serve(self, verdict: asyncio.Protocol | bytes, entry: Entry) -> None:
        if isinstance(verdict, bytes):
            self._refuse(verdict)
            self._finish()
        else:
            self._task = self._loop.create_task(self._connect(verdict, entry), name="connection")

    def _refuse(self, reply: bytes) -> None:
        """Close with a reply, after reading what was received: unread bytes would make the kernel drop the reply."""
        with contextlib.suppress(OSError):
            if reply:
                self._socket.recv(_DRAIN)
                self._socket.send(reply)
        self._socket.close()

    async def _connect(self, protocol: asyncio.Protocol, entry: Entry) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, self._socket)
        except OSError as error:
            self._handler.rejected(self._client.address, f"it has gone: {_reason(error)}")
            self._socket.close()
            self._finish()
        except BaseException:
            self._socket.close()
            self._finish()
            raise
        else:
            self._hand_over(entry)

    async def _secure(self, offer: TlsOffer, entry: Entry) -> None:
        def choose(tls: ssl.SSLObject) -> asyncio.Protocol | bytes:
            verdict = offer.choose(self._client, tls, entry)
            if not isinstance(verdict, bytes):
                self._hand_over(entry)
            return verdict

        try:
            await self._wait_for_turn(offer.pause)
            await self._loop.connect_accepted_socket(
                lambda: _SecurePeer(choose),
                self._socket,
                ssl=offer.context,
                ssl_handshake_timeout=_TLS_SECONDS,
                ssl_shutdown_timeout=_CLOSE_SECONDS,
            )
        except OSError as error:  # includes ssl.SSLError and TimeoutError
            self._handler.rejected(self._client.address, f"the TLS handshake failed: {_reason(error)}")
        finally:
            self._finish()

    async def _wait_for_turn(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self._socket.close()  # later the event loop owns it
            raise

    def _hand_over(self, entry: Entry) -> None:
        """Leave the place to the protocol."""
        entry.pass_on()
        self._entry = None
        self._finish()

    def _finish(self) -> None:
        self._listener.peers.discard(self)
        entry, self._entry = self._entry, None
        if entry is not None:
            entry.leave()


class _SecurePeer(asyncio.Protocol):
    """A peer whose TLS handshake is done; its protocol takes over at once.

    Args:
        choose: chooses that protocol, or bytes to send before closing.
    """

    def __init__(self, choose: Callable[[ssl.SSLObject], asyncio.Protocol | bytes]) -> None:
        self._choose = choose

    def connection_made(self, base: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, base)
        verdict = self._choose(cast(ssl.SSLObject, transport.get_extra_info("ssl_object")))
        if isinstance(verdict, bytes):
            refuse(transport, verdict)
            return
        transport.set_protocol(verdict)
        verdict.connection_made(transport)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return error.strerror or str(error) or "it took too long"
