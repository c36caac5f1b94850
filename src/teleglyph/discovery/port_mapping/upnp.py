"""Port mapping by UPnP: an Internet Gateway Device (IGD), version 1 or 2.

async-upnp-client does XML and SOAP.  Its own profile for gateways is not used: it cannot leave the remote host empty,
which many routers require.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import math
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Final

import aiohttp
from async_upnp_client.client import UpnpService
from async_upnp_client.client_factory import UpnpFactory
from async_upnp_client.exceptions import UpnpActionError
from async_upnp_client.search import SsdpSearchListener
from async_upnp_client.utils import CaseInsensitiveDict

from teleglyph.discovery.port_mapping.mapper import Mapped, Mapper, PortMappingSettings, is_public
from teleglyph.discovery.port_mapping.route import Route
from teleglyph.discovery.port_mapping.upnp_requests import BoundedRequester
from teleglyph.errors import GatewayError

_SEARCHED: Final = (
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
)
_SERVICES: Final = (
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)
_MAX_SERVICES: Final = 4
_SEARCH_PAUSE: Final = 1.0
_CONFLICTS: Final = 4
"""Other external ports that are tried if one is taken."""
_NOT_AUTHORIZED, _NO_SUCH_ENTRY, _CONFLICT, _SAME_PORT, _ONLY_PERMANENT = 606, 714, 718, 724, 725
_REASONS: Final = {
    _NOT_AUTHORIZED: "it does not allow this computer to map ports (606); allow it in the router's settings",
    _CONFLICT: "all external ports that were tried are taken (718)",
    728: "it has no room for another mapping (728)",
    501: "it could not do it (501)",
}

# Its warnings are about single packets and documents; what matters reaches the status.
logging.getLogger("async_upnp_client").setLevel(logging.CRITICAL)


async def open_upnp(route: Route, settings: PortMappingSettings) -> Mapper:
    """The router as a UPnP device.

    Only the gateway of the default route counts: a mapping on another device would not lead to us.

    Raises:
        GatewayError: it does not speak UPnP, or does not forward ports.
    """
    location = await _search(route, settings)
    requester = BoundedRequester(route.gateway, settings.request_timeout)
    try:
        with _explained("describe itself"):
            async with asyncio.timeout(2 * settings.request_timeout):
                device = await UpnpFactory(requester, non_strict=True).async_create_device(location)
        offered = [service for kind in _SERVICES for service in device.all_services if service.service_type == kind]
        if not offered:
            raise GatewayError("UPnP: The router does not offer to forward ports.")
        # Some routers describe a connection that they do not use beside the one that they do.
        mappers = [_UpnpMapper(route, settings, service, requester) for service in offered[:_MAX_SERVICES]]
        found = []
        failure = GatewayError("UPnP: The router does not know its external address.")
        for mapper in mappers:
            try:
                found.append((is_public(await mapper.find_external()), mapper))
            except GatewayError as error:
                failure = error
        if not found:
            raise failure
        return max(found, key=lambda entry: entry[0])[1]
    except BaseException:
        await requester.close()
        raise


class _UpnpMapper:
    """One connection of a router to the Internet."""

    protocol = "UPnP"

    def __init__(
        self, route: Route, settings: PortMappingSettings, service: UpnpService, requester: BoundedRequester
    ) -> None:
        self._own, self._settings = route.own, settings
        self._service, self._requester = service, requester
        self.external: str | None = None
        self._lease = settings.lease
        self._requested: set[int] = set()
        self._internal_port = 0
        self._port = 0
        self._is_listed = False

    async def find_external(self) -> str:
        """Ask for the external address."""
        answer = await self._call("GetExternalIPAddress")
        text = str(answer.get("NewExternalIPAddress") or "")
        try:
            self.external = str(ipaddress.IPv4Address(text.strip()))
        except ValueError:
            raise GatewayError("UPnP: The router does not know its external address.") from None
        return self.external

    async def map(self, internal_port: int, wanted_port: int) -> Mapped:
        self._internal_port = internal_port
        self._port = await self._add(internal_port, wanted_port)
        address = await self.find_external()
        return Mapped(address, self._port, self._lease or math.inf)

    async def is_alive(self) -> bool:
        previous = self.external
        if await self.find_external() != previous:
            return False
        return await self._listed(self._port) == (self._own, self._internal_port) or not self._is_listed

    async def unmap(self) -> None:
        for port in list(self._requested):
            owner = await self._listed(port)
            with contextlib.suppress(_UpnpRefusalError):
                if owner in (None, (self._own, self._internal_port)):
                    await self._call("DeletePortMapping", NewRemoteHost="", NewExternalPort=port, NewProtocol="TCP")
            self._requested.discard(port)

    async def close(self) -> None:
        await self._requester.close()

    async def _add(self, internal_port: int, wanted_port: int) -> int:
        """The external port that the router has mapped."""
        refusal = _UpnpRefusalError(_CONFLICT)
        for port in _ports(wanted_port):
            self._requested.add(port)
            try:
                await self._add_exactly(internal_port, port)
                owner = await self._listed(port)
                if owner is None or owner == (self._own, internal_port):
                    self._is_listed = owner is not None
                    return port
                # The router has accepted the request, but kept the mapping of another computer.
                refusal = _UpnpRefusalError(_CONFLICT)
            except _UpnpRefusalError as error:
                refusal = error
            if port != self._port:
                self._requested.discard(port)
            if refusal.code == _SAME_PORT and port != internal_port:
                self._requested.add(internal_port)
                await self._add_exactly(internal_port, internal_port)
                return internal_port
            if refusal.code != _CONFLICT:
                raise refusal
            if self._service.has_action("AddAnyPortMapping"):
                return await self._add_any(internal_port, port)
        raise refusal

    async def _add_exactly(self, internal_port: int, port: int) -> None:
        try:
            await self._call("AddPortMapping", **self._wanted(internal_port, port))
        except _UpnpRefusalError as error:
            if error.code != _ONLY_PERMANENT or self._lease == 0:
                raise
            self._lease = 0
            await self._call("AddPortMapping", **self._wanted(internal_port, port))

    async def _add_any(self, internal_port: int, port: int) -> int:
        """Let a router of the second generation choose a port."""
        answer = await self._call("AddAnyPortMapping", **self._wanted(internal_port, port))
        chosen = answer.get("NewReservedPort")
        if not isinstance(chosen, int) or not 0 < chosen <= 65535:
            raise GatewayError(f"UPnP: The router mapped the invalid port {chosen!r}.")
        self._requested.add(chosen)
        return chosen

    def _wanted(self, internal_port: int, port: int) -> dict[str, Any]:
        return {
            "NewRemoteHost": "",
            "NewExternalPort": port,
            "NewProtocol": "TCP",
            "NewInternalPort": internal_port,
            "NewInternalClient": self._own,
            "NewEnabled": True,
            "NewPortMappingDescription": "Teleglyph",
            "NewLeaseDuration": self._lease,
        }

    async def _listed(self, external_port: int) -> tuple[str, int] | None:
        """To where the router says that it forwards a port; None if it does not say."""
        try:
            entry = await self._call(
                "GetSpecificPortMappingEntry", NewRemoteHost="", NewExternalPort=external_port, NewProtocol="TCP"
            )
        except _UpnpRefusalError:
            return None
        client, port = entry.get("NewInternalClient"), entry.get("NewInternalPort")
        if not isinstance(client, str) or not isinstance(port, int):
            return None
        return client, port

    async def _call(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        if not self._service.has_action(name):
            raise _UpnpRefusalError(401)
        self._requester.allow_more()
        with _explained(f"answer {name}"):
            async with asyncio.timeout(self._settings.request_timeout):
                return await self._service.action(name).async_call(**arguments)


class _UpnpRefusalError(GatewayError):
    """A router's error code."""

    def __init__(self, code: int | None) -> None:
        reason = _REASONS.get(code or 0, f"UPnP error {code}")
        super().__init__(f"UPnP: The router refused to map a port: {reason}.")
        self.code = code


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn whatever the library raises for what a router sent into a GatewayError."""
    try:
        yield
    except GatewayError:
        raise
    except UpnpActionError as error:
        raise _UpnpRefusalError(error.error_code) from error
    except TimeoutError:
        raise GatewayError(f"UPnP: The router did not {what} in time.") from None
    except (OSError, aiohttp.ClientError) as error:
        raise GatewayError(f"UPnP: The router did not {what}: {type(error).__name__}.") from error
    except Exception as error:
        raise GatewayError(f"UPnP: The router sent an invalid answer ({type(error).__name__}).") from error


async def _search(route: Route, settings: PortMappingSettings) -> str:
    """The URL of the router's description."""
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    others = set()

    def receive(headers: CaseInsensitiveDict) -> None:
        source = headers.get("_remote_addr", ("",))[0]
        location = str(headers.get("location", ""))
        if source != route.gateway:
            others.add(source)
        elif location.startswith("http://") and not found.done():
            found.set_result(location)

    listener = SsdpSearchListener(callback=receive, source=(route.own, 0), target=settings.ssdp)
    try:
        await listener.async_start()
        async with asyncio.timeout(settings.search_timeout):
            while not found.done():
                for device in _SEARCHED:
                    listener.search_target = device
                    listener.async_search()
                await asyncio.wait([found], timeout=_SEARCH_PAUSE)
            return found.result()
    except TimeoutError:
        if others:
            raise GatewayError(f"UPnP: Only {min(others)} answered, but the router is {route.gateway}.") from None
        raise GatewayError("UPnP: The router did not answer.") from None
    except OSError as error:
        raise GatewayError(f"UPnP: Cannot search for routers: {error.strerror or error}.") from error
    finally:
        listener.async_stop()


def _ports(wanted: int) -> Iterator[int]:
    """The wanted port, then random ones that need no privileges."""
    yield wanted
    for _ in range(_CONFLICTS):
        yield 20000 + secrets.randbelow(40000)
