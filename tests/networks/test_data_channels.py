"""Two WebRTC peers in two homes: which pairs of routers need the relay.

``pytest -s`` prints the ways and times: to gather candidates, to answer, and from then until both peers got a message.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from itertools import combinations_with_replacement, pairwise
from typing import Any, TypeVar

import pytest

from networks.homes import HomeNetwork, Networks, Place
from networks.routers import NAT_KINDS, NatKind
from networks.turn import TurnServer

aiortc = pytest.importorskip("aiortc")
pytestmark = pytest.mark.thorough

SECONDS = 60
PAIRS = list(combinations_with_replacement(NAT_KINDS, 2))
DIRECT = [
    pair
    for pair in PAIRS
    if "udp blocked" not in pair and set(pair) not in ({"symmetric"}, {"symmetric", "port restricted"})
]
_Result = TypeVar("_Result")


class DataChannelPeer:
    """One end of a data channel, on a host of a home; has its own thread and event loop there.

    Args:
        place: where it is.
        servers: the servers for ICE.
    """

    def __init__(self, place: Place, servers: list[Any]) -> None:
        self.received: Future[str] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(place,), daemon=True)
        self._thread.start()
        self._connection = self._do(self._make_connection(servers))

    def _run(self, place: Place) -> None:
        place.enter_forever()
        self._loop.run_forever()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    async def _make_connection(self, servers: list[Any]) -> Any:
        connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=servers))
        connection.on("datachannel", self._take)
        return connection

    def _take(self, channel: Any) -> None:
        channel.on("message", self.received.set_result)
        if channel.readyState == "open":
            channel.send("hello")
        else:
            channel.on("open", lambda: channel.send("hello"))

    def offer(self) -> str:
        """An SDP offer with all candidates."""

        async def make() -> str:
            self._take(self._connection.createDataChannel("test"))
            await self._connection.setLocalDescription(await self._connection.createOffer())
            return str(self._connection.localDescription.sdp)

        return self._do(make())

    def answer(self, offer: str) -> str:
        """The SDP answer to an offer."""

        async def make() -> str:
            await self._connection.setRemoteDescription(aiortc.RTCSessionDescription(offer, "offer"))
            await self._connection.setLocalDescription(await self._connection.createAnswer())
            return str(self._connection.localDescription.sdp)

        return self._do(make())

    def accept(self, answer: str) -> None:
        self._do(self._connection.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer")))

    @property
    def way(self) -> str:
        """The kinds of the candidates in use: host, srflx, prflx, relay; its own first."""
        ice = self._connection.sctp.transport.transport._connection
        pair = ice._nominated[1]
        return f"{pair.local_candidate.type}-{pair.remote_candidate.type}"

    def close(self) -> None:
        self._do(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


def connect(homes: tuple[HomeNetwork, HomeNetwork], servers: tuple[list[Any], list[Any]]) -> tuple[str, str]:
    """Open a data channel; returns the ways of both peers."""
    peers = [DataChannelPeer(home.host, known) for home, known in zip(homes, servers, strict=True)]
    try:
        times = [time.monotonic()]
        offer = peers[0].offer()
        times.append(time.monotonic())
        answer = peers[1].answer(offer)
        times.append(time.monotonic())
        peers[0].accept(answer)
        assert [peer.received.result(SECONDS) for peer in peers] == ["hello", "hello"]
        times.append(time.monotonic())
        ways = peers[0].way, peers[1].way
        print(f"{ways[0]:14}", *(f"{after - before:.2f}" for before, after in pairwise(times)), "s", end="  ")
        return ways
    finally:
        for peer in peers:
            peer.close()


@pytest.fixture
def networks(shared_networks: Callable[..., Networks]) -> Networks:
    """Two homes of each kind."""
    return shared_networks(*NAT_KINDS, *NAT_KINDS)


def homes_of(networks: Networks, one: NatKind, other: NatKind) -> tuple[HomeNetwork, HomeNetwork]:
    return networks.homes[NAT_KINDS.index(one)], networks.homes[len(NAT_KINDS) + NAT_KINDS.index(other)]


@pytest.mark.parametrize(("one", "other"), DIRECT)
def test_a_data_channel_opens_without_a_relay(networks: Networks, one: NatKind, other: NatKind) -> None:
    with TurnServer(networks.public) as server:
        servers = [aiortc.RTCIceServer(server.stun_url)]
        print(f"\n{one:15} {other:15}", end=" ")
        ways = connect(homes_of(networks, one, other), (servers, servers))
        assert "relay" not in f"{ways}"


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_data_channel_opens_with_a_relay(networks: Networks, one: NatKind, other: NatKind) -> None:
    with TurnServer(networks.public, secret="secret") as relay:

        def servers_for(kind: NatKind) -> list[Any]:
            user, password = relay.credentials()
            url = relay.url("tcp" if kind == "udp blocked" else "udp")
            return [aiortc.RTCIceServer(relay.stun_url), aiortc.RTCIceServer(url, username=user, credential=password)]

        print(f"\n{one:15} {other:15}", end=" ")
        ways = connect(homes_of(networks, one, other), (servers_for(one), servers_for(other)))
        # aioice keeps the first pair of candidates that works, so it may use the relay without need.
        assert "relay" in f"{ways}" or (one, other) in DIRECT
