"""Requests and responses over UDP between us and one router."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any

from teleglyph.discovery.port_mapping.route import Route
from teleglyph.errors import GatewayError


class GatewaySocket(asyncio.DatagramProtocol):
    """A connected UDP socket: the system drops what comes from anybody but the router.

    :func:`open_gateway_socket` makes it.
    """

    _transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self._accepts: Callable[[bytes], bool] | None = None
        self._response: asyncio.Future[bytes] | None = None

    async def exchange(
        self, request: bytes, accepts: Callable[[bytes], bool], pauses: Iterable[float], timeout: float
    ) -> bytes:
        """Send a request until a response comes.  One exchange at a time.

        Args:
            request: to send.
            accepts: whether a datagram is the response; others are ignored.
            pauses: seconds between repetitions.
            timeout: seconds for everything.

        Raises:
            GatewayError: no response came in time, or nothing listens there.
        """
        response: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._accepts, self._response = accepts, response
        try:
            async with asyncio.timeout(timeout):
                for pause in pauses:
                    self._transport.sendto(request)
                    done, _ = await asyncio.wait([response], timeout=pause)
                    if done:
                        break
                return await response
        except TimeoutError:
            raise GatewayError("The router did not answer.") from None
        except OSError as error:
            raise GatewayError(f"The router did not answer: {error.strerror or error}.") from error
        finally:
            self._accepts = self._response = None

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()

    # --- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # it is one for datagrams

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if self._response and not self._response.done() and self._accepts and self._accepts(data):
            self._response.set_result(data)

    def error_received(self, exc: Exception) -> None:
        # Usually "connection refused": nothing listens on that port of the router.
        if self._response and not self._response.done():
            self._response.set_exception(exc)


async def open_gateway_socket(route: Route, port: int) -> GatewaySocket:
    """A socket between our address and a UDP port of the router.

    Raises:
        GatewayError: the router cannot be reached.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.setblocking(False)
        udp.bind((route.own, 0))
        udp.connect((route.gateway, port))
    except OSError as error:
        udp.close()
        raise GatewayError(f"Cannot send to the router {route.gateway}: {error.strerror or error}.") from error
    _, gateway_socket = await asyncio.get_running_loop().create_datagram_endpoint(GatewaySocket, sock=udp)
    return gateway_socket
