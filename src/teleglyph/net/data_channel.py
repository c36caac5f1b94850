"""WebRTC data channels as sockets: a way to a host that no TCP connection can reach.

The joiner makes an offer, the host answers it, and both get a socket whose bytes travel through the channel.  Offers
and answers are session descriptions (SDP).  They contain addresses and the fingerprint of a certificate, so they must
be exchanged secretly, and with somebody whose identity is known.

aiortc takes half a second to load, so it is loaded when the first channel is created.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from teleglyph.errors import ConnectError, PeerError, PeerTimeoutError
from teleglyph.net.ice_servers import IceServer, parse_servers
from teleglyph.net.tunnel import Tunnel
from teleglyph.wire.session_description import Role, SessionDescription

if TYPE_CHECKING:
    from teleglyph.net.webrtc import Stack

_log = logging.getLogger(__name__)

LABEL = "teleglyph"
"""The label of every channel of ours."""
STREAM = "teleglyph.stream"
"""The protocol of a channel that carries what a TCP connection to the host would carry."""
PAGE = "teleglyph.page"
"""The protocol of a channel that carries the packets of the page, as a stream of bytes."""
PROTOCOLS = (STREAM, PAGE)
_MAX_CONNECTING = 60.0
"""Seconds after which an attempt ends even if nobody waits for it."""


class _DataChannel:
    """What both sides have in common: they gather candidates, connect, and move bytes until one of them closes."""

    def __init__(self, *, relay_only: bool = False, charge: Callable[[str, float], float] | None = None) -> None:
        self._relay_only = relay_only
        self._charge = charge or (lambda peer, seconds: 0.0)
        self._stack: Stack | None = None
        self._tunnel: Tunnel | None = None
        self._way = ""
        self._peer = ""
        self._opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """The protocol of the open channel."""
        self._opened.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._is_taken = False

    @property
    def way(self) -> str:
        """How the bytes travel: ``direct`` or ``relayed``; empty until the channel is open."""
        return self._way

    @property
    def peer(self) -> str:
        """The other side's numeric address, or that of its relay; empty until the channel is open."""
        return self._peer

    @property
    def server_failures(self) -> list[str]:
        """What was wrong with relays: sentences for people, without credentials."""
        return [] if self._stack is None else list(self._stack.agent.failures)

    async def wait_closed(self) -> None:
        """Wait until the channel has ended and its sockets are closed; for owners who count channels."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """End the channel, or the attempt, and close its sockets.  Bytes under way are lost.

        Closing the socket of an open channel is enough; then they are not.
        """
        if self._task is not None:
            self._task.cancel()
        await self._release()
        await self.wait_closed()

    async def _prepare(self, servers: Sequence[IceServer], *, is_joiner: bool) -> Stack:
        """Load the library, open sockets, and ask the servers; at most about two seconds."""
        webrtc = await asyncio.to_thread(importlib.import_module, "teleglyph.net.webrtc")
        tunnel = self._tunnel = Tunnel()
        try:
            await tunnel.start()
            stun, turn = parse_servers(servers)
            stack: Stack = webrtc.Stack(
                stun,
                turn,
                is_joiner=is_joiner,
                relay_only=self._relay_only,
                unread=lambda: tunnel.unread,
                charge=self._charge,
            )
            self._stack = stack
            await stack.gather()
            candidates = stack.agent.own_candidates
            if not candidates:
                raise ConnectError(self._explain("This machine has no address for a data channel."))
        except BaseException:
            await self._release()
            raise
        for candidate in candidates:
            _log.debug("Candidate gathered: %s", candidate)
        return stack

    def _connect(self, peer: SessionDescription) -> None:
        stack, tunnel = self._stack, self._tunnel
        if stack is None or tunnel is None or self._task is not None:
            raise RuntimeError("A data channel connects once, after create().")
        self._task = asyncio.get_running_loop().create_task(self._run(peer, stack, tunnel), name="data channel")

    async def _wait_until_open(self, timeout: float) -> tuple[socket.socket, str]:
        try:
            async with asyncio.timeout(timeout):
                protocol = await asyncio.shield(self._opened)
        except TimeoutError:
            text = self._not_opened(timeout)
            await self.close()
            raise PeerTimeoutError(text) from None
        except asyncio.CancelledError:
            await self.close()
            raise
        if self._tunnel is None or self._is_taken:
            raise RuntimeError("A data channel has one socket.")
        if self._tunnel.socket.fileno() < 0:
            raise ConnectError("The other side closed the data channel at once.")
        self._is_taken = True
        return self._tunnel.socket, protocol

    async def _run(self, peer: SessionDescription, stack: Stack, tunnel: Tunnel) -> None:
        try:
            try:
                async with asyncio.timeout(_MAX_CONNECTING):
                    channel = await stack.connect(peer, lambda channel: tunnel.connect(channel, peer.max_message))
            except TimeoutError:
                raise PeerTimeoutError(self._not_opened(_MAX_CONNECTING)) from None
            self._way = "relayed" if stack.agent.is_relayed else "direct"
            self._peer = stack.agent.peer
            _log.debug("Data channel opened: way=%s protocol=%s", self._way, channel.protocol)
            self._opened.set_result(channel.protocol)
            await stack.run(tunnel)
        except PeerError as error:
            if not self._opened.done():
                self._opened.set_exception(error)
        finally:
            await self._release()

    async def _release(self) -> None:
        """Close everything once; whoever waits for it may be cancelled meanwhile."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close_all(), name="closing a data channel")
        await asyncio.shield(self._closing)

    async def _close_all(self) -> None:
        tunnel, stack = self._tunnel, self._stack
        if not self._opened.done():
            self._opened.set_exception(ConnectError("The data channel was closed before it was open."))
        if tunnel is not None:
            tunnel.abort()
            if not self._is_taken:
                tunnel.discard()
            await tunnel.ended.wait()
        if stack is not None:
            await stack.close()

    def _not_opened(self, seconds: float) -> str:
        return self._explain(f"No data channel could be opened within {seconds:g} s.")

    def _explain(self, failure: str) -> str:
        return " ".join([failure, *self.server_failures])


