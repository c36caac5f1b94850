"""TCP below :class:`~teleglyph.net.connection.Connection`: listening and connecting."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from teleglyph.errors import BindError, ConnectError
from teleglyph.net.addresses import authority
from teleglyph.net.connect_failure import tcp_failure
from teleglyph.net.connection import Connection, ConnectionLimits
from teleglyph.net.first_bytes import Spoken, spoken
from teleglyph.wire.acip import Session

_BACKLOG = 128
_SEND_BUFFER = 512 << 10
"""Kernel bytes per peer: a few frames, so that what a slow peer gets to see is never long out of date."""
_UNSENT_LOW_WATER = 128 << 10
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 8))

Admission = Callable[[str], "Connection | bytes | None"]
"""Decides about a new peer by its address: a connection to run, bytes to send before closing, or None to close."""


class _TcpProtocol(asyncio.Protocol):
    """Glue between asyncio's callbacks and a connection."""

    def __init__(self, admit: Admission, accepted: Callable[[Connection], None] | None = None) -> None:
        self._admit = admit
        self._accepted = accepted
        self.connection: Connection | None = None

    def connection_made(self, base: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, base)
        verdict = self._admit(peer_name(transport))
        if not isinstance(verdict, Connection):
            dismiss(transport, verdict or b"")
            return
        tune(transport)
        self.connection = verdict
        verdict.opened(transport)
        if self._accepted is not None:
            self._accepted(verdict)

    def data_received(self, data: bytes) -> None:
        if self.connection is not None:
            self.connection.bytes_received(data)

    def pause_writing(self) -> None:
        if self.connection is not None:
            self.connection.writing_paused()

    def resume_writing(self) -> None:
        if self.connection is not None:
            self.connection.writing_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.connection is not None:
            self.connection.closed()


class Doorman(Protocol):
    """Decides what becomes of peers that connect."""

    def let_in(self, peer: str) -> Callable[[], None] | None:
        """Whether a peer of this address may say what it wants; what to call when it is gone or has said so."""

    def admit(self, peer: str) -> Connection | bytes | None:
        """A peer that speaks ACIP: a connection to run, bytes to send before closing, or None to close."""

    def accepted(self, connection: Connection) -> None:
        """A connection that was admitted is open."""

    def receive_http(self, peer: str) -> asyncio.Protocol | bytes:
        """A peer that speaks HTTP: who goes on with it, or bytes to send before closing."""

    def silent(self, peer: str) -> None:
        """A peer was closed because it did not say what it wants."""

    def speaks_tls(self, peer: str) -> None:
        """A peer was closed because it speaks TLS."""


