"""Measures how many viewers one server can send 60 frames per second, with which latency and cost.

Every synthetic client is a separate process on the same machine, sends noise pictures of 160x90 at 30 per second and
requests 60 frames per second.  Run ``python -m bench.server`` (about five minutes), or ``--quick``.  ``--sound``
compares the same loads with everybody silent and everybody speaking; ``--screens`` compares full frames with deltas.

The last columns compare the server's CPU time with that of a bare event loop, which encrypts and sends the same bytes
at the same rate to as many sockets in the same run.  It is a floor for any server of this kind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import nacl.bindings

from bench.report import print_table
from bench.transports import Way

_TICKS = os.sysconf("SC_CLK_TCK")

CPU_OF_ASCII_CHAT = {(4, "80x24"): 13, (8, "80x24"): 28, (16, "80x24"): 52, (8, "160x48"): 62}
"""Percent of a core that ascii-chat's C server used on such a machine for the same load, all views different."""


def process_usage(pid: int) -> tuple[float, float]:
    """CPU seconds and resident MiB of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    resident = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return (int(fields[11]) + int(fields[12])) / _TICKS, int(resident[1]) / 1024 if resident else 0.0


class ServerProcess:
    """A real server, started from the command line."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "teleglyph", "--log-level", "info", "server", "127.0.0.1", "--port", "0"]
            + [
                "--connection-rate",
                "0",
                "--connections-per-address",
                "0",
                "--address-load",
                "0",
                "--max-load",
                "100",
                "--max-clients",
                "200",
                *(options or ["--no-http", "--ephemeral"]),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"listening on .*:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            sys.exit("The server did not start.")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@dataclass
class Outcome:
    fps_median: float
    fps_worst: float
    jitter: tuple[float, float]
    latency: tuple[float, float]
    cpu_percent: float
    mebibytes_per_client: float
    kilobytes_per_frame: float
    sounds_per_second: float


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


def measure(
    clients: int,
    columns: int,
    rows: int,
    different: bool,
    seconds: float,
    *,
    sound: bool = False,
    screens: bool = False,
    way: Way = Way.ACIP,
) -> Outcome:
    """Run one load against a fresh server."""
    server = ServerProcess()
    time.sleep(0.5)
    _, empty = process_usage(server.process.pid)
    processes = []
    try:
        for index in range(clients):
            size = (columns + index - clients // 2, rows) if different else (columns, rows)
            processes.append(start_client(server.port, index, size, seconds, sound, screens, way))
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                sys.exit("A client could not join.")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        time.sleep(1.5)
        cpu_before, _ = process_usage(server.process.pid)
        started = time.monotonic()
        time.sleep(seconds - 1.0)
        cpu_after, resident = process_usage(server.process.pid)
        elapsed = time.monotonic() - started
        results = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
        server.stop()
    rates = [result["fps"] for result in results]
    gaps = [gap for result in results for gap in result["gaps"]]
    deviations = [abs(gap - 1000 / 60) for gap in gaps]
    latencies = [latency for result in results for latency in result["latencies"]]
    return Outcome(
        fps_median=statistics.median(rates),
        fps_worst=min(rates),
        jitter=(percentile(deviations, 0.5), percentile(deviations, 0.99)),
        latency=(percentile(latencies, 0.5), percentile(latencies, 0.99)),
        cpu_percent=100 * (cpu_after - cpu_before) / elapsed,
        mebibytes_per_client=(resident - empty) / clients,
        kilobytes_per_frame=statistics.mean(result["kilobytes_per_frame"] for result in results),
        sounds_per_second=min(result["sounds"] for result in results) / seconds,
    )


def start_client(
    port: int,
    index: int,
    size: tuple[int, int],
    seconds: float,
    sound: bool,
    screens: bool,
    way: Way = Way.ACIP,
    password: str | None = None,
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.load_client", "--port", str(port), "--index", str(index)]
        + ["--columns", str(size[0]), "--rows", str(size[1]), "--seconds", str(seconds)]
        + ["--way", way.name]
        + (["--password", password] if password else [])
        + ["--sound"] * sound
        + ["--screens"] * screens,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def floor_percent(clients: int, frame_bytes: int, seconds: float) -> float:
    """CPU of a bare loop that seals ``frame_bytes`` and sends them 60 times per second to each of ``clients``."""
    reader_code = (
        "import socket, sys\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "print(listener.getsockname()[1], flush=True)\n"
        "import selectors\n"
        "selector = selectors.DefaultSelector()\n"
        f"for _ in range({clients}):\n"
        "    selector.register(listener.accept()[0], selectors.EVENT_READ)\n"
        "while selector.get_map():\n"
        "    for key, _ in selector.select():\n"
        "        if not key.fileobj.recv(1 << 19):\n"
        "            selector.unregister(key.fileobj)\n"
    )
    with subprocess.Popen([sys.executable, "-c", reader_code], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        port = int(reader.stdout.readline())
        used = asyncio.run(_send_floor(port, clients, frame_bytes, seconds))
    return 100 * used / seconds


async def _send_floor(port: int, clients: int, frame_bytes: int, seconds: float) -> float:
    writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(clients)]
    plain, key = os.urandom(frame_bytes), os.urandom(32)
    started, cpu = time.monotonic(), time.process_time()
    for tick in range(int(60 * seconds)):
        await asyncio.sleep(max(0.0, started + tick / 60 - time.monotonic()))
        nonce = tick.to_bytes(24, "big")
        for writer in writers:
            writer.write(nacl.bindings.crypto_secretbox_easy(plain, nonce, key))
    used = time.process_time() - cpu
    for writer in writers:
        writer.close()
    return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small loads, a few seconds each")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--clients", type=int, nargs="*", default=[2, 8, 16, 32])
    parser.add_argument("--sound", action="store_true", help="compare silence with everybody speaking")
    parser.add_argument("--screens", action="store_true", help="compare text with screens")
    options = parser.parse_args()
    if options.screens:
        screens_table(options.clients, options.seconds)
        return
    if options.sound:
        sound_table(options.clients, options.seconds)
        return
    sizes = [(80, 24)] if options.quick else [(80, 24), (160, 48)]
    counts = [2, 8] if options.quick else options.clients
    seconds = 4.0 if options.quick else options.seconds
    rows = []
    for columns, lines in sizes:
        for different in (True, False):
            for clients in counts:
                outcome = measure(clients, columns, lines, different, seconds)
                floor = floor_percent(clients, int(1000 * outcome.kilobytes_per_frame), 2.0)
                rows.append(_row(clients, f"{columns}x{lines}", different, outcome, floor))
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print_table(
        "Server: noise 160x90 at 30/s in, 60/s requested",
        ["clients", "terminal", "views", "fps", "worst", "jitter p50/p99 ms", "latency p50/p99 ms"]
        + ["CPU %", "CPU % each", "MiB each", "KB/frame", "x floor", "x ascii-chat C"],
        rows,
    )


def sound_table(counts: list[int], seconds: float) -> None:
    """Measure the cost of speaking: each load silent, speaking, and silent again."""
    rows = []
    for clients in counts:
        silent, speaking, again = (
            measure(clients, 80, 24, True, seconds, sound=sound) for sound in (False, True, False)
        )
        quiet = (silent.fps_median + again.fps_median) / 2
        cpu = (silent.cpu_percent + again.cpu_percent) / 2
        rows.append(
            [
                str(clients),
                f"{quiet:.1f} / {min(silent.fps_worst, again.fps_worst):.1f}",
                f"{speaking.fps_median:.1f} / {speaking.fps_worst:.1f}",
                f"{100 * (speaking.fps_median / quiet - 1):+.1f}",
                f"{silent.latency[0]:.1f} / {silent.latency[1]:.1f}",
                f"{speaking.latency[0]:.1f} / {speaking.latency[1]:.1f}",
                f"{cpu:.1f}",
                f"{speaking.cpu_percent:.1f}",
                f"{speaking.sounds_per_second:.1f}",
            ]
        )
    print_table(
        "Server with 80x24 terminals, all different: silent, and everybody speaking (fps median / worst)",
        ["clients", "silent fps", "speaking fps", "change %", "silent latency ms", "speaking latency ms"]
        + ["silent CPU %", "speaking CPU %", "sound packets/s"],
        rows,
    )


def screens_table(counts: list[int], seconds: float) -> None:
    """The same loads, sending full frames and deltas."""
    rows = []
    for columns, lines in [(80, 24), (160, 48)]:
        for clients in counts:
            for screens in (False, True):
                outcome = measure(clients, columns, lines, True, seconds, screens=screens)
                rows.append(
                    [
                        f"{clients} of {columns}x{lines}",
                        "deltas" if screens else "frames",
                        f"{outcome.fps_median:.1f} / {outcome.fps_worst:.1f}",
                        f"{outcome.latency[0]:.1f} / {outcome.latency[1]:.1f}",
                        f"{outcome.cpu_percent:.1f}",
                        f"{outcome.mebibytes_per_client:.2f}",
                        f"{outcome.kilobytes_per_frame:.1f}",
                    ]
                )
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print_table(
        "Server: noise 160x90 at 30/s in, 60/s requested, all views different; full frames and deltas",
        ["clients", "sent as", "fps median / worst", "latency p50/p99 ms", "CPU %", "MiB each", "KB/frame"],
        rows,
    )


def _row(clients: int, size: str, different: bool, outcome: Outcome, floor: float) -> list[str]:
    rival = CPU_OF_ASCII_CHAT.get((clients, size)) if different else None
    return [
        str(clients),
        size,
        "different" if different else "equal",
        f"{outcome.fps_median:.1f}",
        f"{outcome.fps_worst:.1f}",
        f"{outcome.jitter[0]:.1f} / {outcome.jitter[1]:.1f}",
        f"{outcome.latency[0]:.1f} / {outcome.latency[1]:.1f}",
        f"{outcome.cpu_percent:.1f}",
        f"{outcome.cpu_percent / clients:.2f}",
        f"{outcome.mebibytes_per_client:.2f}",
        f"{outcome.kilobytes_per_frame:.1f}",
        f"{outcome.cpu_percent / floor:.2f}",
        f"{outcome.cpu_percent / rival:.2f}" if rival else "",
    ]


if __name__ == "__main__":
    main()
