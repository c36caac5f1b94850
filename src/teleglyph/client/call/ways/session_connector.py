"""Connects to a call by its three-word name: finds ways to the host, and uses the first that works."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING

from teleglyph.client.address import Address
from teleglyph.client.call.connection import Credentials, Opened, ServerConnector
from teleglyph.client.call.ways.link_way import LinkWay
from teleglyph.client.call.ways.race import NoWayError, WayRace
from teleglyph.client.call.ways.rendezvous import HostConversation
from teleglyph.client.session_address import Service, SessionAddress
from teleglyph.discovery.names import similar_names
from teleglyph.discovery.service_client import ServiceClient
from teleglyph.errors import ConnectError, HostAwayError, NoSuchSessionError, UserError, VerificationError
from teleglyph.keys import fingerprint
from teleglyph.wire.discovery import AddressKind, Capability, DirectAddress, SessionInfo, SessionJoined, Ways

if TYPE_CHECKING:
    from teleglyph.net.data_channel import DataChannelOffer

LAN_SECONDS = 2.0
STAGGER = 0.25
"""Seconds between the beginnings of attempts to connect (RFC 8305, 5)."""
CHANNEL_SECONDS = 12.0
"""Until a data channel is open, after its offer is answered."""
TOTAL_SECONDS = 40.0

_WORDS: dict[int, str] = {
    AddressKind.LAN: "the local network",
    AddressKind.PUBLIC: "its address",
    AddressKind.MAPPED: "its router",
}


class SessionConnector:
    """Connects to one call, perhaps several times.

    Args:
        address: the call.
        credentials: how to join.
    """

    def __init__(self, address: SessionAddress, credentials: Credentials) -> None:
        if not credentials.encrypt:
            raise UserError(f"--no-encrypt cannot be combined with the name {address}: calls by name are encrypted.")
        self.way = ""
        """The last way that worked, in words."""
        self._address = address
        self._credentials = credentials
        self._identity: bytes | None = None
        """The host's, once it is known."""
        self._channel: DataChannelOffer | None = None
        """Of the last connection; it ends with it."""

    async def open(self) -> Opened:
        """Connect and complete the handshake.

        Raises:
            PeerError: the host cannot be reached, is not the expected one, or refuses us.
        """
        race = WayRace()
        race.prepare("the local network", self._look_nearby(race))
        if self._address.service is not None:
            race.prepare("the discovery service", self._ask_service(race, self._address.service))
        race.close()
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                won = await race.winner()
        except TimeoutError:
            raise NoWayError(
                f"No way to the host of {self._address} worked within {TOTAL_SECONDS:g} s. Try 'teleglyph doctor'."
            ) from None
        self.way = won.way
        return won.connection, won.done

    # --- the local network ------------------------------------------------------------------------------

    async def _look_nearby(self, race: WayRace) -> None:
        # Imported here, because most calls do not need these libraries.
        from teleglyph.discovery.lan import find_on_lan

        address = self._address
        # Only that of the host counts: anybody in the network may announce the name.
        found = await find_on_lan(LAN_SECONDS, name=address.name, identity=self._known_identity())
        calls = [call for call in found if call.name == address.name]
        for call in calls:
            way = LinkWay(address.room, self._credentials, self._check_host)
            race.add("the local network", lambda call=call, way=way: way.direct(call.host, call.port))  # type: ignore[misc]
        if not calls and address.service is None:
            raise ConnectError(
                f"No call {address} was found in the local network. If its host uses a discovery service, name it: "
                f"teleglyph client {address}@SERVICE. If {address} is a computer, write tcp://{address}."
            )

    # --- the service ------------------------------------------------------------------------------------

    async def _ask_service(self, race: WayRace, service: Service) -> None:
        address = self._address
        check = self._credentials.check_service or (lambda _address, _identity: None)
        is_insecure = self._credentials.insecure_service
        async with ServiceClient.open(service.host, service.port, check_identity=check, insecure=is_insecure) as client:
            info, joined = await self._join(client)
            if not info.capabilities & Capability.RENDEZVOUS:
                self._try_revealed(race, joined)
                return
            conversation = HostConversation(client, joined, address.room, self._credentials, self._check_host)
            ways = await conversation.ask_for_ways()
            way = LinkWay(address.room, self._credentials, self._check_same_host)
            for number, direct in enumerate(_usable(ways)):
                name = f"direct TCP to {_WORDS.get(direct.kind, 'another address')}"
                race.add(name, lambda at=direct: way.direct(at.host, at.port), number * STAGGER)  # type: ignore[misc]
            await self._open_channel(race, conversation, ways, way)

    def _try_revealed(self, race: WayRace, joined: SessionJoined) -> None:
        """Try the address of a host of ascii-chat's kind, which the service reveals if the host wants that."""
        address = self._address
        if not joined.address:
            raise ConnectError(
                f"The host of {address} is not a Teleglyph server, and does not show its address. Ask for it, and join "
                "with that."
            )
        found = ServerConnector(Address(joined.address, joined.port, address.room), self._credentials)
        race.add("direct TCP to the address that the service knows", found.open)

    async def _join(self, service: ServiceClient) -> tuple[SessionInfo, SessionJoined]:
        """Join the session; the service then relays our messages to its host."""
        address = self._address
        info = await service.lookup(address.name)
        if info is None:
            similar = " or ".join(f"'{name}'" for name in similar_names(address.name))
            advice = (
                f"Did you mean {similar}?" if similar else "Ask its host for the name, and whether the server runs."
            )
            raise NoSuchSessionError(f"{address.service} knows no call {address}. {advice}")
        joined = await service.join(address.name)
        if info.capabilities & Capability.RENDEZVOUS and not joined.has_host:
            raise HostAwayError(f"The host of {address} is away. Ask whether its server is running.")
        return info, joined

    async def _open_channel(self, race: WayRace, conversation: HostConversation, ways: Ways, way: LinkWay) -> None:
        # Imported here, because most calls do not need these libraries.
        from teleglyph.net.data_channel import STREAM, DataChannelOffer

        channel = DataChannelOffer()
        is_kept = False
        try:
            offer = await channel.create(ways.servers, STREAM)
            await channel.accept(await conversation.offer_channel(offer))

            async def tunnel() -> socket.socket:
                return await channel.open(CHANNEL_SECONDS)

            connection, done = await way.through(self._address.name, self._address.port, tunnel)
            is_kept = race.arrive(f"a data channel, {channel.way}", connection, done)
            if is_kept:
                self._channel = channel
            else:
                await connection.close()
        finally:
            if not is_kept:
                await channel.close()

    # --- the host's identity ----------------------------------------------------------------------------

    def _known_identity(self) -> bytes | None:
        """The host's key, if we have joined it before and it has only one."""
        trust = self._credentials.trust
        if self._identity is not None or trust is None:
            return self._identity
        known = {entry.identity for entry in trust.hosts.entries() if entry.address == self._address.known_as}
        return known.pop() if len(known) == 1 else None

    def _check_host(self, identity: bytes | None) -> None:
        """Decide about a host that was not proven yet."""
        trust, address = self._credentials.trust, self._address
        if trust is not None:
            invitation = self._credentials.invitation
            trust.check(
                address.known_as,
                identity,
                name=address.as_typed.partition("/")[0],
                has_link2=True,
                invited_by=None if invitation is None else invitation.identity,
            )
        self._identity = identity

    def _check_same_host(self, identity: bytes | None) -> None:
        """Refuse everybody but the host that was proven by the conversation."""
        if identity is None or identity != self._identity:
            shown = "no identity" if identity is None else f"the identity {fingerprint(identity)}"
            raise VerificationError(f"The address of {self._address} belongs to another server, which shows {shown}.")


def _usable(ways: Ways) -> list[DirectAddress]:
    """The addresses that may be tried: a host must not make us connect to this machine or to groups."""
    found = []
    for one in ways.addresses:
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(one.host)
            if not (address.is_loopback or address.is_multicast or address.is_unspecified or address.is_reserved):
                found.append(one)
    return found[:8]
