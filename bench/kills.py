"""Kills a busy server repeatedly, and checks that it kept every acknowledged event.

Three clients publish as fast as they get answers.  After about a second the server is killed with SIGKILL and restarted
on the same database, and all events acknowledged so far are queried.  Run ``python -m bench.kills`` for SQLite, or add
``--postgresql`` for a temporary PostgreSQL (``scripts/postgresql``).  The exit code is 1 if an event is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from bench.hostile import free_port
from bench.server import ServerProcess
from teleglyph.wire.nostr.event import sign_event

_CLIENTS = 3
_IN_FLIGHT = 50
"""Events that a client has sent and that are not acknowledged yet."""
_PAGE = 100
"""Events per query."""
_WAIT = 30.0
"""Timeout for one answer; seconds."""
_POSTGRESQL = Path(__file__).parent.parent / "scripts" / "postgresql"


async def publish(session: aiohttp.ClientSession, url: str, acknowledged: set[str]) -> None:
    """Publish until the server is gone."""
    key = secrets.token_bytes(32)
    free = asyncio.Semaphore(_IN_FLIGHT)

    async def read(socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            verb, *rest = json.loads(message.data)
            if verb == "OK":
                if not rest[1]:
                    sys.exit(f"The relay refused an event: {rest[2]}")
                acknowledged.add(rest[0])
                free.release()
        raise ConnectionResetError

    try:
        async with session.ws_connect(url) as socket, asyncio.TaskGroup() as tasks:
            tasks.create_task(read(socket))
            while True:
                await free.acquire()
                event = sign_event(key, int(time.time()), 1, (), secrets.token_hex(20))
                await socket.send_str('["EVENT",' + event.text.decode() + "]")
    except* (aiohttp.ClientError, ConnectionError):
        pass


async def present(session: aiohttp.ClientSession, url: str, wanted: list[str]) -> set[str]:
    """The events among these that the server has."""
    found: set[str] = set()
    async with session.ws_connect(url) as socket:
        for start in range(0, len(wanted), _PAGE):
            ids = wanted[start : start + _PAGE]
            await socket.send_str(json.dumps(["REQ", "q", {"ids": ids, "limit": _PAGE}]))
            async with asyncio.timeout(_WAIT):
                while True:
                    verb, *rest = json.loads(await socket.receive_str())
                    if verb == "EVENT":
                        found.add(rest[1]["id"])
                    elif verb == "EOSE":
                        break
                    elif verb == "CLOSED":
                        sys.exit(f"The relay closed a query: {rest[1]}")
            await socket.send_str(json.dumps(["CLOSE", "q"]))
    return found


async def kill(server: ServerProcess, url: str, seconds: float, acknowledged: set[str]) -> None:
    """Publish to a server until it is killed."""
    async with aiohttp.ClientSession() as session:
        clients = [asyncio.create_task(publish(session, url, acknowledged)) for _ in range(_CLIENTS)]
        await asyncio.sleep(seconds)
        server.process.kill()
        async with asyncio.timeout(_WAIT):
            await asyncio.gather(*clients)
    server.process.wait(_WAIT)


async def look(url: str, wanted: list[str]) -> set[str]:
    async with aiohttp.ClientSession() as session:
        return await present(session, url, wanted)


@contextlib.contextmanager
def database(wants_postgresql: bool) -> Iterator[list[str]]:
    """Options of the server for a new database."""
    with tempfile.TemporaryDirectory(prefix="teleglyph-kills-") as directory:
        if not wants_postgresql:
            yield ["--data-dir", directory]
            return
        Path(directory).chmod(0o755)
        home = str(Path(directory) / "postgresql")
        url = subprocess.run(
            [_POSTGRESQL, "start", home], check=True, capture_output=True, text=True, timeout=60
        ).stdout
        try:
            yield ["--data-dir", directory, "--database", url.strip()]
        finally:
            subprocess.run([_POSTGRESQL, "stop", home], check=True, timeout=60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--postgresql", action="store_true", help="with PostgreSQL instead of SQLite")
    options = parser.parse_args()
    chance = random.Random(1)
    acknowledged: set[str] = set()
    lost: set[str] = set()
    with database(options.postgresql) as where:
        for _ in range(options.times + 1):
            http_port = free_port()
            url = f"ws://127.0.0.1:{http_port}/"
            server = ServerProcess("--http-port", str(http_port), "--events", "--event-rate", "0", *where)
            try:
                lost |= acknowledged - asyncio.run(look(url, sorted(acknowledged)))
                asyncio.run(kill(server, url, chance.uniform(0.3, 1.5), acknowledged))
            finally:
                server.process.kill()
                server.process.wait()
            print(".", end="", file=sys.stderr, flush=True)
    print(f"\n{options.times} kills: {len(acknowledged)} events acknowledged, {len(lost)} of them lost")
    sys.exit(int(bool(lost)))


if __name__ == "__main__":
    main()
