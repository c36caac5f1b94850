"""Asking STUN servers: coturn, aioice, our own, silent, lying and absent ones."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from aioice import stun as aioice

from coturn import coturn
from teleglyph.discovery.stun import StunResponder, StunServer, parse_stun_server, public_address
from teleglyph.errors import ConfigurationError
from teleglyph.wire.stun import MessageClass, StunAddress, StunMessage, decode, encode

Answer = Callable[[bytes, tuple[str, int]], list[bytes]]
needs_coturn = pytest.mark.skipif(shutil.which("turnserver") is None, reason="coturn is not installed")


@contextlib.asynccontextmanager
async def udp_server(answer: Answer) -> AsyncIterator[StunServer]:
    """A server that answers each datagram with any number of datagrams."""

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.DatagramTransport, transport)

        def datagram_received(self, data: bytes, addr: Any) -> None:
            for response in answer(data, addr):
                self.transport.sendto(response, addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    try:
        yield StunServer("127.0.0.1", transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


def success(transaction_id: bytes, host: str = "198.51.100.7", port: int = 1234) -> bytes:
    return encode(StunMessage(MessageClass.SUCCESS, transaction_id, mapped_address=StunAddress(host, port)))


def honest(data: bytes, source: tuple[str, int]) -> list[bytes]:
    """An independent server: aioice's codec."""
    request = aioice.parse_message(data)
    response = aioice.Message(aioice.Method.BINDING, aioice.Class.RESPONSE, request.transaction_id)
    response.attributes["XOR-MAPPED-ADDRESS"] = source
    response.add_fingerprint()
    return [bytes(response)]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("stun:stun.example.org", "stun.example.org", 3478),
        ("stun:stun.example.org:19302", "stun.example.org", 19302),
        ("stun.example.org:5", "stun.example.org", 5),
        ("192.0.2.1", "192.0.2.1", 3478),
        ("stun:[2001:db8::1]:3479", "2001:db8::1", 3479),
        ("[2001:db8::1]", "2001:db8::1", 3478),
    ],
)
def test_servers_are_read_from_text(text: str, host: str, port: int) -> None:
    assert parse_stun_server(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["", "stun:", "turn:example.org", "stuns:example.org", "example.org:0", "example.org:65536", "a b", "2001:db8::1"],
)
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Write stun:HOST"):
        parse_stun_server(text)


def test_the_public_port_of_a_given_socket_is_found() -> None:
    async def ask() -> StunAddress | None:
        async with udp_server(honest) as server, udp_server(lambda data, source: []) as silent:
            nowhere = [silent, StunServer("::1", server.port), StunServer("name.invalid")]
            return await public_address([*nowhere, server], local, timeout=60)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as local:
        local.bind(("127.0.0.1", 0))
        assert asyncio.run(ask()) == local.getsockname()
        assert local.fileno() >= 0, "the socket stays open"


@needs_coturn
def test_coturn_tells_the_public_address(tmp_path: Path) -> None:
    with coturn(tmp_path, "127.0.0.1") as port:
        found = asyncio.run(public_address([StunServer("127.0.0.1", port)]))
    assert found is not None
    assert found.host == "127.0.0.1"


def test_our_own_responder_tells_the_public_address() -> None:
    async def ask(host: str) -> StunAddress | None:
        responder = StunResponder()
        await responder.start(host, 0)
        try:
            return await public_address([StunServer(host, responder.port)])
        finally:
            await responder.close()

    for host in ("127.0.0.1", "::1"):
        found = asyncio.run(ask(host))
        assert found is not None
        assert found.host == host


def test_the_first_server_that_answers_is_enough() -> None:
    async def ask() -> StunAddress | None:
        async with udp_server(lambda data, source: []) as silent, udp_server(honest) as server:
            nowhere, closed = StunServer("name.invalid"), StunServer("127.0.0.1", 1)
            return await public_address([silent, nowhere, closed, server], timeout=60)

    assert asyncio.run(ask()) is not None


def test_a_lost_request_is_repeated() -> None:
    requests = []

    def second(data: bytes, source: tuple[str, int]) -> list[bytes]:
        requests.append(data)
        return honest(data, source) if len(requests) > 1 else []

    async def ask() -> StunAddress | None:
        async with udp_server(second) as server:
            return await public_address([server], timeout=60)

    assert asyncio.run(ask()) is not None
    assert requests[0] == requests[1], "a repetition has the same transaction id"


@pytest.mark.parametrize(
    "answer",
    [
        lambda data, source: [],
        lambda data, source: [data],
        lambda data, source: [success(bytes(12))],
        lambda data, source: [success(data[8:20])[:-4], b"", b"\xff" * 2000],
        lambda data, source: [encode(StunMessage(MessageClass.ERROR, data[8:20], error_code=500))],
        lambda data, source: [encode(StunMessage(MessageClass.SUCCESS, data[8:20]))],
        lambda data, source: [encode(StunMessage(MessageClass.INDICATION, data[8:20]))],
    ],
    ids=["silence", "echo", "wrong transaction", "garbage", "error", "no address", "indication"],
)
def test_what_is_not_an_answer_does_not_count(answer: Answer) -> None:
    async def ask() -> StunAddress | None:
        async with udp_server(answer) as server:
            return await public_address([server], timeout=0.3)

    assert asyncio.run(ask()) is None


def test_an_answer_has_to_come_from_the_server() -> None:
    async def ask() -> StunAddress | None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))

            def interrupted(data: bytes, source: tuple[str, int]) -> list[bytes]:
                stranger.sendto(success(data[8:20], "203.0.113.66"), source)
                return honest(data, source)

            async with udp_server(interrupted) as server:
                return await public_address([server], timeout=60)

    found = asyncio.run(ask())
    assert found is not None
    assert found.host == "127.0.0.1"


def test_each_request_has_its_own_transaction_id() -> None:
    seen = set()

    def remembered(data: bytes, source: tuple[str, int]) -> list[bytes]:
        seen.add(decode(data).transaction_id)
        return honest(data, source)

    async def ask() -> None:
        async with udp_server(remembered) as server:
            for _ in range(5):
                assert await public_address([server])

    asyncio.run(ask())
    assert len(seen) == 5