class DataChannelOffer(_DataChannel):
    """The joiner's side: makes an offer, and opens the channel.

    Args:
        relay_only: use only relays, so that the host does not learn our addresses.
    """

    async def create(self, ice_servers: Sequence[IceServer] = (), protocol: str = STREAM) -> str:
        """Gather candidates and return the offer, a session description.

        Args:
            ice_servers: STUN and TURN servers, usually the host's.  Those that do not answer within 2 s are not used.
            protocol: what the channel carries; one of :data:`PROTOCOLS`.

        Raises:
            ConnectError: this machine has no address from which it could connect.
        """
        stack = await self._prepare(ice_servers, is_joiner=True)
        stack.offer_channel(LABEL, protocol)
        return stack.describe(Role.OFFER, "0").encode()

    async def accept(self, answer_sdp: str) -> None:
        """Take the host's answer, and begin to connect.

        Raises:
            ProtocolError: it is not the description of a data channel; everything is closed.
        """
        try:
            self._connect(SessionDescription.decode(answer_sdp, Role.ANSWER))
        except PeerError:
            await self.close()
            raise

    async def open(self, timeout: float = 15.0) -> socket.socket:
        """Wait until the channel is open.

        Args:
            timeout: in seconds; afterwards everything is closed.

        Returns:
            A non-blocking stream socket, which the caller has to close.  Closing it closes the channel; the end of the
            channel is the end of what can be read.

        Raises:
            ConnectError: there is no way to the host, or it is not who made the answer.
            PeerTimeoutError: it took too long.
        """
        sock, _ = await self._wait_until_open(timeout)
        return sock


class DataChannelAnswer(_DataChannel):
    """The host's side: answers an offer.  Each takes about 0.2 MB and a socket per own address; the caller counts.

    Args:
        relay_only: use only relays.
        charge: called with the joiner's address (empty until it is known) and the processor time that a packet of its
            has cost; returns the seconds to wait before more is read.  Packets that arrive meanwhile may be lost.
    """

    async def create(self, offer_sdp: str, ice_servers: Sequence[IceServer] = ()) -> str:
        """Gather candidates, return the answer, and begin to connect.

        Args:
            offer_sdp: the joiner's session description.
            ice_servers: STUN and TURN servers.  Those that do not answer within 2 s are not used.

        Raises:
            ProtocolError: the offer is not one of a data channel.
            ConnectError: this machine has no address from which it could connect.
        """
        offer = SessionDescription.decode(offer_sdp, Role.OFFER)
        stack = await self._prepare(ice_servers, is_joiner=False)
        answer = stack.describe(Role.ANSWER, offer.mid).encode()
        self._connect(offer)
        return answer

    async def open(self, timeout: float = 15.0) -> tuple[socket.socket, str]:
        """Wait until the joiner has opened the channel.

        Returns:
            The socket, as :meth:`DataChannelOffer.open` returns it, and the channel's protocol, one of
            :data:`PROTOCOLS`.

        Raises:
            ConnectError: there is no way to the joiner, or its channel is not one of ours.
            PeerTimeoutError: it took too long.
        """
        sock, protocol = await self._wait_until_open(timeout)
        if protocol not in PROTOCOLS:
            sock.close()
            await self.close()
            raise ConnectError(f"The peer opened a data channel with an unknown protocol: {protocol[:40]}.")
        return sock, protocol
