"""What passing on costs: one host to many guests, and many small rooms, beside a bare aiohttp loop that does the same.

Every host sends 60 messages of 1 KiB a second, which reach all of its guests.  Run ``python -m bench.rooms``.  The bare
loop knows neither rooms nor seats nor limits: whatever one socket sends it sends to all others of its group.  Clients
are the same for both, in a process of their own on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import defaultdict

from bench.report import print_table
from bench.server import percentile, process_usage
from teleglyph.wire.rooms import JoinRequest

_RATE, _SIZE = 60, 1024


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


async def clients(port: int, rooms: int, guests: int, seconds: float) -> None:
    """All players; prints what they measured."""
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
                due += 1 / _RATE
                await ws.send_bytes(b"\x04" + struct.pack("d", time.perf_counter()) + bytes(_SIZE - 9))
            for task in (reader, *tasks):
                task.cancel()

    async def drain(ws: aiohttp.ClientWebSocketResponse) -> None:
        async for _ in ws:
            pass

    url = f"http://127.0.0.1:{port}/rooms"
    joined, start, stop = asyncio.Semaphore(0), asyncio.Event(), asyncio.Event()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        hosts = [asyncio.create_task(host(f"room{number}", number / rooms / _RATE)) for number in range(rooms)]
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


def start_relay(port: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "teleglyph", "server", "127.0.0.1", "--port", "0", "--http-port", str(port)]
        + ["--game", "bench", "--connection-rate", "0", "--connections-per-address", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if re.search(r"HTTP on port", line):
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process


def start_bare(port: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.rooms", "--bare", str(port)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def measure(kind: str, rooms: int, guests: int, seconds: float) -> dict[str, float]:
    port = free_port()
    server = start_relay(port) if kind == "relay" else start_bare(port)
    _, empty = process_usage(server.pid)
    load = subprocess.Popen(
        [sys.executable, "-m", "bench.rooms", "--clients", str(port), str(rooms), str(guests), str(seconds)],
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
    parser.add_argument("--clients", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    if options.bare or options.clients:
        import uvloop

        if options.bare:
            uvloop.run(bare_loop(options.bare))
        else:
            port, rooms, guests, seconds = options.clients
            uvloop.run(clients(int(port), int(rooms), int(guests), float(seconds)))
        return
    rows = []
    for rooms, guests in ((1, 100), (25, 3), (1, 20)):
        relay, bare = (measure(kind, rooms, guests, options.seconds) for kind in ("relay", "bare"))
        efficiency = (relay["rate"] / relay["cpu"]) / (bare["rate"] / bare["cpu"])
        rows.append(
            [
                f"{rooms} x {guests}",
                f"{relay['rate']:.0f}",
                f"{100 * relay['rate'] / (rooms * guests * _RATE):.1f}",
                f"{100 * relay['cpu']:.1f} / {100 * bare['cpu']:.1f}",
                f"{100 * efficiency:.0f}",
                f"{1000 * relay['p50']:.2f} / {1000 * relay['p99']:.2f}",
                f"{1000 * bare['p50']:.2f} / {1000 * bare['p99']:.2f}",
                f"{relay['kib']:.1f} / {bare['kib']:.1f}",
            ]
        )
    print_table(
        "Rooms: 60 messages of 1 KiB a second from each host (relay / bare aiohttp loop)",
        ["rooms x guests", "delivered/s", "% of all", "CPU %", "messages per CPU second, % of bare"]
        + ["delay p50/p99 ms", "bare p50/p99 ms", "KiB a seat"],
        rows,
    )


if __name__ == "__main__":
    main()
