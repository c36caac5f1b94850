"""Asks STUN servers for our public address."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from teleglyph.discovery.stun.servers import StunServer, resolve
from teleglyph.errors import StunError
from teleglyph.net.addresses import numeric
from teleglyph.wire.stun import TRANSACTION_ID_SIZE, MessageClass, StunAddress, StunMessage, decode, encode

DEFAULT_TIMEOUT: Final = 3.0
"""Seconds for which a response is awaited."""
MAX_SERVERS: Final = 4
"""Servers that are asked; more do not make an answer more certain."""
_FIRST_PAUSE: Final = 0.5
"""Seconds until the first repetition of a request (RFC 8489, section 6.2.1); each further pause is twice as long."""
_MAX_SENT: Final = 4


class StunReply(NamedTuple):
    """A response, and the address that it came from."""

    message: StunMessage
    source: StunAddress


class StunSocket(asyncio.DatagramProtocol):
    """One UDP socket for binding requests.  A NAT maps all that it sends from one port of ours.

    :func:`open_stun_socket` makes them.
    """

    _transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self._waiting: dict[bytes, tuple[StunAddress | None, asyncio.Future[StunReply]]] = {}

    async def request(
        self, server: StunAddress, timeout: float, *, change_address: bool = False, change_port: bool = False
    ) -> StunReply | None:
        """Send a binding request, a few times if necessary.

        Args:
            server: where it goes.
            timeout: seconds in which a response must come.
            change_address: ask for a response from the server's other address.
            change_port: ask for a response from the server's other port.

        Returns:
            A success or an error response; None if there was none.  The response to a plain request has to come from
            the server itself.
        """
        transaction_id = os.urandom(TRANSACTION_ID_SIZE)
        request = StunMessage(
            MessageClass.REQUEST, transaction_id, change_address=change_address, change_port=change_port
        )
        future: asyncio.Future[StunReply] = asyncio.get_running_loop().create_future()
        source = None if change_address or change_port else server
        self._waiting[transaction_id] = source, future
        try:
            async with asyncio.timeout(timeout):
                return await self._answer(encode(request), server, future)
        except TimeoutError:
            return None
        finally:
            del self._waiting[transaction_id]

    async def _answer(self, data: bytes, server: StunAddress, future: asyncio.Future[StunReply]) -> StunReply:
        pause = _FIRST_PAUSE
        for _ in range(_MAX_SENT):
            self._transport.sendto(data, server)
            done, _ = await asyncio.wait([future], timeout=pause)
            if done:
                break
            pause *= 2
        return await future

    def address_towards(self, server: StunAddress) -> StunAddress:
        """The address and port from which this socket sends to a server, before any NAT.

        Raises:
            OSError: there is no route to it.
        """
        own = self._transport.get_extra_info("sockname")
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        # A connected datagram socket knows its own address; no packet is sent.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(server)
            return _address(probe.getsockname())._replace(port=own[1])

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()

    # --- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # it is one for datagrams

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            message = decode(data)
        except StunError:
            return
        expected, future = self._waiting.get(message.transaction_id, (None, None))
        source = _address(addr)
        if future is None or future.done() or expected not in (None, source):
            return
        if message.kind in (MessageClass.SUCCESS, MessageClass.ERROR):
            future.set_result(StunReply(message, source))

    def error_received(self, exc: Exception) -> None:
        """Somebody on the way reports that a packet did not arrive; the timeout decides."""


@contextlib.asynccontextmanager
async def open_stun_socket(server: StunAddress) -> AsyncIterator[StunSocket]:
    """A socket that can reach a server, closed at the end.

    Args:
        server: decides between IPv4 and IPv6.

    Raises:
        OSError: there is no such socket.
    """
    with socket.socket(socket.AF_INET6 if ":" in server.host else socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("", 0))
        async with _stun_socket(udp) as stun_socket:
            yield stun_socket


@contextlib.asynccontextmanager
async def _stun_socket(udp: socket.socket) -> AsyncIterator[StunSocket]:
    """Use a bound socket, which stays the caller's."""
    own = udp.dup()
    own.setblocking(False)
    _, stun_socket = await asyncio.get_running_loop().create_datagram_endpoint(StunSocket, sock=own)
    try:
        yield stun_socket
    finally:
        stun_socket.close()


async def public_address(
    servers: Sequence[StunServer], local_socket: socket.socket | None = None, *, timeout: float = DEFAULT_TIMEOUT
) -> StunAddress | None:
    """Our address and UDP port as the first STUN server to answer sees them.

    A server can lie: the address is a hint, not a proof.

    Args:
        servers: the first :data:`MAX_SERVERS` are asked at the same time.
        local_socket: a bound UDP socket whose public port is wanted; it stays the caller's, who must not read it
            meanwhile.  Without one, only the address is of use.
        timeout: seconds.

    Returns:
        None if no server answered.
    """
    async with contextlib.AsyncExitStack() as stack:
        shared, family = None, int(socket.AF_UNSPEC)
        if local_socket is not None:
            shared, family = await stack.enter_async_context(_stun_socket(local_socket)), int(local_socket.family)
        asked = [asyncio.create_task(_ask(server, shared, timeout, family)) for server in servers[:MAX_SERVERS]]
        try:
            async with asyncio.timeout(timeout):
                for answer in asyncio.as_completed(asked):
                    if address := await answer:
                        return address
        except TimeoutError:
            pass
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
    return None


async def _ask(server: StunServer, shared: StunSocket | None, timeout: float, family: int) -> StunAddress | None:
    address = await resolve(server, timeout, family)
    if address is None:
        return None
    try:
        if shared is not None:
            reply = await shared.request(address, timeout)
        else:
            async with open_stun_socket(address) as stun_socket:
                reply = await stun_socket.request(address, timeout)
    except OSError:
        return None
    return reply.message.mapped_address if reply else None


def _address(sockname: tuple[Any, ...]) -> StunAddress:
    host = str(sockname[0])
    return StunAddress(numeric(host) or host, int(sockname[1]))
