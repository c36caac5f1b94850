"""Our STUN responder: foreign clients, sizes of its answers, rates, and what it does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator

import pytest
from aioice import stun as aioice

from teleglyph.discovery.stun import StunResponder
from teleglyph.errors import BindError
from teleglyph.wire.stun import MessageClass, StunMessage, decode, encode

ID = b"twelve bytes"
REQUEST = encode(StunMessage(MessageClass.REQUEST, ID))
needs_coturn = pytest.mark.skipif(shutil.which("turnutils_natdiscovery") is None, reason="coturn is not installed")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Client:
    """A UDP socket."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)

    async def ask(self, data: bytes, host: str, port: int) -> tuple[StunMessage, bytes, tuple[str, int]]:
        """The answer, its bytes and its source."""
        loop = asyncio.get_running_loop()
        self.socket.sendto(data, (host, port))
        answer, source = await loop.sock_recvfrom(self.socket, 2048)
        return decode(answer), answer, source[:2]


@contextlib.asynccontextmanager
async def responder(
    host: str = "127.0.0.1",
    *,
    alternate_port: int | None = 0,
    other_host: str | None = "127.0.0.2",
    per_minute: int = 120,
    clock: Clock | None = None,
    public_host: str | None = None,
) -> AsyncIterator[tuple[StunResponder, Client]]:
    made = StunResponder(per_minute=per_minute, clock=clock or Clock())
    await made.start(host, 0, alternate_port=alternate_port, other_host=other_host, public_host=public_host)
    client = Client(host)
    try:
        yield made, client
    finally:
        client.socket.close()
        await made.close()