class _Arrival(asyncio.Protocol):
    """A peer that has not said yet what it wants.

    Args:
        doorman: decides.
        seconds: that it may take.
    """

    def __init__(self, doorman: Doorman, seconds: float) -> None:
        self._doorman = doorman
        self._seconds = seconds
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._leave: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, base: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, base)
        self._leave = self._doorman.let_in(peer_name(transport))
        if self._leave is None:
            transport.abort()
            return
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._data += data
        kind = spoken(self._data)
        if kind is not None:
            transport, self._transport = self._transport, None
            self._depart()
            self._hand_over(transport, kind)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._depart()

    def _hand_over(self, transport: asyncio.Transport, kind: Spoken) -> None:
        peer = peer_name(transport)
        if kind is Spoken.TLS:
            self._doorman.speaks_tls(peer)
            transport.abort()
            return
        if kind is Spoken.HTTP:
            successor = self._doorman.receive_http(peer)
        else:
            successor = _TcpProtocol(self._doorman.admit, self._doorman.accepted)
        if isinstance(successor, bytes):
            dismiss(transport, successor)
            return
        transport.set_protocol(successor)
        successor.connection_made(transport)
        if not transport.is_closing():
            successor.data_received(self._data)

    def _expire(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            self._doorman.silent(peer_name(transport))
            transport.abort()

    def _depart(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


class Listener:
    """Listening sockets whose peers a doorman decides about.

    Args:
        doorman: decides.
        first_seconds: from a peer's connection to its first bytes.
    """

    def __init__(self, doorman: Doorman, first_seconds: float) -> None:
        self._doorman = doorman
        self._first_seconds = first_seconds
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Listen on one more address (an IPv4 or IPv6 literal) and return what was bound.

        Raises:
            BindError: the address is in use, not ours, or the port is reserved.
        """
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: _Arrival(self._doorman, self._first_seconds), host, port, backlog=_BACKLOG
            )
        except OSError as error:
            raise BindError(bind_failure([(host, error)], port, "calls", "--port")) from error
        self._servers.append(server)
        name = server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def close(self) -> None:
        """Stop listening; accepted connections go on."""
        for server in self._servers:
            server.close()
        self._servers.clear()


async def connect_tcp(
    host: str, port: int, session: Session, *, timeout: float = 3.0, limits: ConnectionLimits | None = None
) -> Connection:
    """Connect to a server; every address of ``host`` is tried in the resolver's order.

    Raises:
        ConnectError: no address could be reached within ``timeout`` seconds; the message says why.
    """
    where = authority(host, port)
    connection = Connection(session, where, limits)
    loop = asyncio.get_running_loop()

    def reached(numeric: str) -> Connection:
        connection.numeric_peer = authority(numeric, port)
        return connection

    try:
        async with asyncio.timeout(timeout):
            await loop.create_connection(lambda: _TcpProtocol(reached), host, port)
    except OSError as error:
        raise ConnectError(tcp_failure(error, host, port, timeout)) from error
    return connection


def bind_failure(failures: Sequence[tuple[str, OSError]], port: int, service: str, option: str) -> str:
    """A sentence about addresses that cannot be listened on, and what to do.

    Args:
        failures: addresses (IPv4 or IPv6 literals), and what the system said.
        port: the same for all.
        service: what would be served there.
        option: with which another port can be chosen.
    """
    where = " and ".join(authority(address, port) for address, _ in failures)
    numbers = {error.errno for _, error in failures}
    if errno.EADDRINUSE in numbers:
        taken = " and ".join(authority(host, port) for host, error in failures if error.errno == errno.EADDRINUSE)
        advice = f"Stop the other program or choose another port with {option}."
        return f"Cannot listen on {taken} for {service}: the port is in use. {advice}"
    if numbers == {errno.EACCES}:
        return (
            f"Cannot listen on {where} for {service}: permission denied. "
            f"Ports below 1024 are reserved; choose another with {option}."
        )
    if numbers == {errno.EADDRNOTAVAIL}:
        return f"Cannot listen on {where} for {service}: not an address of this machine."
    reasons = dict.fromkeys(_reason(error) for _, error in failures)
    return f"Cannot listen on {where} for {service}: {', '.join(reasons)}. Choose another port with {option}."


def _reason(error: OSError) -> str:
    """What the system says, without what asyncio says about that."""
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error.strerror or "no reason")


def dismiss(transport: asyncio.Transport, last_words: bytes) -> None:
    """End a connection that was never admitted, if anything is to be said with that."""
    if not last_words:
        transport.abort()
        return
    transport.write(last_words)
    transport.close()


def peer_name(transport: asyncio.BaseTransport | None) -> str:
    """The numeric address of the other end; ``unknown`` if it is gone."""
    name = None if transport is None else transport.get_extra_info("peername")
    return str(name[0]) if name else "unknown"


def tune(transport: asyncio.Transport) -> None:
    """Keep little inside the transport: bytes that wait belong into the outbox, where newer ones replace them."""
    # With TLS 0 would mean "always full": there a buffer is full that reaches its limit, not one that exceeds it.
    transport.set_write_buffer_limits(high=0 if transport.get_extra_info("ssl_object") is None else 1, low=0)
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_LOW_WATER)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
