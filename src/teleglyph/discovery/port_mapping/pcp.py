"""Port mapping by PCP, and by NAT-PMP if the router does not speak PCP."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator

from teleglyph.discovery.port_mapping.gateway_socket import GatewaySocket, open_gateway_socket
from teleglyph.discovery.port_mapping.mapper import Mapped, Mapper, PortMappingSettings
from teleglyph.discovery.port_mapping.route import Route
from teleglyph.errors import GatewayError
from teleglyph.wire.port_mapping import nat_pmp, pcp
from teleglyph.wire.port_mapping.epoch import EpochCheck

_PCP_PAUSE = 1.0
"""Seconds until the first repetition.  RFC 6887 has 3 s; a router in the same room answers at once or never."""
_NAT_PMP_PAUSE = 0.25
"""Seconds until the first repetition (RFC 6886, section 3.1)."""
_Accepts = Callable[[bytes], bool]
_ANNOUNCE, _MAP_OPERATION = 0x80, 0x81
_NAT_PMP_ADDRESS, _NAT_PMP_MAP = 0x80, 0x82


async def open_pcp_or_nat_pmp(route: Route, settings: PortMappingSettings) -> Mapper:
    """A router that speaks PCP or, if not, NAT-PMP.

    Raises:
        GatewayError: it speaks neither.
    """
    gateway_socket = await open_gateway_socket(route, settings.pcp_port)
    try:
        mapper = _PcpMapper(route, settings, gateway_socket)
        if await mapper.is_spoken():
            return mapper
        older = _NatPmpMapper(settings, gateway_socket)
        await older.is_alive()
    except GatewayError as error:
        gateway_socket.close()
        raise GatewayError(f"PCP and NAT-PMP: {error}") from error
    except BaseException:
        gateway_socket.close()
        raise
    return older


class _PcpMapper:
    """A PCP router.  The nonce proves to it that later requests come from the owner of the mapping."""

    protocol = "PCP"
    external: str | None = None

    def __init__(self, route: Route, settings: PortMappingSettings, gateway_socket: GatewaySocket) -> None:
        self._own, self._settings, self._socket = route.own, settings, gateway_socket
        self._nonce = os.urandom(pcp.NONCE_SIZE)
        self._epoch = EpochCheck()
        self._requested: tuple[int, int] | None = None

    async def is_spoken(self) -> bool:
        """Whether the router speaks PCP, version 2.  An old NAT-PMP router may say no, or nothing."""

        def accepts(data: bytes) -> bool:
            return _is_announcement(data) or nat_pmp.is_unsupported_version(data) or pcp.is_unsupported_version(data)

        try:
            data = await self._exchange(pcp.announce_request(self._own), accepts)
        except GatewayError:
            return False
        if not _is_announcement(data) or pcp.is_unsupported_version(data):
            return False
        self._epoch.is_continuous(pcp.parse_announce_response(data), time.monotonic())
        return True

    async def map(self, internal_port: int, wanted_port: int) -> Mapped:
        self._requested = internal_port, wanted_port
        response = await self._map(internal_port, wanted_port, self._settings.lease)
        if response.lifetime == 0:
            raise GatewayError("The router accepted a PCP mapping, but for no time at all.")
        self._requested, self.external = (internal_port, response.external_port), response.external_address
        return Mapped(response.external_address, response.external_port, response.lifetime)

    async def is_alive(self) -> bool:
        data = await self._exchange(pcp.announce_request(self._own), _is_announcement)
        return self._epoch.is_continuous(pcp.parse_announce_response(data), time.monotonic())

    async def unmap(self) -> None:
        if self._requested is not None:
            await self._map(*self._requested, 0)
            self._requested = None

    async def close(self) -> None:
        self._socket.close()

    async def _map(self, internal_port: int, wanted_port: int, lease: int) -> pcp.MapResponse:
        request = pcp.map_request(self._own, self._nonce, internal_port, wanted_port, lease, self.external)
        # A refusal may be as short as the header.
        data = await self._exchange(
            request,
            lambda data: (
                data[:2] == bytes([pcp.VERSION, _MAP_OPERATION])
                and (len(data) == 24 or pcp.is_answer_to(data, self._nonce))
            ),
        )
        response = pcp.parse_map_response(data, self._nonce)
        if response.internal_port != internal_port:
            raise GatewayError(f"The router mapped port {response.internal_port} instead of {internal_port}.")
        # The response itself is a fresh mapping, so a restart before it does not matter any more.
        self._epoch.is_continuous(response.epoch, time.monotonic())
        return response

    async def _exchange(self, request: bytes, accepts: _Accepts) -> bytes:
        return await self._socket.exchange(request, accepts, _pauses(_PCP_PAUSE), self._settings.request_timeout)


class _NatPmpMapper:
    """A NAT-PMP router."""

    protocol = "NAT-PMP"

    def __init__(self, settings: PortMappingSettings, gateway_socket: GatewaySocket) -> None:
        self._settings, self._socket = settings, gateway_socket
        self.external: str | None = None
        self._epoch = EpochCheck()
        self._requested: int | None = None

    async def map(self, internal_port: int, wanted_port: int) -> Mapped:
        self._requested = internal_port
        response = await self._map(internal_port, wanted_port, self._settings.lease)
        if response.lifetime == 0:
            raise GatewayError("The router accepted a NAT-PMP mapping, but for no time at all.")
        await self.is_alive()
        return Mapped(self.external or "", response.external_port, response.lifetime)

    async def is_alive(self) -> bool:
        """Whether the router has not restarted, and still has the same external address."""
        data = await self._exchange(
            nat_pmp.external_address_request(), lambda data: data[:2] == bytes([nat_pmp.VERSION, _NAT_PMP_ADDRESS])
        )
        response = nat_pmp.parse_external_address(data)
        previous, self.external = self.external, response.address
        return self._epoch.is_continuous(response.epoch, time.monotonic()) and previous in (None, self.external)

    async def unmap(self) -> None:
        if self._requested is not None:
            await self._map(self._requested, 0, 0)
            self._requested = None

    async def close(self) -> None:
        self._socket.close()

    async def _map(self, internal_port: int, wanted_port: int, lease: int) -> nat_pmp.MapResponse:
        def accepts(data: bytes) -> bool:
            is_response = data[:2] == bytes([nat_pmp.VERSION, _NAT_PMP_MAP])
            return is_response and (len(data) < 10 or int.from_bytes(data[8:10], "big") == internal_port)

        response = nat_pmp.parse_map_response(
            await self._exchange(nat_pmp.map_request(internal_port, wanted_port, lease), accepts)
        )
        self._epoch.is_continuous(response.epoch, time.monotonic())
        return response

    async def _exchange(self, request: bytes, accepts: _Accepts) -> bytes:
        return await self._socket.exchange(request, accepts, _pauses(_NAT_PMP_PAUSE), self._settings.request_timeout)


def _is_announcement(data: bytes) -> bool:
    return data[:2] == bytes([pcp.VERSION, _ANNOUNCE])


def _pauses(first: float) -> Iterator[float]:
    """Seconds between repetitions; each is twice the previous one, give or take a tenth (RFC 6887, section 8.1.1)."""
    for power in range(9):
        yield first * 2**power * (900 + secrets.randbelow(201)) / 1000