async def output_of(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return output.decode()


def test_aioice_gets_its_address() -> None:
    async def run() -> None:
        async with responder() as (server, client):
            request = aioice.Message(aioice.Method.BINDING, aioice.Class.REQUEST)
            request.add_fingerprint()
            client.socket.sendto(bytes(request), ("127.0.0.1", server.port))
            data, _ = await asyncio.get_running_loop().sock_recvfrom(client.socket, 2048)
            response = aioice.parse_message(data)
            assert response.transaction_id == request.transaction_id
            assert response.attributes["XOR-MAPPED-ADDRESS"] == client.socket.getsockname()
            assert response.attributes["RESPONSE-ORIGIN"] == ("127.0.0.1", server.port)
            assert response.attributes["OTHER-ADDRESS"] == ("127.0.0.2", server.alternate_port)
            assert "FINGERPRINT" in response.attributes

    asyncio.run(run())


@needs_coturn
def test_the_client_of_coturn_finds_no_nat_in_the_way() -> None:
    async def run() -> None:
        async with responder() as (server, _):
            mapping = await output_of("turnutils_natdiscovery", "-m", "-p", str(server.port), "127.0.0.1")
            filtering = await output_of("turnutils_natdiscovery", "-f", "-p", str(server.port), "127.0.0.1")
        for output in (mapping, filtering):
            assert "UDP reflexive addr: 127.0.0.1:" in output
        assert "Endpoint Independent Mapping" in mapping, mapping
        assert "NAT with Endpoint Independent Filtering" in filtering, filtering

    asyncio.run(run())


@pytest.mark.parametrize(("change_address", "host"), [(False, "127.0.0.1"), (True, "127.0.0.2")])
@pytest.mark.parametrize("change_port", [False, True])
def test_answers_come_from_where_they_are_wanted(change_address: bool, change_port: bool, host: str) -> None:
    async def run() -> None:
        async with responder() as (server, client):
            request = StunMessage(MessageClass.REQUEST, ID, change_address=change_address, change_port=change_port)
            message, _, source = await client.ask(encode(request), "127.0.0.1", server.port)
            assert source == (host, server.alternate_port if change_port else server.port)
            assert message.response_origin == source
            assert message.other_address == ("127.0.0.2", server.alternate_port), "as seen from where the request went"
            assert message.mapped_address == client.socket.getsockname()

    asyncio.run(run())


def test_the_second_port_alone_is_offered_on_the_same_address() -> None:
    async def run() -> None:
        async with responder(other_host=None) as (server, client):
            message, _, _ = await client.ask(REQUEST, "127.0.0.1", server.port)
            assert message.other_address == ("127.0.0.1", server.alternate_port)
            change_port = encode(StunMessage(MessageClass.REQUEST, ID, change_port=True))
            _, _, source = await client.ask(change_port, "127.0.0.1", server.port)
            assert source == ("127.0.0.1", server.alternate_port)
            change_address = encode(StunMessage(MessageClass.REQUEST, ID, change_address=True))
            refused, _, _ = await client.ask(change_address, "127.0.0.1", server.port)
            assert (refused.error_code, refused.unknown) == (420, (3,))

    asyncio.run(run())


def test_without_a_second_port_nothing_is_offered() -> None:
    async def run() -> None:
        async with responder(other_host=None, alternate_port=None) as (server, client):
            message, _, _ = await client.ask(REQUEST, "127.0.0.1", server.port)
            assert message.other_address is None
            assert server.alternate_port is None

    asyncio.run(run())


def test_the_public_address_of_a_server_behind_a_nat_is_named() -> None:
    async def run() -> None:
        async with responder(other_host=None, public_host="203.0.113.9") as (server, client):
            message, _, _ = await client.ask(REQUEST, "127.0.0.1", server.port)
            assert message.response_origin == ("203.0.113.9", server.port)
            assert message.other_address == ("203.0.113.9", server.alternate_port)

    asyncio.run(run())


def test_an_address_that_is_not_known_is_not_named() -> None:
    async def run() -> None:
        made = StunResponder(clock=Clock())
        await made.start("0.0.0.0", 0, alternate_port=0)
        client = Client()
        try:
            message, _, _ = await client.ask(REQUEST, "127.0.0.1", made.port)
            assert message.response_origin is message.other_address is None
            assert message.mapped_address == client.socket.getsockname()
        finally:
            client.socket.close()
            await made.close()

    asyncio.run(run())


def test_unknown_attributes_are_refused_by_number() -> None:
    async def run() -> None:
        async with responder() as (server, client):
            # PADDING and RESPONSE-PORT (RFC 5780) would make larger answers, or send them elsewhere.
            body = bytes.fromhex("0027000400500000 00260000")
            data = REQUEST[:3] + bytes([len(body)]) + REQUEST[4:] + body
            message, _, source = await client.ask(data, "127.0.0.1", server.port)
            assert (message.error_code, message.unknown) == (420, (0x27, 0x26))
            assert source == ("127.0.0.1", server.port)
            assert server.counters.refused == 1

    asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_are_not_much_larger_than_requests(host: str) -> None:
    headers = 28 if host == "127.0.0.1" else 48

    async def run() -> None:
        async with responder(host, other_host=None) as (server, client):
            body = b"".join(bytes([0, number, 0, 0]) for number in range(0x40, 0x60))
            many_unknown = REQUEST[:3] + bytes([len(body)]) + REQUEST[4:] + body
            for data in (REQUEST, encode(StunMessage(MessageClass.REQUEST, ID, has_fingerprint=True)), many_unknown):
                _, answer, _ = await client.ask(data, host, server.port)
                assert len(answer) + headers <= 2.1 * (len(data) + headers)

    asyncio.run(run())


def test_only_requests_are_answered() -> None:
    refused = [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        REQUEST[:-1],
        REQUEST + bytes(4),
        encode(StunMessage(MessageClass.SUCCESS, ID)),
        encode(StunMessage(MessageClass.INDICATION, ID)),
        encode(StunMessage(MessageClass.ERROR, ID, error_code=420)),
        encode(StunMessage(MessageClass.REQUEST, ID, software="x" * 600)),
    ]

    async def run() -> None:
        async with responder() as (server, client):
            for data in refused:
                client.socket.sendto(data, ("127.0.0.1", server.port))
            message, _, _ = await client.ask(
                encode(StunMessage(MessageClass.REQUEST, b"another id! ")), "127.0.0.1", server.port
            )
            assert message.transaction_id == b"another id! ", "the first answer belongs to the only request"
            assert (server.counters.invalid, server.counters.answered) == (len(refused), 1)

    asyncio.run(run())


def test_each_address_gets_only_so_many_answers() -> None:
    async def run() -> None:
        clock = Clock()
        async with responder(per_minute=3, clock=clock) as (server, client):
            other = Client("127.0.0.5")
            for _ in range(3):
                await client.ask(REQUEST, "127.0.0.1", server.port)
            client.socket.sendto(REQUEST, ("127.0.0.1", server.port))
            await other.ask(REQUEST, "127.0.0.1", server.port)
            assert (server.counters.answered, server.counters.limited) == (4, 1)
            clock.now = 61.0
            await client.ask(REQUEST, "127.0.0.1", server.port)
            assert server.counters.answered == 5
            other.socket.close()

    asyncio.run(run())


def test_a_port_in_use_is_an_error_with_a_next_step() -> None:
    async def run() -> None:
        async with responder(other_host=None, alternate_port=None) as (server, _):
            second = StunResponder()
            with pytest.raises(BindError, match=rf"127\.0\.0\.1:{server.port}.*choose another port"):
                await second.start("127.0.0.1", 0, alternate_port=server.port)
            # The first port of the failed start is free again.
            await second.start("127.0.0.1", 0)
            await second.close()

    asyncio.run(run())
