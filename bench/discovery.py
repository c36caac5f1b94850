"""Measures the discovery service: lookups and joins per second of one core, and memory of sessions and hosts.

Run ``python -m bench.discovery``.  The baseline is a bare asyncio protocol that answers each packet of a lookup's size
with one of its answer's size: no names, no limits, no database.  Figures are per second of the server's processor time,
so that other programs on the machine do not change them much.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import random
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from bench.report import print_table
from bench.server import process_usage
from teleglyph.discovery.names import random_name
from teleglyph.discovery.service.limits import ServiceLimits
from teleglyph.discovery.service.state import ServiceSettings
from teleglyph.discovery.service_client import ServiceClient
from teleglyph.keys import FileIdentity
from teleglyph.net import CostLimits
from teleglyph.server.discovery_app import DiscoveryServer
from teleglyph.server.discovery_config import DISCOVERY_DATABASE_FILE, DiscoveryConfig
from teleglyph.store import open_database
from teleglyph.store.sessions import SessionStore, StoredSession
from teleglyph.wire.acip import HEADER, encode
from teleglyph.wire.discovery import Capability, SessionCreate, SessionInfo, SessionJoin, SessionLeave, SessionLookup

_HOSTS = FileIdentity(b"b" * 32)
_CONNECTIONS = 8
_OPEN = ServiceLimits(
    max_sessions=1_000_000,
    sessions_per_address=1_000_000,
    creates=0,
    lookups=0,
    joins=0,
    controls=0,
    max_callers=1_000_000,
    callers_per_address=1_000_000,
)


class Echo(asyncio.Protocol):
    """The baseline: an answer of the right size to each packet."""

    def __init__(self) -> None:
        self._answer = encode(SessionInfo())
        self._size = len(encode(SessionLookup("quiet-river-stone")))
        self._waiting = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        count, self._waiting = divmod(self._waiting + len(data), self._size)
        self._transport.write(self._answer * count)


async def serve_echo(ready: Connection) -> None:
    """Run the baseline."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    ready.send(server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


async def serve(ready: Connection, directory: Path) -> None:
    """Run the service without limits on requests."""
    config = DiscoveryConfig(
        addresses=("127.0.0.1",),
        port=0,
        page=False,
        identities=(_HOSTS,),
        data_dir=directory,
        service=ServiceSettings(_OPEN),
        allow_plaintext=True,
        connections_per_minute=0,
        connections_per_address=0,
        costs=CostLimits(peer_share=0),
        max_handshakes=100_000,
    )
    loose = replace(config.connection, packets_per_second=1e9, packet_burst=1e9, bytes_per_second=1e12, byte_burst=1e12)
    server = DiscoveryServer(replace(config, connection=loose))
    await server.start()
    ready.send(server.bound[0][1])
    await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def process(
    work: Callable[..., Coroutine[None, None, None]], *arguments: object
) -> AsyncIterator[tuple[int, int]]:
    """Run a server in a process of its own; gives its process id and port."""
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_run, args=(work, theirs, *arguments))
    child.start()
    try:
        port = await asyncio.to_thread(ours.recv)
        assert child.pid is not None
        yield child.pid, port
    finally:
        child.terminate()
        await asyncio.to_thread(child.join)


def _run(work: Callable[..., Coroutine[None, None, None]], *arguments: object) -> None:
    uvloop.run(work(*arguments))


async def _ask(port: int, requests: list[bytes], answer: int, in_flight: int) -> None:
    """Send requests over one connection, a few at a time, and read as many answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for start in range(0, len(requests), in_flight):
        part = requests[start : start + in_flight]
        writer.write(b"".join(part))
        await reader.readexactly(answer * len(part))
    writer.close()


def processor_seconds(pid: int) -> float:
    """Processor time of all threads of a process."""
    return sum(int(one.read_text().split()[0]) for one in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


async def per_second(pid: int, port: int, requests: list[bytes], answer: int, in_flight: int = 8) -> float:
    """Requests per second of the server's processor time."""
    before = processor_seconds(pid)
    share = len(requests) // _CONNECTIONS
    await asyncio.gather(
        *(_ask(port, requests[n * share : (n + 1) * share], answer, in_flight) for n in range(_CONNECTIONS))
    )
    return share * _CONNECTIONS / (processor_seconds(pid) - before)


