"""Interactive connectivity establishment (ICE): aioice with several servers, short waits, and bounds.

This module and :mod:`teleglyph.net.sctp` use parts of aiortc and aioice that are not documented, so pyproject.toml
bounds their versions.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import random
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from aioice import Candidate as IceCandidate
from aioice import TransportPolicy
from aioice import ice as aioice_ice
from aioice import stun as aioice_stun
from aiortc import RTCCertificate, RTCIceGatherer
from OpenSSL import SSL

from teleglyph.errors import reason_of
from teleglyph.net.ice_servers import StunServer, TurnServer
from teleglyph.wire.session_description import MAX_CANDIDATES, Candidate

_log = logging.getLogger(__name__)

Charge = Callable[[str, float], float]
"""Takes the other side's address (empty before it is known) and seconds of processor time, and returns the seconds to
wait before more is read from it."""

_GATHERING_SECONDS = 2.0
"""How long servers may take to answer.  aioice alone waits for 5 s."""
_GOODBYE_SECONDS = 1.0
_RELAY_HEAD_START = 0.8
"""Seconds that direct candidates get before relayed ones are checked: the first success wins, and a direct check often
succeeds only when it is repeated after 0.5 s, because both sides have to open their routers first."""
_MAX_ADDRESSES = 12
"""Own addresses that become candidates; containers and virtual machines may add dozens."""
_MAX_WAITING = 1024
"""Datagrams that wait to be read, from whoever sends them."""
_TURN = 8
"""Datagrams that are handled before other tasks get their turn."""
_CONSENT_INTERVAL = 5.0
_CONSENT_SECONDS = 30.0
"""How often the other side is asked whether it still wants our packets, and when its silence means no (RFC 7675)."""
_CONSENT_RETRIES = 2
"""Three requests within 3.5 s.  aioice sends one and waits for 0.5 s, which a slow link with full queues exceeds."""
_DTLS_1_2 = 0xFEFD


class Gatherer(RTCIceGatherer):
    """Gathers candidates with our ICE agent.

    Args:
        is_joiner: whether this side decides which candidates are used.
        stun: servers that say how they see us.
        turn: relays.
        relay_only: use nothing but relays, so that the other side does not learn our addresses.
        charge: the agent's.
    """

    def __init__(
        self,
        *,
        is_joiner: bool,
        stun: Sequence[StunServer],
        turn: Sequence[TurnServer],
        relay_only: bool,
        charge: Charge,
    ) -> None:
        super().__init__(iceServers=[])
        policy = TransportPolicy.RELAY if relay_only else TransportPolicy.ALL
        self.agent = IceAgent(is_joiner, stun, turn, policy, charge)
        self._connection = self.agent


class IceAgent(aioice_ice.Connection):
    """An ICE agent of one component.

    Args:
        is_joiner: whether this side decides which candidates are used.
        stun: servers that say how they see us.
        turn: relays.
        policy: which candidates are used.
        charge: called after each datagram for DTLS.

    Attributes:
        failures: what was wrong with servers, for people.
    """

    def __init__(
        self,
        is_joiner: bool,
        stun: Sequence[StunServer],
        turn: Sequence[TurnServer],
        policy: TransportPolicy,
        charge: Charge,
    ) -> None:
        super().__init__(ice_controlling=is_joiner, transport_policy=policy)
        self.failures: list[str] = []
        self._stun_servers = stun
        self._turn_servers = turn
        self._charge = charge
        self._handled = 0
        self._handling_since: float | None = None

    @property
    def own_candidates(self) -> tuple[Candidate, ...]:
        """Our candidates, the best first."""
        found = [
            Candidate(one.foundation, one.priority, one.host, one.port, one.type) for one in self._local_candidates
        ]
        return tuple(sorted(found, key=lambda candidate: -candidate.priority)[:MAX_CANDIDATES])

    @property
    def is_relayed(self) -> bool | None:
        """Whether a relay carries the connection; None before it is established, and after it has ended."""
        pair = self._nominated.get(1)
        return None if pair is None else _is_relayed(pair)

    @property
    def peer(self) -> str:
        """The other side's numeric address, or that of its relay; empty until the connection is established."""
        pair = self._nominated.get(1)
        return "" if pair is None else str(pair.remote_candidate.host)

    async def add_candidates(self, candidates: Sequence[Candidate]) -> None:
        """Add the other side's candidates.

        Their end is never announced, so the agent also waits for checks from addresses that are not among them.
        """
        for one in candidates:
            await self.add_remote_candidate(
                IceCandidate(one.foundation, 1, "udp", one.priority, one.host, one.port, one.kind)
            )

    async def close(self) -> None:
        """Close all sockets.  A relay that does not answer delays nobody: its socket is closed a little later."""
        relayed = [one for one in self._protocols if one.local_candidate.type == "relay"]
        self._protocols = [one for one in self._protocols if one not in relayed]
        closing = [asyncio.ensure_future(one.close()) for one in relayed]
        await super().close()
        if closing:
            await asyncio.wait(closing, timeout=_GOODBYE_SECONDS)

    # --- gathering ------------------------------------------------------------------------------------

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[IceCandidate]:
        """Open a socket for each own address, and ask all servers at once."""
        candidates = await super().get_component_candidates(component, addresses[:_MAX_ADDRESSES], timeout)
        reflexive = [
            self._reflexive_candidate(protocol)
            for protocol in self._protocols
            if self._stun_servers and ipaddress.ip_address(protocol.local_candidate.host).version == 4
        ]
        relayed = [self._relayed_candidate(component, server) for server in self._turn_servers]
        candidates += await _within(_GATHERING_SECONDS, [*reflexive, *relayed])
        return candidates

    async def _reflexive_candidate(self, protocol: aioice_ice.StunProtocol) -> IceCandidate | None:
        """The first answer of a STUN server to one of our sockets."""
        asked = {asyncio.ensure_future(_asked(protocol, server)) for server in self._stun_servers}
        waiting = asked
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (candidate := task.result()) is not None:
                        return candidate
        finally:
            await _end(asked)
        return None

    async def _relayed_candidate(self, component: int, server: TurnServer) -> IceCandidate | None:
        failure = f"Relay {server.url} did not answer within {_GATHERING_SECONDS:g} s."
        self.failures.append(failure)  # until it answers
        try:
            candidate, protocol = await aioice_ice.relayed_candidate(
                component=component,
                hide_related_address=True,
                protocol_factory=lambda: aioice_ice.StunProtocol(self),
                turn_server=(server.host, server.port),
                turn_username=server.username,
                turn_password=server.credential,
                turn_ssl=server.is_secure,
                turn_transport=server.transport,
            )
        except Exception as error:  # the library has no class of its own for damaged answers
            reason = _turn_failure(error)
            _log.debug("Relay failed: url=%s reason=%s", server.url, reason)
            self.failures[self.failures.index(failure)] = f"Relay {server.url} {reason}."
            return None
        self.failures.remove(failure)
        self._protocols.append(protocol)
        return candidate

    # --- checks ---------------------------------------------------------------------------------------

    async def check_start(self, pair: aioice_ice.CandidatePair) -> None:
        """Check a pair; relayed ones a little later, so that direct ones win if they work."""
        if self._transport_policy is not TransportPolicy.RELAY and self.ice_controlling and _is_relayed(pair):
            self.check_state(pair, aioice_ice.CandidatePair.State.IN_PROGRESS)
            await asyncio.sleep(_RELAY_HEAD_START)
        await super().check_start(pair)

    def check_incoming(
        self, message: aioice_stun.Message, addr: tuple[str, int], protocol: aioice_ice.StunProtocol
    ) -> None:
        """Handle a check of the other side, which may come from a new address, but not from any number of them."""
        is_known = any((one._network_host, one.port) == addr for one in self._remote_candidates)
        if "PRIORITY" in message.attributes and (is_known or len(self._remote_candidates) < MAX_CANDIDATES):
            super().check_incoming(message, addr, protocol)

    async def query_consent(self) -> None:
        """Ask regularly whether the other side is still there; close if it is not."""
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while loop.time() - heard < _CONSENT_SECONDS:
            await asyncio.sleep(_CONSENT_INTERVAL * random.uniform(0.8, 1.2))  # noqa: S311 - so that not all ask at once
            pair = self._nominated.get(1)
            if pair is None or self.remote_password is None:
                break
            with contextlib.suppress(aioice_stun.TransactionError):
                await pair.protocol.request(
                    self.build_request(pair, nominate=False),
                    pair.remote_addr,
                    integrity_key=self.remote_password.encode(),
                    retransmissions=_CONSENT_RETRIES,
                )
                heard = loop.time()
        self._query_consent_task = None  # or close() would cancel this task
        await self.close()

    async def recvfrom(self) -> tuple[bytes, int]:
        """The next datagram, after a pause if this peer costs too much; other tasks get their turn even if many wait.

        The caller handles each datagram in one step before it asks for the next one.
        """
        pause = 0.0
        if self._handling_since is not None:
            pause = self._charge(self.peer, time.thread_time() - self._handling_since)
            self._handling_since = None
        self._handled += 1
        if pause > 0 or self._handled % _TURN == 0:
            await asyncio.sleep(pause)
        received = await super().recvfrom()
        self._handling_since = time.thread_time()
        return received

    def data_received(self, data: bytes, component: int) -> None:
        """Queue a datagram; drop it if too many wait."""
        if data and self._queue.qsize() < _MAX_WAITING:
            super().data_received(data, component)


