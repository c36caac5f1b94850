"""Measures the cost of forwarding, from one host to many guests and in many small rooms, compared with bare loops.

Every host sends messages of 1 KiB to all of its guests.  Run ``python -m bench.rooms``.  The bare loops, one with
aiohttp and one with npm's ws (if npm is installed), have neither rooms nor seats nor limits: they forward each message
to all other sockets of a group.  All servers get the same clients, in a separate process on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

from bench.report import print_table
from bench.server import percentile, process_usage
from teleglyph.wire.rooms.messages import JoinRequest

_SIZE = 1024
_SCENARIOS = ((1, 100, 60), (25, 3, 60), (1000, 3, 1))
"""Rooms, guests in each, and messages per second of each host."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def bare_loop(port: int) -> None:
    """The ceiling: aiohttp's own WebSockets and a loop."""
    from aiohttp import WSMsgType, web

    groups: dict[str, list[web.WebSocketResponse]] = defaultdict(list)

    async def handle(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse(compress=False)
        await answer.prepare(request)
        group = groups["first"]
        async for message in answer:
            if message.type is not WSMsgType.BINARY:
                continue
            if answer not in group:
                group = groups[bytes(message.data[5 : message.data.index(0)]).decode("latin-1")]
                group.append(answer)
                await answer.send_bytes(b"\x06" + bytes(12))
                continue
            for other in group:
                if other is not answer:
                    await other.send_bytes(message.data)
        return answer

    app = web.Application()
    app.add_routes([web.get("/rooms", handle)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


async def clients(port: int, rooms: int, guests: int, rate: int, seconds: float) -> None:
    """Run all players, and print their measurements."""
    import aiohttp

    delays: list[float] = []
    counting = False

    async def guest(name: str) -> None:
        async with session.ws_connect(url, max_msg_size=1 << 20) as ws:
            await ws.send_bytes(JoinRequest("bench", name).encode())
            await ws.receive_bytes()
            joined.release()
            async for message in ws:
                if counting and len(message.data) > 100:
                    delays.append(time.perf_counter() - struct.unpack_from("d", message.data, 1)[0])

    async def host(name: str, offset: float) -> None:
        async with session.ws_connect(url, max_msg_size=1 << 20) as ws:
            await ws.send_bytes(JoinRequest("bench", name, create=True).encode())
            await ws.receive_bytes()
            reader = asyncio.create_task(drain(ws))
            tasks = [asyncio.create_task(guest(name)) for _ in range(guests)]
            await start.wait()
            due = time.perf_counter() + offset
            while not stop.is_set():
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                due += 1 / rate
                await ws.send_bytes(b"\x04" + struct.pack("d", time.perf_counter()) + bytes(_SIZE - 9))
            for task in (reader, *tasks):
                task.cancel()

    async def drain(ws: aiohttp.ClientWebSocketResponse) -> None:
        async for _ in ws:
            pass

    url = f"http://127.0.0.1:{port}/rooms"
    joined, start, stop = asyncio.Semaphore(0), asyncio.Event(), asyncio.Event()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        hosts = [asyncio.create_task(host(f"room{number}", number / rooms / rate)) for number in range(rooms)]
        for _ in range(rooms * guests):
            await joined.acquire()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        start.set()
        await asyncio.sleep(1.0)
        counting = True
        await asyncio.sleep(seconds)
        counting = False
        stop.set()
        await asyncio.gather(*hosts, return_exceptions=True)
    delays.sort()
    print(json.dumps({"rate": len(delays) / seconds, "p50": percentile(delays, 0.5), "p99": percentile(delays, 0.99)}))


def start_http(port: int, *options: str) -> subprocess.Popen[str]:
    """A server with these options on an HTTP port, without limits for this machine."""
    process = subprocess.Popen(
        [sys.executable, "-m", "teleglyph", "server", "127.0.0.1", "--port", "0", "--http-port", str(port)]
        + ["--connection-rate", "0", "--connections-per-address", "0", "--address-load", "0", *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if re.search(r"HTTP on port", line):
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process


def start_relay(port: int) -> subprocess.Popen[str]:
    return start_http(port, "--ephemeral", "--game", "bench", "--rooms-per-address", "0")


def start_bare(port: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.rooms", "--bare", str(port)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def start_ws(port: int) -> subprocess.Popen[str]:
    directory = Path(__file__).parent.parent / "build" / "bench"
    if not (directory / "node_modules" / "ws").is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", directory, "ws@8"], check=True)
    script = Path(__file__).with_name("bare_ws.mjs")
    process = subprocess.Popen(["node", script, directory, str(port)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


_STARTERS = {"relay": start_relay, "bare": start_bare, "ws": start_ws}


def measure(kind: str, rooms: int, guests: int, rate: int, seconds: float) -> dict[str, float]:
    port = free_port()
    server = _STARTERS[kind](port)
    _, empty = process_usage(server.pid)
    load = subprocess.Popen(
        [sys.executable, "-m", "bench.rooms", "--clients", str(port), str(rooms), str(guests), str(rate), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert load.stdout is not None
        assert load.stdin is not None
        assert load.stdout.readline().strip() == "ready"
        resident = process_usage(server.pid)[1]
        load.stdin.write("go\n")
        load.stdin.flush()
        time.sleep(1.2)
        before, started = process_usage(server.pid)[0], time.monotonic()
        time.sleep(seconds - 0.5)
        cpu = (process_usage(server.pid)[0] - before) / (time.monotonic() - started)
        result: dict[str, float] = json.loads(load.communicate(timeout=60)[0])
    finally:
        load.kill()
        server.terminate()
        server.wait(10)
    seats = rooms * (guests + 1)
    return {**result, "cpu": cpu, "kib": 1024 * (resident - empty) / seats}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bare", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--clients", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--skip", type=int, default=0, help="skip this many scenarios")
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    if options.bare or options.clients:
        import uvloop

        if options.bare:
            uvloop.run(bare_loop(options.bare))
        else:
            port, rooms, guests, rate, seconds = options.clients
            uvloop.run(clients(int(port), int(rooms), int(guests), int(rate), float(seconds)))
        return
    kinds = ["relay", "bare", *(["ws"] if shutil.which("npm") else [])]
    rows = []
    for rooms, guests, rate in _SCENARIOS[options.skip :]:
        found = {kind: measure(kind, rooms, guests, rate, options.seconds) for kind in kinds}
        for kind, name in (("relay", "relay"), ("bare", "bare aiohttp"), ("ws", "bare npm ws")):
            if kind in found:
                one = found[kind]
                efficiency = (found["relay"]["rate"] / found["relay"]["cpu"]) / (one["rate"] / one["cpu"])
                rows.append(
                    [
                        f"{rooms} x {guests}, {rate}/s",
                        name,
                        f"{one['rate']:.0f}",
                        f"{100 * one['rate'] / (rooms * guests * rate):.1f}",
                        f"{100 * one['cpu']:.1f}",
                        f"{100 * efficiency:.0f} %",
                        f"{1000 * one['p50']:.2f} / {1000 * one['p99']:.2f}",
                        f"{one['kib']:.1f}",
                    ]
                )
    print_table(
        "Rooms: messages of 1 KiB from each host to its guests",
        ["rooms x guests", "server", "delivered/s", "% of all", "CPU %", "relay's messages per CPU second"]
        + ["delay p50/p99 ms", "KiB per seat"],
        rows,
    )


if __name__ == "__main__":
    main()
