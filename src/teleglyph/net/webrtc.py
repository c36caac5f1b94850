"""The protocols below a data channel, put together: ICE finds a way, DTLS encrypts, SCTP carries the channel."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiortc import (
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceParameters,
    RTCIceTransport,
    RTCSctpCapabilities,
)

from teleglyph.errors import ConnectError
from teleglyph.net.ice import Certificate, Charge, Gatherer
from teleglyph.net.ice_servers import StunServer, TurnServer
from teleglyph.net.sctp import Association
from teleglyph.net.tunnel import Tunnel
from teleglyph.net.waiters import resolve
from teleglyph.wire.session_description import Role, SessionDescription

_log = logging.getLogger(__name__)


class Stack:
    """One side of a connection with one data channel.

    Args:
        stun: servers that say how they see us.
        turn: relays.
        is_joiner: whether this side makes the offer.
        relay_only: use nothing but relays.
        unread: how many received bytes wait for the reader.
        charge: called with what received packets cost.
    """

    def __init__(
        self,
        stun: Sequence[StunServer],
        turn: Sequence[TurnServer],
        *,
        is_joiner: bool,
        relay_only: bool,
        unread: Callable[[], int],
        charge: Charge,
    ) -> None:
        self._gatherer = Gatherer(is_joiner=is_joiner, stun=stun, turn=turn, relay_only=relay_only, charge=charge)
        self.agent = self._gatherer.agent
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [Certificate.generateCertificate()])
        self._dtls._set_role("server" if is_joiner else "client")  # as the descriptions say
        self._association = Association(self._dtls, unread)
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._dtls.on("statechange", self._check_state)
        self._channel: RTCDataChannel | None = None

    async def gather(self) -> None:
        """Open the sockets and ask the servers."""
        await self._gatherer.gather()

    def describe(self, role: Role, mid: str) -> SessionDescription:
        """Our description, for the other side."""
        fingerprints = {one.algorithm: one.value for one in self._dtls.getLocalParameters().fingerprints}
        return SessionDescription(
            role=role,
            username=self.agent.local_username,
            password=self.agent.local_password,
            fingerprint=fingerprints["sha-256"],
            candidates=self.agent.own_candidates,
            mid=mid,
            sctp_port=self._association.port,
        )

    def offer_channel(self, label: str, protocol: str) -> None:
        """Prepare the channel that this side opens."""
        self._channel = RTCDataChannel(self._association, RTCDataChannelParameters(label=label, protocol=protocol))

    async def connect(self, peer: SessionDescription, use: Callable[[RTCDataChannel], None]) -> RTCDataChannel:
        """Connect to the other side, and wait until the channel is open.

        Args:
            peer: the other side's description.
            use: called with the channel before anything can be received from it.

        Raises:
            ConnectError: there is no way, or the other side has another certificate than it said.
        """
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()

        def take(channel: RTCDataChannel) -> None:
            self._channel = channel
            use(channel)
            resolve(opened)

        if self._channel is None:
            self._association.on("datachannel", take)
        else:
            use(self._channel)
            self._channel.on("open", lambda: resolve(opened))
        await self.agent.add_candidates(peer.candidates)
        await self._ice.start(RTCIceParameters(usernameFragment=peer.username, password=peer.password))
        if self._ice.state != "completed":
            raise ConnectError("There is no direct way to the other side, and no relay that both can use.")
        fingerprint = RTCDtlsFingerprint(algorithm="sha-256", value=peer.fingerprint)
        await self._dtls.start(RTCDtlsParameters(fingerprints=[fingerprint]))
        if self._dtls.state != "connected":
            raise ConnectError("The other side could not prove that it made its description: DTLS failed.")
        await self._association.start(RTCSctpCapabilities(maxMessageSize=peer.max_message), peer.sctp_port)
        await asyncio.wait([opened, self._ended], return_when=asyncio.FIRST_COMPLETED)
        if self._channel is None or self._ended.done():
            raise ConnectError("The other side closed the connection before the data channel was open.")
        return self._channel

    async def run(self, tunnel: Tunnel) -> None:
        """Return when the connection or the tunnel has ended, and the tunnel's owner has read what was received."""
        window = asyncio.ensure_future(self._announce_window(tunnel))
        ended = asyncio.ensure_future(tunnel.ended.wait())
        either: list[asyncio.Future[Any]] = [ended, self._ended]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            tunnel.channel_closed()
            await ended
        finally:
            window.cancel()
            ended.cancel()
            await asyncio.gather(window, ended, return_exceptions=True)

    async def close(self) -> None:
        """Close everything."""
        await self._association.stop()
        await self._dtls.stop()
        await self._ice.stop()

    async def _announce_window(self, tunnel: Tunnel) -> None:
        while True:
            await tunnel.wait_for_reader()
            await self._association.announce_window()

    def _check_state(self) -> None:
        if self._dtls.state in {"closed", "failed"}:
            resolve(self._ended)
