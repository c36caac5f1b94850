"""Measures the event relay: ingest of signed events, fan-out to subscribers, queries of many stored events.

Run ``python -m bench.events``; ``--peers`` adds PyPI's nostr-relay, the LocalRelay of nostr-sdk and npm's
@nostr-relay/core to the same run, and installs them into ``build/bench-peers`` first.  All relays get the same clients:
plain WebSockets in a separate process on the same machine, with events signed in advance.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.event_peers import npm_peers, python_peers
from bench.report import print_table
from bench.rooms import free_port, start_http
from bench.server import percentile, process_usage
from teleglyph.wire.nostr.event import sign_event

_PATIENCE = 4.0
_KEYS = [bytes([number]) * 32 for number in range(1, 51)]


def texts(count: int, start: int = 0, content: str = "x" * 200) -> list[str]:
    """Signed events of 50 authors as messages, with tags to query."""
    begin = int(time.time()) - count
    messages = []
    for place in range(count):
        number = start + place
        kind, key = (1, 7, 1, 1111)[number % 4], _KEYS[number % 50]
        event = sign_event(key, begin + place, kind, [["t", f"t{number % 500}"]], f"{number} {content}")
        messages.append('["EVENT",' + event.text.decode() + "]")
    return messages


# --- clients ----------------------------------------------------------------------------------------------------------


async def open_socket(session: Any, port: int) -> Any:
    return await session.ws_connect(f"http://127.0.0.1:{port}/", max_msg_size=0, autoping=True)


async def skip_to(ws: Any, *verbs: str) -> list[Any]:
    while True:
        message = json.loads((await ws.receive()).data)
        if message[0] in verbs:
            return list(message)


async def serial(port: int, events: list[str]) -> dict[str, float]:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        ws = await open_socket(session, port)
        delays = []
        started = time.perf_counter()
        for event in events:
            before = time.perf_counter()
            await ws.send_str(event)
            await skip_to(ws, "OK")
            delays.append(time.perf_counter() - before)
        total = time.perf_counter() - started
    delays.sort()
    return {"rate": len(events) / total, "p50": percentile(delays, 0.5), "p99": percentile(delays, 0.99)}


async def pipelined(port: int, events: list[str], sockets: int = 4) -> dict[str, float]:
    import aiohttp

    async def publish(session: aiohttp.ClientSession, part: list[str]) -> int:
        ws = await open_socket(session, port)

        async def send() -> None:
            for event in part:
                await ws.send_str(event)

        sender = asyncio.create_task(send())
        accepted = 0
        for _ in part:
            accepted += (await skip_to(ws, "OK"))[2] is True
        await sender
        return accepted

    async with aiohttp.ClientSession() as session:
        started = time.perf_counter()
        counts = await asyncio.gather(*(publish(session, events[number::sockets]) for number in range(sockets)))
        total = time.perf_counter() - started
    return {"rate": sum(counts) / total, "accepted": sum(counts)}


async def fan_out(port: int, events: list[str], readers: int = 100) -> dict[str, float]:
    """Fan out to readers, which are sockets of this process; their messages are counted but not decoded."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        sockets = [await open_socket(session, port) for _ in range(readers)]
        for ws in sockets:
            await ws.send_str('["REQ","s",{"limit":0,"kinds":[1,7,1111]}]')
            await skip_to(ws, "EOSE")
        writer = await open_socket(session, port)

        last = 0.0

        async def read(ws: Any) -> int:
            nonlocal last
            got = 0
            while got < len(events):
                try:
                    message = await ws.receive(timeout=_PATIENCE)
                except TimeoutError:
                    break  # the relay silently lost events
                last = time.perf_counter()
                if message.type is not aiohttp.WSMsgType.TEXT or message.data.startswith('["CLOSED"'):
                    break
                got += 1
            return got

        started = time.perf_counter()
        readings = [asyncio.create_task(read(ws)) for ws in sockets]

        async def write() -> None:
            window = 20
            for place, event in enumerate(events):
                await writer.send_str(event)
                if place >= window:
                    await skip_to(writer, "OK")

        await write()
        got = await asyncio.gather(*readings)
        total = last - started
    return {"rate": sum(got) / total, "share": sum(got) / (len(events) * readers)}