async def joins_per_second(pid: int, port: int, names: list[str], count: int) -> float:
    """Joins, each followed by a leave, per second of the server's processor time."""

    async def join(share: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(share):
            writer.write(encode(SessionJoin(names[number % len(names)])))
            while struct.unpack_from(">H", head := await reader.readexactly(HEADER.size), 8)[0] != 6005:
                await reader.readexactly(HEADER.unpack(head)[2])
            content = await reader.readexactly(519)
            assert content[0] == 1, content[2:130]
            writer.write(encode(SessionLeave(content[146:162], content[130:146])))
        writer.close()

    before = processor_seconds(pid)
    await asyncio.gather(*(join(count // _CONNECTIONS) for _ in range(_CONNECTIONS)))
    return count / (processor_seconds(pid) - before)


def fill(directory: Path, count: int) -> tuple[list[str], float]:
    """Store sessions; returns their names, and the sessions stored per second."""
    database = open_database(directory / DISCOVERY_DATABASE_FILE)
    store, now = SessionStore(database), int(time.time() * 1000)
    names = list({random_name() for _ in range(count)})
    began = time.perf_counter()
    waiting = []
    for number, name in enumerate(names):
        session = StoredSession(
            name=name,
            id=number.to_bytes(16, "big"),
            host_id=number.to_bytes(16, "little"),
            owner=number.to_bytes(32, "big"),
            capabilities=7,
            max_participants=8,
            kind=1,
            has_password=True,
            password="",
            exposes_address=False,
            address="",
            port=0,
            created_at=now,
            active_at=now,
            signed_at=now,
        )
        waiting.append(store.claim(session, now + 10**9))
        if len(waiting) == 5000:
            for one in waiting:
                one.result()
            waiting.clear()
    for one in waiting:
        one.result()
    rate = len(names) / (time.perf_counter() - began)
    database.close()
    return names, rate


async def host_memory(pid: int, port: int, count: int) -> float:
    """KiB of the server's memory for each connected host."""
    before = process_usage(pid)[1]
    async with contextlib.AsyncExitStack() as stack:
        for number in range(count):
            identity = FileIdentity(number.to_bytes(32, "big"))
            host = await stack.enter_async_context(
                ServiceClient.open("127.0.0.1", port, check_identity=lambda *_: None, identity=identity)
            )
            rendezvous = Capability.VIDEO | Capability.RENDEZVOUS
            await host.create(SessionCreate(capabilities=rendezvous, session_type=1))
        return (process_usage(pid)[1] - before) * 1024 / count


async def measure(sessions: int, lookups: int, hosts: int) -> None:
    """Measure everything, and print tables."""
    size = len(encode(SessionInfo()))
    async with process(serve_echo) as (pid, port):
        request = [encode(SessionLookup("quiet-river-stone"))]
        await per_second(pid, port, request * 1000, size)
        bare = await per_second(pid, port, request * lookups * 4, size)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with process(serve, directory) as (pid, _):
            empty = process_usage(pid)[1]
        names, stored = await asyncio.to_thread(fill, directory, sessions)
        numbers = random.Random(1)
        async with process(serve, directory) as (pid, port):
            full = process_usage(pid)[1]
            few = [encode(SessionLookup(one)) for one in names[:1000]]
            await per_second(pid, port, few, size)
            remembered = await per_second(pid, port, few * (lookups // 1000), size)
            anywhere = [encode(SessionLookup(numbers.choice(names))) for _ in range(lookups)]
            from_database = await per_second(pid, port, anywhere, size)
            missing = [encode(SessionLookup(random_name())) for _ in range(lookups)]
            unknown = await per_second(pid, port, missing, size)
            after = process_usage(pid)[1]
            joins = await joins_per_second(pid, port, names[:1000], lookups)
            each_host = await host_memory(pid, port, hosts)
        file = (directory / DISCOVERY_DATABASE_FILE).stat().st_size
    rows = [
        ("bare answers", bare),
        ("lookups of names in memory", remembered),
        ("lookups of names in the database", from_database),
        ("lookups of names that nobody has", unknown),
        ("joins and leaves", joins),
    ]
    print_table(
        f"Requests per second of one core, {sessions} sessions in SQLite",
        ("", "per second", "of the bare ones"),
        [(label, f"{rate:,.0f}", f"1/{bare / rate:.0f}") for label, rate in rows],
    )
    print_table(
        "Memory",
        ("", "value"),
        [
            ("sessions stored per second", f"{stored:,.0f}"),
            ("an idle session, in the file", f"{file / len(names):,.0f} bytes"),
            ("process without sessions", f"{empty:.0f} MiB"),
            (f"with {len(names)} idle sessions", f"{full:.0f} MiB"),
            ("after lookups of all of them", f"{after:.0f} MiB"),
            (f"each of {hosts} connected hosts (TLS)", f"{each_host:.0f} KiB"),
        ],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--lookups", type=int, default=20_000)
    parser.add_argument("--hosts", type=int, default=500)
    options = parser.parse_args()
    uvloop.run(measure(options.sessions, options.lookups, options.hosts))
