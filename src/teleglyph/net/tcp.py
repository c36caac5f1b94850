"""TCP and TLS below :class:`~teleglyph.net.connection.Connection`."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import cast

from teleglyph.errors import ConnectError, reason_of
from teleglyph.net.addresses import authority
from teleglyph.net.connect_failure import CHECK_PORT, tcp_failure
from teleglyph.net.connection import Connection
from teleglyph.net.traffic import ConnectionLimits
from teleglyph.net.transport import ByteSession

_SEND_BUFFER = 512 << 10
"""Kernel bytes per peer: a few frames, so that a slow peer never sees much outdated ones."""
_UNSENT_LOW_WATER = 128 << 10
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 8))


ENDED = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
"""The errors of a connection that the peer has ended."""


class ConnectionProtocol(asyncio.Protocol):
    """Forwards asyncio's callbacks to a connection.

    Args:
        connection: the connection.
        on_open: called when it is open.
    """

    def __init__(self, connection: Connection, on_open: Callable[[Connection], object] | None = None) -> None:
        self._connection = connection
        self._on_open = on_open

    def connection_made(self, base: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, base)
        configure_socket(transport)
        self._connection.opened(transport)
        # Forgotten before it is called, because it may hold the connection.
        on_open, self._on_open = self._on_open, None
        if on_open is not None:
            on_open(self._connection)

    def data_received(self, data: bytes) -> None:
        self._connection.bytes_received(data)

    def pause_writing(self) -> None:
        self._connection.writing_paused()

    def resume_writing(self) -> None:
        self._connection.writing_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.closed()


class _OutgoingProtocol(ConnectionProtocol):
    """For a connection that we opened; notes the address that was reached."""

    def connection_made(self, base: asyncio.BaseTransport) -> None:
        name = base.get_extra_info("peername")
        if name:
            self._connection.numeric_peer = authority(str(name[0]), int(name[1]))
        super().connection_made(base)


async def connect_tcp(
    host: str,
    port: int,
    session: ByteSession,
    *,
    timeout: float = 3.0,
    limits: ConnectionLimits | None = None,
    check_port: str = CHECK_PORT,
) -> Connection:
    """Connect to a server; tries every address of ``host`` in the resolver's order.

    Args:
        host: of the server.
        port: of the server.
        session: of the connection.
        timeout: seconds for the connection.
        limits: of the connection.
        check_port: a sentence about the usual port, for error messages.

    Raises:
        ConnectError: no address could be reached within ``timeout`` seconds.
    """
    connection = Connection(session, authority(host, port), limits)
    try:
        async with asyncio.timeout(timeout):
            await open_transport(connection, host, port)
    except OSError as error:
        raise ConnectError(tcp_failure(error, host, port, timeout, check_port)) from error
    return connection


def client_context(protocols: Sequence[str], *, verify: bool) -> ssl.SSLContext:
    """A TLS 1.3 context for a client.

    Args:
        protocols: offered in ALPN.
        verify: require a certificate that this machine trusts, for the server's name.  Otherwise the server is known
            by its key, as with SSH (docs/protocol/link2.md#tls).
    """
    # Loading the authorities that this machine trusts takes 50 ms, so only where they are needed.
    context = ssl.create_default_context() if verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(list(protocols))
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def connect_tls(
    host: str,
    port: int,
    context: ssl.SSLContext,
    make_session: Callable[[ssl.SSLObject, str], ByteSession],
    *,
    timeout: float = 3.0,
    tls_timeout: float = 5.0,
    limits: ConnectionLimits | None = None,
    tunnel: socket.socket | None = None,
    check_port: str = CHECK_PORT,
) -> Connection:
    """Connect to a server with TLS.

    Args:
        host: of the server; also the name for which its certificate is requested.
        port: of the server.
        context: for the TLS handshake.
        make_session: makes the session from the finished handshake and the server's numeric address with the port.
        timeout: seconds for the connection.
        tls_timeout: seconds for the TLS handshake.
        limits: of the connection.
        tunnel: a Unix stream socket whose other end leads to the server, such as that of a data channel; it is closed
            with the connection.  None connects to the server.
        check_port: a sentence about the usual port, for error messages.

    Raises:
        ConnectError: no address could be reached within ``timeout`` seconds.
        TlsFailedError: the TLS handshake failed.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            if tunnel is not None:
                transport, _ = await loop.create_unix_connection(asyncio.Protocol, sock=tunnel)
            else:
                transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
    except ENDED as error:
        # The peer's reset may arrive while the event loop is still setting up the connection.
        raise TlsFailedError("", error) from error
    except OSError as error:
        raise ConnectError(tcp_failure(error, host, port, timeout, check_port)) from error
    numeric = authority(peer_name(transport), port) if tunnel is None else authority(host, port)
    try:
        if transport.is_closing():
            raise ConnectionResetError
        # The event loop's own timeout looks like a connection that the server has closed.
        async with asyncio.timeout(tls_timeout):
            secure = await loop.start_tls(transport, transport.get_protocol(), context, server_hostname=host)
    except OSError as error:  # includes ssl.SSLError and TimeoutError
        transport.abort()
        raise TlsFailedError(numeric, error) from error
    except BaseException:
        transport.abort()
        raise
    if secure is None:
        raise TlsFailedError(numeric, ConnectionResetError())
    try:
        session = make_session(secure.get_extra_info("ssl_object"), numeric)
    except BaseException:
        secure.abort()
        raise
    connection = Connection(session, authority(host, port), limits)
    connection.certificate = secure.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
    protocol = _OutgoingProtocol(connection) if tunnel is None else ConnectionProtocol(connection)
    secure.set_protocol(protocol)
    protocol.connection_made(secure)
    return connection


class TlsFailedError(ConnectError):
    """The TLS handshake with a server failed.

    Attributes:
        numeric_peer: the server's numeric address with the port.
        cause: what failed; a TimeoutError if the server did not respond.
    """

    def __init__(self, numeric_peer: str, cause: OSError) -> None:
        super().__init__(f"The TLS handshake with {numeric_peer} failed.")
        self.numeric_peer = numeric_peer
        self.cause = cause


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
    loop, name = asyncio.get_running_loop(), host if tls is not None else None
    if tunnel is not None:
        await loop.create_connection(lambda: ConnectionProtocol(connection), sock=tunnel, ssl=tls, server_hostname=name)
    else:
        await loop.create_connection(lambda: _OutgoingProtocol(connection), host, port, ssl=tls, server_hostname=name)


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
