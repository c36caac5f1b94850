"""Routers on loopback that forward ports: PCP, NAT-PMP and UPnP, honest and not.  Written from the specifications."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast
from xml.etree import ElementTree

from aiohttp import web

GATEWAY = "127.0.0.1"
PUBLIC = "11.22.33.44"


@dataclass(eq=False)
class PcpRouter(asyncio.DatagramProtocol):
    """A router with PCP and NAT-PMP on UDP.

    Attributes:
        speaks: "pcp" (and no NAT-PMP), "nat-pmp" (and refuses PCP) or "old nat-pmp" (ignores PCP).
        external: what it reports as its external address.
        lease: the most seconds that it grants.
        port: the external port that it maps instead of the wanted one.
        result: the error that it answers to mappings.
        short_errors: errors have only a header.
        internal_port: a wrong port that it reports as ours.
        wrong_nonce, from_elsewhere, garbage: how it answers mappings.
        silent_after: the number of requests after which it is gone.
        started: when it started or lost its mappings, as from ``time.monotonic``.
        mappings: internal ports and what they are mapped to.
        made: how many times a mapping was made or renewed.
        requests: all datagrams.
        violations: what the specification does not allow us to do.
    """

    speaks: str = "pcp"
    external: str = PUBLIC
    lease: int = 3600
    port: int | None = None
    result: int = 0
    short_errors: bool = False
    internal_port: int | None = None
    wrong_nonce: bool = False
    from_elsewhere: bool = False
    garbage: bytes | None = None
    silent_after: float = float("inf")
    started: float = field(default_factory=lambda: time.monotonic() - 1000)
    mappings: dict[int, int] = field(default_factory=dict)
    made: int = 0
    requests: list[bytes] = field(default_factory=list)
    udp_port: int = 0
    violations: list[AssertionError] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[PcpRouter]:
        """The router, listening on a port of its own."""
        loop = asyncio.get_running_loop()
        self.stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.stranger.bind(("127.0.0.2", 0))
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(GATEWAY, 0))
        self.transport = transport
        self.udp_port = transport.get_extra_info("sockname")[1]
        try:
            yield self
        finally:
            transport.close()
            self.stranger.close()

    def restart(self) -> None:
        """Forget all mappings."""
        self.mappings.clear()
        self.started = time.monotonic()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.requests.append(data)
        if len(self.requests) > self.silent_after:
            return
        answer = None
        try:
            if data[0] == 0:
                answer = self._nat_pmp(data)
            elif self.speaks == "pcp":
                answer = self._pcp(data)
            elif self.speaks == "nat-pmp":
                answer = struct.pack(">BBHI", 0, 0x80 | data[1], 1, self.epoch)
        except AssertionError as error:
            self.violations.append(error)
        if answer is None:
            return
        is_mapping = data[1] in (1, 2)
        if is_mapping and self.garbage is not None:
            answer = self.garbage
        if is_mapping and self.from_elsewhere:
            self.stranger.sendto(answer, addr)
        else:
            self.transport.sendto(answer, addr)

    @property
    def epoch(self) -> int:
        """Seconds since the start."""
        return int(time.monotonic() - self.started)

    def _map(self, internal: int, wanted: int, lifetime: int) -> tuple[int, int]:
        """The external port and the lifetime."""
        if lifetime == 0:
            return self.mappings.pop(internal, 0), 0
        self.made += 1
        self.mappings[internal] = self.port or wanted
        return self.mappings[internal], min(lifetime, self.lease)

    def _nat_pmp(self, data: bytes) -> bytes | None:
        if self.speaks == "pcp":
            return struct.pack(">BBBBI16x", 2, 0x80, 0, 1, 0)
        if data[1] == 0:
            return struct.pack(">BBHI", 0, 128, 0, self.epoch) + socket.inet_aton(self.external)
        internal, wanted, lifetime = struct.unpack(">4xHHI", data)
        if self.result:
            return struct.pack(">BBHIHHI", 0, 130, self.result, self.epoch, internal, 0, 0)
        external, lifetime = self._map(internal, wanted, lifetime)
        return struct.pack(">BBHIHHI", 0, 130, 0, self.epoch, self.internal_port or internal, external, lifetime)

    def _pcp(self, data: bytes) -> bytes:
        operation, lifetime = struct.unpack(">xB2xI", data[:8])
        assert data[8:24] == b"\0" * 10 + b"\xff\xff" + socket.inet_aton("127.0.0.1"), "our own address"
        if operation == 0:
            assert len(data) == 24
            return struct.pack(">BBBBII12x", 2, 0x80, 0, 0, 0, self.epoch)
        nonce, protocol, internal, wanted = struct.unpack(">12sB3xHH", data[24:44])
        assert (operation, protocol, len(data)) == (1, 6, 60)
        external = 0
        if not self.result:
            external, lifetime = self._map(internal, wanted, lifetime)
        if self.wrong_nonce:
            nonce = bytes(12)
        header = struct.pack(">BBBBII12x", 2, 0x81, 0, self.result, lifetime, self.epoch)
        if self.result and self.short_errors:
            return header
        address = b"\0" * 10 + b"\xff\xff" + socket.inet_aton(self.external)
        return header + struct.pack(">12sB3xHH", nonce, protocol, self.internal_port or internal, external) + address


_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}Body"
_ARGUMENTS = {
    "GetExternalIPAddress": ([], ["NewExternalIPAddress"]),
    "AddPortMapping": (
        ["NewRemoteHost", "NewExternalPort", "NewProtocol", "NewInternalPort", "NewInternalClient", "NewEnabled"]
        + ["NewPortMappingDescription", "NewLeaseDuration"],
        [],
    ),
    "DeletePortMapping": (["NewRemoteHost", "NewExternalPort", "NewProtocol"], []),
    "GetSpecificPortMappingEntry": (
        ["NewRemoteHost", "NewExternalPort", "NewProtocol"],
        ["NewInternalPort", "NewInternalClient", "NewEnabled", "NewPortMappingDescription", "NewLeaseDuration"],
    ),
}
_TYPES = {"Port": "ui2", "Duration": "ui4", "Enabled": "boolean"}


@dataclass(eq=False)
class UpnpRouter:
    """A UPnP router: SSDP, a description, and SOAP.

    Attributes:
        version: of the gateway device and its service, 1 or 2.
        external: what it reports as its external address.
        taken: external ports that other computers have.
        hides_conflicts: it accepts a taken port without mapping it to us.
        any_port: what AddAnyPortMapping returns.
        errors: error codes for actions, by name.
        only_permanent: leases are refused with 725.
        same_ports: other external than internal ports are refused with 724.
        lists_mappings: GetSpecificPortMappingEntry exists.
        location: another URL of the description.
        answers_from: the address from which it answers searches.
        description: other contents of the description.
        redirects: requests are answered with a redirection to this URL.
        drips: the description comes a byte at a time.
        silent_after: the number of actions after which it is gone.
        mappings: external ports, and their client, internal port and lease.
        calls: names of all actions that were called.
        violations: what the specification does not allow us to do.
    """

    version: int = 1
    external: str = PUBLIC
    taken: set[int] = field(default_factory=set)
    hides_conflicts: bool = False
    any_port: int = 40404
    errors: dict[str, int] = field(default_factory=dict)
    only_permanent: bool = False
    same_ports: bool = False
    lists_mappings: bool = True
    location: str | None = None
    answers_from: str = GATEWAY
    description: bytes | None = None
    redirects: str | None = None
    drips: bool = False
    extra_service: str = ""
    silent_after: float = float("inf")
    mappings: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    searches: int = 0
    violations: list[AssertionError] = field(default_factory=list)
    ssdp: tuple[str, int] = (GATEWAY, 0)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[UpnpRouter]:
        """The router, listening on ports of its own."""
        application = web.Application()
        application.router.add_get("/root.xml", self._describe)
        application.router.add_get("/service.xml", self._describe_service)
        application.router.add_post("/control", self._checked_control)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, GATEWAY, 0)
        await site.start()
        self.http = f"http://{GATEWAY}:{runner.addresses[0][1]}"
        loop = asyncio.get_running_loop()
        self.answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.answers.bind((self.answers_from, 0))
        transport, _ = await loop.create_datagram_endpoint(lambda: _Ssdp(self), local_addr=(GATEWAY, 0))
        self.ssdp = transport.get_extra_info("sockname")[:2]
        try:
            yield self
        finally:
            transport.close()
            self.answers.close()
            await runner.cleanup()

    @property
    def service_type(self) -> str:
        """The type of the service that forwards ports."""
        return f"urn:schemas-upnp-org:service:WANIPConnection:{self.version}"

    async def _describe(self, request: web.Request) -> web.StreamResponse:
        if self.redirects:
            raise web.HTTPFound(self.redirects)
        body = self.description if self.description is not None else self._root().encode()
        if self.drips:
            response = web.StreamResponse()
            await response.prepare(request)
            for byte in body:
                await response.write(bytes([byte]))
                await asyncio.sleep(0.05)
            return response
        return web.Response(body=body, content_type="text/xml")

    def _root(self) -> str:
        kind = "urn:schemas-upnp-org:device:"

        def device(name: str, inside: str) -> str:
            version = self.version if name != "WANDevice" else 1
            return (
                f"<device><deviceType>{kind}{name}:{version}</deviceType><friendlyName>{name}</friendlyName>"
                f"<UDN>uuid:{name}</UDN>{inside}</device>"
            )

        service = (
            f"<serviceList>{self.extra_service}<service><serviceType>{self.service_type}</serviceType>"
            "<serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><SCPDURL>/service.xml</SCPDURL>"
            "<controlURL>/control</controlURL><eventSubURL>/events</eventSubURL></service></serviceList>"
        )
        connection = f"<deviceList>{device('WANConnectionDevice', service)}</deviceList>"
        wan = f"<deviceList>{device('WANDevice', connection)}</deviceList>"
        return (
            '<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">'
            f"{device('InternetGatewayDevice', wan)}</root>"
        )

    async def _describe_service(self, request: web.Request) -> web.Response:
        actions, variables = "", set()
        names = dict(_ARGUMENTS)
        if self.version == 2:
            names["AddAnyPortMapping"] = (_ARGUMENTS["AddPortMapping"][0], ["NewReservedPort"])
        if not self.lists_mappings:
            del names["GetSpecificPortMappingEntry"]
        for name, (inputs, outputs) in names.items():
            arguments = ""
            for direction, listed in (("in", inputs), ("out", outputs)):
                for argument in listed:
                    variables.add(argument)
                    arguments += (
                        f"<argument><name>{argument}</name><direction>{direction}</direction>"
                        f"<relatedStateVariable>{argument}</relatedStateVariable></argument>"
                    )
            actions += f"<action><name>{name}</name><argumentList>{arguments}</argumentList></action>"
        table = "".join(
            f'<stateVariable sendEvents="no"><name>{name}</name><dataType>{_type_of(name)}</dataType></stateVariable>'
            for name in sorted(variables)
        )
        body = (
            '<?xml version="1.0"?><scpd xmlns="urn:schemas-upnp-org:service-1-0">'
            f"<actionList>{actions}</actionList><serviceStateTable>{table}</serviceStateTable></scpd>"
        )
        return web.Response(text=body, content_type="text/xml")

    async def _checked_control(self, request: web.Request) -> web.Response:
        try:
            return await self._control(request)
        except AssertionError as error:
            self.violations.append(error)
            raise

    async def _control(self, request: web.Request) -> web.Response:
        body = ElementTree.fromstring(await request.text()).find(_SOAP)  # noqa: S314  # from ourselves
        assert body is not None
        action = body[0]
        name = action.tag.rpartition("}")[2]
        assert action.tag == f"{{{self.service_type}}}{name}"
        assert request.headers["SOAPAction"] == f'"{self.service_type}#{name}"'
        self.calls.append(name)
        if len(self.calls) > self.silent_after:
            await asyncio.sleep(3600)
        try:
            answer = self._act(name, {child.tag: child.text or "" for child in action})
        except _Refusal as refusal:
            fault = (
                "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
                '<UPnPError xmlns="urn:schemas-upnp-org:control-1-0">'
                f"<errorCode>{refusal.args[0]}</errorCode><errorDescription>No</errorDescription></UPnPError>"
                "</detail></s:Fault>"
            )
            return _envelope(fault, 500)
        values = "".join(f"<{key}>{value}</{key}>" for key, value in answer.items())
        return _envelope(f'<u:{name}Response xmlns:u="{self.service_type}">{values}</u:{name}Response>', 200)

    def _act(self, name: str, given: dict[str, str]) -> dict[str, object]:
        if name in self.errors:
            raise _Refusal(self.errors[name])
        if name == "GetExternalIPAddress":
            return {"NewExternalIPAddress": self.external}
        assert (given["NewRemoteHost"], given["NewProtocol"]) == ("", "TCP")
        port = int(given["NewExternalPort"])
        if name == "GetSpecificPortMappingEntry":
            if port in self.taken:
                return self._entry("127.0.0.77", 80, 0)
            if port not in self.mappings:
                raise _Refusal(714)
            return self._entry(*self.mappings[port])
        if name == "DeletePortMapping":
            assert port not in self.taken, "this mapping belongs to another computer"
            if self.mappings.pop(port, None) is None:
                raise _Refusal(714)
            return {}
        lease = int(given["NewLeaseDuration"])
        if self.only_permanent and lease:
            raise _Refusal(725)
        if self.same_ports and port != int(given["NewInternalPort"]):
            raise _Refusal(724)
        if name == "AddAnyPortMapping":
            port = self.any_port
        elif port in self.taken:
            if self.hides_conflicts:
                return {}
            raise _Refusal(718)
        self.mappings[port] = given["NewInternalClient"], int(given["NewInternalPort"]), lease
        return {"NewReservedPort": port} if name == "AddAnyPortMapping" else {}

    def _entry(self, client: str, port: int, lease: int) -> dict[str, object]:
        return {
            "NewInternalPort": port,
            "NewInternalClient": client,
            "NewEnabled": 1,
            "NewPortMappingDescription": "x",
            "NewLeaseDuration": lease,
        }


class _Refusal(Exception):  # noqa: N818
    """An error code of UPnP."""


class _Ssdp(asyncio.DatagramProtocol):
    def __init__(self, router: UpnpRouter) -> None:
        self._router = router

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        router = self._router
        wanted = f"urn:schemas-upnp-org:device:InternetGatewayDevice:{router.version}"
        assert data.startswith(b"M-SEARCH * HTTP/1.1\r\n")
        if f"ST:{wanted}" not in data.decode().replace("ST: ", "ST:"):
            return
        router.searches += 1
        location = router.location or f"{router.http}/root.xml"
        answer = (
            f"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: {wanted}\r\nUSN: uuid:1::{wanted}\r\nEXT:\r\n"
            f"SERVER: test UPnP/1.1 test/1\r\nLOCATION: {location}\r\n\r\n"
        )
        sender = router.answers if router.answers_from != GATEWAY else self._transport
        sender.sendto(answer.encode(), addr)


def _type_of(name: str) -> str:
    return next((kind for end, kind in _TYPES.items() if name.endswith(end)), "string")


def _envelope(inside: str, status: int) -> web.Response:
    text = (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">'
        f"<s:Body>{inside}</s:Body></s:Envelope>"
    )
    return web.Response(text=text, status=status, content_type="text/xml")