QUESTIONS: dict[str, str] = {
    "newest 100": '{"limit":100}',
    "one kind": '{"kinds":[7],"limit":100}',
    "one author": '{"authors":["%s"],"limit":100}' % sign_event(_KEYS[3], 1, 1).pubkey,
    "author and kind": '{"authors":["%s"],"kinds":[7],"limit":100}' % sign_event(_KEYS[3], 1, 1).pubkey,
    "one tag": '{"#t":["t42"],"limit":100}',
    "tag and kind": '{"#t":["t42","t43"],"kinds":[1],"limit":100}',
    "since": '{"since":%d,"limit":100}' % (int(time.time()) - 500),
    "word": '{"search":"4242","limit":100}',
}


async def ask(port: int, question: str, repeat: int = 60) -> dict[str, float]:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        ws = await open_socket(session, port)
        delays = []
        found = 0
        for number in range(repeat):
            before = time.perf_counter()
            await ws.send_str(f'["REQ","s{number}",{question}]')
            found = 0
            while True:
                message = json.loads((await ws.receive()).data)
                found += message[0] == "EVENT"
                if message[0] in ("EOSE", "CLOSED"):
                    break
            delays.append(time.perf_counter() - before)
            await ws.send_str(f'["CLOSE","s{number}"]')
    delays.sort()
    return {"p50": percentile(delays, 0.5), "p99": percentile(delays, 0.99), "found": found}


async def subscribe_idle(port: int, sockets: int, each: int) -> list[Any]:
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    opened: list[Any] = [session]
    for number in range(sockets):
        ws = await open_socket(session, port)
        opened.append(ws)
        for one in range(each):
            await ws.send_str(f'["REQ","i{one}",{{"#t":["idle {number} {one}"],"limit":0}}]')
        for _ in range(each):
            await skip_to(ws, "EOSE")
    return opened


# --- servers ----------------------------------------------------------------------------------------------------------


def start_teleglyph(port: int, directory: str) -> subprocess.Popen[str]:
    return start_http(port, "--events", "--event-rate", "0", "--data-dir", directory)


