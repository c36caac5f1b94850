"""Measures waits of well-behaved peers in its own process: a client of the Nostr relay, and a room's host and guest.

Prints ``ready``, waits for a line on standard input, and prints the results as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import struct
import sys
import time

import aiohttp

from bench.server import percentile
from teleglyph.wire.nostr.event import sign_event
from teleglyph.wire.rooms.messages import JoinRequest

_LATE = 10.0
"""Timeout in seconds; an answer that takes longer counts as this late."""


async def ask_relay(session: aiohttp.ClientSession, url: str, start: asyncio.Event, until: float) -> dict[str, float]:
    """Publish an event and query some, ten times per second; returns the 99th percentiles of the waits in ms."""
    key = secrets.token_bytes(32)
    waits: dict[str, list[float]] = {"OK": [], "EOSE": []}
    answers: asyncio.Queue[list[str]] = asyncio.Queue()

    async def read(socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            answers.put_nowait(json.loads(message.data))

    async def answer(verb: str, began: float) -> None:
        try:
            async with asyncio.timeout(_LATE):
                while (await answers.get())[0] != verb:
                    pass
        except TimeoutError:
            pass
        waits[verb].append(time.perf_counter() - began)

    async with session.ws_connect(url) as socket:
        reader = asyncio.create_task(read(socket))
        await start.wait()
        ends = time.monotonic() + until
        number = 0
        while time.monotonic() < ends and not socket.closed:
            number += 1
            event = sign_event(key, int(time.time()), 1, (), f"message {number}")
            began = time.perf_counter()
            await socket.send_str('["EVENT",' + event.text.decode() + "]")
            await answer("OK", began)
            began = time.perf_counter()
            await socket.send_str(json.dumps(["REQ", "s", {"authors": [event.pubkey], "limit": 10}]))
            await answer("EOSE", began)
            await asyncio.sleep(max(0.0, began + 0.1 - time.perf_counter()))
        reader.cancel()
    return {verb: 1000 * percentile(times, 0.99) for verb, times in waits.items()}


async def play(session: aiohttp.ClientSession, url: str, start: asyncio.Event, until: float) -> float:
    """Send messages from a host to its guest, 20 per second; returns the 99th percentile of the delays in ms."""
    waits: list[float] = []
    name = secrets.token_hex(8)

    async def listen(socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if len(message.data) == 9:
                waits.append(time.perf_counter() - struct.unpack("d", message.data[1:])[0])

    async with session.ws_connect(url) as host, session.ws_connect(url) as guest:
        await host.send_bytes(JoinRequest("bench", name, create=True).encode())
        await host.receive_bytes()
        await guest.send_bytes(JoinRequest("bench", name).encode())
        await guest.receive_bytes()
        readers = [asyncio.create_task(listen(guest)), asyncio.create_task(listen(host))]
        await start.wait()
        due = time.monotonic()
        ends = due + until
        while time.monotonic() < ends:
            await host.send_bytes(b"\x04" + struct.pack("d", time.perf_counter()))
            due += 0.05
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.sleep(0.5)
        for reader in readers:
            reader.cancel()
    missing = max(0, round(0.9 * 20 * until) - len(waits))
    return 1000 * percentile([*waits, *[_LATE] * missing], 0.99)


async def measure(port: int, seconds: float) -> None:
    start = asyncio.Event()
    base = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session:
        relay = asyncio.create_task(ask_relay(session, base, start, seconds))
        room = asyncio.create_task(play(session, f"{base}/rooms", start, seconds))
        await asyncio.sleep(1.0)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        start.set()
        waits = await relay
        print(json.dumps({**waits, "room": await room}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    asyncio.run(measure(options.port, options.seconds))


if __name__ == "__main__":
    main()