class Certificate(RTCCertificate):
    """A certificate for DTLS 1.2 or newer."""

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_min_proto_version(_DTLS_1_2)
        return context


def _is_relayed(pair: aioice_ice.CandidatePair) -> bool:
    return "relay" in {pair.local_candidate.type, pair.remote_candidate.type}


async def _asked(protocol: aioice_ice.StunProtocol, server: StunServer) -> IceCandidate | None:
    try:
        candidate, _ = await aioice_ice.server_reflexive_candidate(protocol, (server.host, server.port))
    except Exception as error:  # an answer may be damaged in any way
        _log.debug("STUN failed: server=%s reason=%s", server.host, error)
        return None
    return candidate


async def _within(seconds: float, coroutines: Sequence[Coroutine[Any, Any, IceCandidate | None]]) -> list[IceCandidate]:
    """The results that are there in time; everything else is cancelled, and has ended when this returns."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    if not tasks:
        return []
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds)
    finally:
        await _end(tasks)
    return [candidate for task in done if (candidate := task.result()) is not None]


async def _end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _turn_failure(error: Exception) -> str:
    """What went wrong with a relay, to follow its URL."""
    if isinstance(error, aioice_stun.TransactionFailed):
        code, phrase = error.response.attributes.get("ERROR-CODE", (0, ""))
        if code in {401, 441}:
            return f"refused our user name and password ({code}); they may have expired"
        if code == 486:
            return "has too many connections of this user (486)"
        return f"refused to relay ({code} {phrase[:80]})".replace("( ", "(")
    if isinstance(error, aioice_stun.TransactionTimeout):
        return "did not answer"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not valid: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "has a name without an address"
    if isinstance(error, OSError):
        reason = os.strerror(error.errno).lower() if error.errno else reason_of(error)
        return f"cannot be reached: {reason}"
    return "sent an answer that is not valid"
