"""TCP below :class:`~teleglyph.net.connection.Connection`: listening and connecting."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from teleglyph.errors import BindError, ConnectError, reason_of
from teleglyph.net.addresses import authority
from teleglyph.net.connect_failure import tcp_failure
from teleglyph.net.connection import Connection
from teleglyph.net.first_bytes import FirstProtocol, detect_protocol
from teleglyph.net.traffic import ConnectionLimits
from teleglyph.wire.acip import Session

_BACKLOG = 128
_SEND_BUFFER = 512 << 10
"""Kernel bytes per peer: a few frames, so that a slow peer never sees much outdated ones."""
_UNSENT_LOW_WATER = 128 << 10
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 8))

Admission = Callable[[str], "Connection | bytes | None"]
"""Decides about a new peer by its address: a connection to run, bytes to send before closing, or None to abort."""


class _TcpProtocol(asyncio.Protocol):
    """Forwards asyncio's callbacks to a connection."""

    def __init__(self, admit: Admission, accepted: Callable[[Connection], None] | None = None) -> None:
        self._admit = admit
        self._accepted = accepted
        self.connection: Connection | None = None

    def connection_made(self, base: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, base)
        verdict = self._admit(peer_name(transport))
        if not isinstance(verdict, Connection):
            refuse(transport, verdict or b"")
            return
        configure_socket(transport)
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


class PeerHandler(Protocol):
    """Decides about peers that connect.  ``peer`` is their address."""

    def peer_connected(self, peer: str) -> Callable[[], None] | None:
        """Return a callback for when the first bytes are there or the peer left; None to close the connection."""

    def admit(self, peer: str) -> Connection | bytes | None:
        """For a peer that speaks ACIP: a connection to run, bytes to send before closing, or None to abort."""

    def accepted(self, connection: Connection) -> None:
        """Run a connection that was admitted; it is open now."""

    def http_protocol(self, peer: str) -> asyncio.Protocol | bytes:
        """For a peer that speaks HTTP: the protocol that serves it, or bytes to send before closing."""

    def peer_timed_out(self, peer: str) -> None:
        """Record that a peer was closed because its first bytes did not arrive in time."""

    def tls_refused(self, peer: str) -> None:
        """Record that a peer was closed because it speaks TLS."""


class _NewPeer(asyncio.Protocol):
    """A peer whose first bytes have not arrived yet.

    Args:
        handler: decides about the peer.
        seconds: deadline for the first bytes.
    """

    def __init__(self, handler: PeerHandler, seconds: float) -> None:
        self._handler = handler
        self._seconds = seconds
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._leave: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, base: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, base)
        self._leave = self._handler.peer_connected(peer_name(transport))
        if self._leave is None:
            transport.abort()
            return
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._data += data
        kind = detect_protocol(self._data)
        if kind is not None:
            transport, self._transport = self._transport, None
            self._finish()
            self._switch_protocol(transport, kind)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._finish()

    def _switch_protocol(self, transport: asyncio.Transport, kind: FirstProtocol) -> None:
        peer = peer_name(transport)
        if kind is FirstProtocol.TLS:
            self._handler.tls_refused(peer)
            transport.abort()
            return
        if kind is FirstProtocol.HTTP:
            successor = self._handler.http_protocol(peer)
        else:
            successor = _TcpProtocol(self._handler.admit, self._handler.accepted)
        if isinstance(successor, bytes):
            refuse(transport, successor)
            return
        transport.set_protocol(successor)
        successor.connection_made(transport)
        if not transport.is_closing():
            successor.data_received(self._data)

    def _expire(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            self._handler.peer_timed_out(peer_name(transport))
            transport.abort()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


class Listener:
    """Listening sockets for all protocols of the call port.

    Args:
        handler: decides about peers.
        first_bytes_timeout: seconds from a peer's connection to its first bytes.
    """

    def __init__(self, handler: PeerHandler, first_bytes_timeout: float) -> None:
        self._handler = handler
        self._first_bytes_timeout = first_bytes_timeout
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Listen on one more address (an IPv4 or IPv6 literal); returns the bound address and port.

        Raises:
            BindError: the address is in use, not ours, or the port is reserved.
        """
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: _NewPeer(self._handler, self._first_bytes_timeout), host, port, backlog=_BACKLOG
            )
        except OSError as error:
            raise BindError(bind_failure([(host, error)], port, "calls", "--port")) from error
        self._servers.append(server)
        name = server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def close(self) -> None:
        """Stop listening; accepted connections stay open."""
        for server in self._servers:
            server.close()
        self._servers.clear()


async def connect_tcp(
    host: str, port: int, session: Session, *, timeout: float = 3.0, limits: ConnectionLimits | None = None
) -> Connection:
    """Connect to a server; tries every address of ``host`` in the resolver's order.

    Raises:
        ConnectError: no address could be reached within ``timeout`` seconds.
    """
    where = authority(host, port)
    connection = Connection(session, where, limits)
    try:
        async with asyncio.timeout(timeout):
            await open_transport(connection, host, port)
    except OSError as error:
        raise ConnectError(tcp_failure(error, host, port, timeout)) from error
    return connection


async def open_transport(
    connection: Connection,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    tunnel: socket.socket | None = None,
) -> None:
    """Open the transport of an outgoing connection.

    Args:
        connection: not open yet.
        host: of the server; its certificate must be for this name.
        port: of the server.
        tls: verifies the certificate; None for no TLS.
        tunnel: a socket whose other end is the server, from a proxy; None connects to the server.

    Raises:
        OSError: the server cannot be reached, or its certificate is not accepted.
    """

    def reached(numeric: str) -> Connection:
        if tunnel is None:
            connection.numeric_peer = authority(numeric, port)
        return connection

    loop, name = asyncio.get_running_loop(), host if tls is not None else None
    if tunnel is not None:
        await loop.create_connection(lambda: _TcpProtocol(reached), sock=tunnel, ssl=tls, server_hostname=name)
    else:
        await loop.create_connection(lambda: _TcpProtocol(reached), host, port, ssl=tls, server_hostname=name)


def bind_failure(failures: Sequence[tuple[str, OSError]], port: int, service: str, option: str) -> str:
    """An error message for addresses that could not be bound.

    Args:
        failures: addresses (IPv4 or IPv6 literals) with their errors.
        port: the same for all.
        service: the name of the service, for the message.
        option: the option that chooses another port.
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
    """The system's description of an error, without asyncio's addition."""
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else reason_of(error)


def refuse(transport: asyncio.Transport, reply: bytes) -> None:
    """Close a connection that was not admitted, after sending a reply; without a reply, abort it."""
    if not reply:
        transport.abort()
        return
    transport.write(reply)
    transport.close()


def peer_name(transport: asyncio.BaseTransport | None) -> str:
    """The peer's numeric address; ``unknown`` if the peer is gone."""
    name = None if transport is None else transport.get_extra_info("peername")
    return str(name[0]) if name else "unknown"


def configure_socket(transport: asyncio.Transport) -> None:
    """Keep transport and kernel buffers small: bytes should wait in the outbox, where newer ones can replace them."""
    # A TLS buffer is full when it reaches its limit rather than exceeds it, so 0 would mean "always full".
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