def start_nostr_relay(port: int, directory: str) -> subprocess.Popen[str]:
    configuration = Path(directory) / "config.yaml"
    configuration.write_text(
        "DEBUG: false\nstorage:\n  sqlalchemy.url: sqlite+aiosqlite:///" + directory + "/nostr.sqlite3\n"
        "  validators:\n    - nostr_relay.validators.is_signed\n"
        "gunicorn:\n  bind: 127.0.0.1:%d\n  workers: 1\n  loglevel: error\nlogging:\n  version: 1\n"
        % port
        + "message_timeout: 1800\nsubscription_limit: 1000\n"
    )
    process = subprocess.Popen(
        [python_peers() / "nostr-relay", "-c", str(configuration), "serve"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    for _ in range(100):
        time.sleep(0.2)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
    return process


_LOCAL_RELAY = """
import asyncio, sys, nostr_sdk
async def main():
    rate = nostr_sdk.RateLimit(max_reqs=1000, notes_per_minute=100_000_000)
    relay = nostr_sdk.LocalRelayBuilder().addr("127.0.0.1").port(int(sys.argv[1])).rate_limit(rate).build()
    await relay.run()
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def start_local_relay(port: int, _directory: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [python_peers() / "python", "-c", _LOCAL_RELAY, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    return _ready(process)


def start_relay_core(port: int, _directory: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        ["node", Path(__file__).with_name("nostr_relay_core.mjs"), npm_peers(), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    return _ready(process)


def _ready(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """Wait for the line with which a peer reports that it is ready."""
    assert process.stdout is not None
    if not process.stdout.readline():
        raise RuntimeError(f"{process.args!r} ended with {process.wait(5)} before it was ready")
    return process


# --- the run ----------------------------------------------------------------------------------------------------------


def run(coroutine: Callable[[], Awaitable[dict[str, float]]]) -> dict[str, float]:
    import uvloop

    return dict(uvloop.run(coroutine()))  # type: ignore[arg-type]


def measure(start: Callable[[int, str], subprocess.Popen[str]], events: int) -> list[str]:
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        server = start(port, directory)
        try:
            one = run(lambda: serial(port, texts(min(500, events // 4))))
            many = run(lambda: pipelined(port, texts(events, 1_000_000)))
            out = run(lambda: fan_out(port, texts(events // 10, 5_000_000)))
            return [
                f"{one['rate']:.0f}",
                f"{1000 * one['p50']:.2f} / {1000 * one['p99']:.2f}",
                f"{many['rate']:.0f}",
                f"{100 * many['accepted'] / events:.0f}",
                f"{out['rate']:.0f}",
                f"{100 * out['share']:.0f}",
            ]
        finally:
            server.terminate()
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, 9)


def measure_stored(events: int) -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        server = start_teleglyph(port, directory)
        try:
            for start in range(0, events, 10_000):
                run(lambda start=start: pipelined(port, texts(min(10_000, events - start), start)))  # type: ignore[misc]
            rows = []
            for name, question in QUESTIONS.items():
                found = run(lambda question=question: ask(port, question))  # type: ignore[misc]
                rows.append([name, f"{found['found']:.0f}", f"{1000 * found['p50']:.2f}", f"{1000 * found['p99']:.2f}"])
            print_table(f"REQ over {events} stored events", ["filter", "events", "p50 ms", "p99 ms"], rows)
            measure_idle(port, server)
        finally:
            server.terminate()
            server.wait(10)


def measure_idle(port: int, server: subprocess.Popen[str]) -> None:
    """Measure the effect of 10 000 subscriptions that never match on ingest and memory."""

    async def work() -> dict[str, float]:
        before = (await pipelined(port, texts(5000, 7_000_000)))["rate"]
        resident = process_usage(server.pid)[1]
        opened = await subscribe_idle(port, 400, 25)
        grown = process_usage(server.pid)[1] - resident
        after = (await pipelined(port, texts(5000, 8_000_000)))["rate"]
        for one in opened:
            await one.close()
        return {"before": before, "after": after, "kib": grown * 1024 / 400}

    found = run(work)
    print_table(
        "10 000 idle subscriptions on 400 connections",
        ["ingest without /s", "ingest with /s", "of it %", "KiB per connection with its 25"],
        [
            [
                f"{found['before']:.0f}",
                f"{found['after']:.0f}",
                f"{100 * found['after'] / found['before']:.0f}",
                f"{found['kib']:.1f}",
            ]
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="measure the other relays as well")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--stored", type=int, default=100_000, help="events in the database that is asked; 0: skip")
    options = parser.parse_args()
    rows = [["teleglyph (SQLite, durable)", *measure(start_teleglyph, options.events)]]
    if options.peers:
        rows.append(["nostr-relay (SQLite)", *measure(start_nostr_relay, options.events // 10)])
        rows.append(["LocalRelay (Rust, in memory)", *measure(start_local_relay, options.events)])
        if shutil.which("node") and shutil.which("npm"):
            rows.append(["@nostr-relay/core (Node, in memory)", *measure(start_relay_core, options.events)])
        else:
            print("Skipped @nostr-relay/core: it needs node and npm on the PATH.", file=sys.stderr)
    print_table(
        "Signed events of 0.6 KiB; fan-out to 100 subscribers",
        ["relay", "serial /s", "p50 / p99 ms", "pipelined /s", "accepted %", "fan-out /s", "delivered %"],
        rows,
    )
    if options.stored:
        measure_stored(options.stored)


if __name__ == "__main__":
    main()
