"""Data channels through a TURN server (coturn), and what is said when it does not relay."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import certificate
from data_channels import LOOPS, Server, digest, open_channels, receive, run, send
from teleglyph.errors import ConnectError, PeerTimeoutError
from teleglyph.net import ice
from teleglyph.net.data_channel import DataChannelOffer
from turn_server import PASSWORD, USER, TurnProcess, timed_credentials, turn_server


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a relay with TLS takes longer than people would wait."""
    monkeypatch.setattr(ice, "_GATHERING_SECONDS", 30.0)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnProcess]:
    with turn_server(tmp_path_factory.mktemp("turn")) as server:
        yield server


@pytest.fixture(scope="module")
def timed_relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnProcess]:
    with turn_server(tmp_path_factory.mktemp("turn"), has_secret=True) as server:
        yield server


async def transfer(*servers: Server) -> None:
    """Both sides use only relays, so everything goes through the server."""
    data = os.urandom(300_000)
    async with open_channels(servers, relay_only=True) as channels:
        assert (channels.offer.way, channels.answer.way) == ("relayed", "relayed")
        assert not channels.offer.server_failures
        _, there = await asyncio.gather(send(channels.joiner, data), receive(channels.host, len(data)))
        _, back = await asyncio.gather(send(channels.host, there), receive(channels.joiner, len(data)))
        assert digest(back) == digest(data)


async def refusal(*servers: Server) -> str:
    """Why a side that may only use relays cannot connect."""
    with pytest.raises(ConnectError) as caught:
        await DataChannelOffer(relay_only=True).create(servers)
    return str(caught.value)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_relay_carries_a_channel(relay: TurnProcess, loop: str, transport: str) -> None:
    run(loop, lambda: transfer(relay.server(transport=transport)))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_relay_with_tls_carries_a_channel(loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = certificate(tmp_path, "localhost", is_verifiable=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with turn_server(tmp_path, certificate=file) as server:
        url = f"turns:localhost:{server.tls_port}"
        run(loop, lambda: transfer(Server(url, USER, PASSWORD)))


def test_direct_ways_are_preferred(relay: TurnProcess) -> None:
    async def main() -> None:
        async with open_channels([relay.server()]) as channels:
            assert (channels.offer.way, channels.answer.way) == ("direct", "direct")

    run("asyncio", main)


def test_one_side_may_hide_behind_a_relay(relay: TurnProcess) -> None:
    """The joiner's description then has no address of its own."""

    async def main() -> None:
        offer = DataChannelOffer(relay_only=True)
        text = await offer.create([relay.server()])
        assert [line.split(" typ ")[1] for line in text.splitlines() if line.startswith("a=candidate")] == [
            "relay raddr 0.0.0.0 rport 9"
        ]
        await offer.close()

    run("asyncio", main)


def test_a_stun_server_shows_our_address(relay: TurnProcess) -> None:
    async def main() -> None:
        offer = DataChannelOffer()
        dead = Server("stun:192.0.2.251:9")
        text = await offer.create([dead, Server(f"stun:{relay.address}:{relay.port}")])
        assert any(" typ srflx " in line for line in text.splitlines())
        await offer.close()

    run("asyncio", main)


def test_credentials_that_expire(timed_relay: TurnProcess) -> None:
    run("asyncio", lambda: transfer(timed_relay.server(*timed_credentials(60))))


def test_refused_credentials_are_explained(relay: TurnProcess, timed_relay: TurnProcess) -> None:
    async def main() -> None:
        for server in (
            relay.server(credential="wrong"),
            relay.server(username="nobody"),
            timed_relay.server(*timed_credentials(-60)),
            timed_relay.server(*timed_credentials(60, "another secret")),
        ):
            assert await refusal(server) == (
                "This machine has no address for a data channel. "
                f"Relay {server.url} refused our user name and password (401); they may have expired."
            )

    run("asyncio", main)


def test_relays_that_cannot_be_reached_are_explained(relay: TurnProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """They delay nobody for long, and others are used."""
    monkeypatch.setattr(ice, "_GATHERING_SECONDS", 4.0)
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind((relay.address, 0))
    nobody = Server(f"turn:{relay.address}:{silent.getsockname()[1]}", "ann", "x")
    closed = Server(f"turn:{relay.address}:9?transport=tcp", "ann", "x")

    async def main() -> None:
        async with open_channels([nobody, closed, relay.server()], relay_only=True) as channels:
            assert channels.offer.way == "relayed"
            assert channels.offer.server_failures == [
                f"Relay {nobody.url} did not answer within 4 s.",
                f"Relay {closed.url} cannot be reached: connection refused.",
            ]

    with silent:
        run("asyncio", main)


def test_a_failed_relay_is_named_when_there_is_no_way(relay: TurnProcess) -> None:
    async def main() -> None:
        offer = DataChannelOffer()
        text = await offer.create([relay.server(credential="wrong")])
        lines = [line for line in text.splitlines() if not line.startswith("a=candidate")]
        answer = "\r\n".join([*lines, "a=candidate:1 1 udp 99 192.0.2.250 50000 typ host", ""])
        await offer.accept(answer.replace("actpass", "active"))
        with pytest.raises(PeerTimeoutError, match=r"within 0\.2 s\. Relay turn:.* refused our user name and password"):
            await offer.open(0.2)

    run("asyncio", main)
