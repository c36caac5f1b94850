"""Measures how hostile peers affect well-behaved ones.

Four participants speak and send 30 pictures per second, a client uses the relay, and a host plays with a guest.  Each
attack of :mod:`bench.hostile_peer` runs at the same time in a process, from another address.  The server has its
default limits.  The baseline is the same load without the attack, just before.  Run ``python -m bench.hostile`` (about
ten minutes), or name attacks.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

from bench.hostile_peer import ATTACKS, WITH_PASSWORD
from bench.report import print_table
from bench.server import ServerProcess, process_usage, start_client

_PEOPLE = 4
_PASSWORD = "for the people"  # noqa: S105


class Measured(NamedTuple):
    """The service that four participants, a client of the relay and a room got.

    Attributes:
        frames, sounds: per second, for the worst of the four.
        stored, answered, passed_on: 99th percentiles in milliseconds until an event is acknowledged, a query is
            answered, and a room forwards a message.
        peak: MiB of the server.
        starved: percent of the time in which the server's first thread waited for a processor.  If other programs take
            it, frames are late without any attack.
    """

    frames: float
    sounds: float
    stored: float
    answered: float
    passed_on: float
    peak: float
    starved: float


def four(
    server: ServerProcess, http_port: int, seconds: float, attack: str | None, password: str | None = None
) -> Measured:
    """Run the load, with or without an attack."""
    port = server.port
    people = [start_client(port, index, (80, 24), seconds, True, False, password=password) for index in range(_PEOPLE)]
    people.append(
        subprocess.Popen(
            [sys.executable, "-m", "bench.bystanders", "--port", str(http_port), "--seconds", str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    attacker: subprocess.Popen[bytes] | None = None
    peak, done = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, process_usage(server.process.pid)[1])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for person in people:
            assert person.stdout is not None
            assert person.stdout.readline().strip() == "ready"
        if attack:
            attacker = subprocess.Popen(
                [sys.executable, "-m", "bench.hostile_peer", attack, "--port", str(port)]
                + ["--seconds", str(seconds + 2)]
            )
            time.sleep(0.5)
        for person in people:
            assert person.stdin is not None
            person.stdin.write("go\n")
            person.stdin.flush()
        began, waited = time.monotonic(), seconds_without_processor(server)
        *results, waits = [json.loads(person.communicate(timeout=90)[0]) for person in people]
        starved = 100 * (seconds_without_processor(server) - waited) / (time.monotonic() - began)
        if attacker is not None and attacker.wait(15) != 0:
            sys.exit(f"The attack '{attack}' failed.")
    finally:
        done.set()
        watcher.join()
        started: list[subprocess.Popen[Any]] = [*people, *([attacker] if attacker else [])]
        for process in started:
            process.kill()
            process.wait()
    return Measured(
        min(result["fps"] for result in results),
        min(result["sounds"] for result in results) / seconds,
        waits["OK"],
        waits["EOSE"],
        waits["room"],
        peak,
        starved,
    )


def seconds_without_processor(server: ServerProcess) -> float:
    """How long the server's first thread has waited for a processor so far."""
    return int(Path(f"/proc/{server.process.pid}/schedstat").read_text().split()[1]) / 1e9


def state(server: ServerProcess, http_port: int) -> tuple[float, int, int]:
    """MiB, tasks and descriptors of a server."""
    with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/statistics", timeout=10) as answer:
        tasks = json.load(answer)["tasks"]
    time.sleep(0.5)
    descriptors = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
    return process_usage(server.process.pid)[1], tasks, descriptors


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def measure(attack: str, seconds: float) -> list[str]:
    http_port = free_port()
    password = _PASSWORD if attack in WITH_PASSWORD else None
    directory = tempfile.TemporaryDirectory()
    server = ServerProcess(
        *(
            "--http-port",
            str(http_port),
            "--events",
            "--game",
            "bench",
            "--data-dir",
            directory.name,
            "--address-load",
            "40",
        ),
        *("--connection-rate", "50", "--connections-per-address", "40"),
        *(("--password", password) if password else ()),
    )
    try:
        four(server, http_port, 2.0, None, password)
        usual = four(server, http_port, seconds, None, password)
        time.sleep(2)
        before = state(server, http_port)
        attacked = four(server, http_port, seconds, attack, password)
        deadline = time.monotonic() + 30
        while (after := state(server, http_port))[1:] != before[1:] and time.monotonic() < deadline:
            pass
    finally:
        server.stop()
        directory.cleanup()
    return [
        attack,
        f"{100 * attacked.frames / usual.frames:.1f}",
        f"{100 * attacked.sounds / usual.sounds:.1f}",
        f"{usual.stored:.0f} / {attacked.stored:.0f}",
        f"{usual.answered:.0f} / {attacked.answered:.0f}",
        f"{usual.passed_on:.0f} / {attacked.passed_on:.0f}",
        f"{usual.starved:.0f} / {attacked.starved:.0f}",
        f"{before[0]:.0f} / {attacked.peak:.0f} / {after[0]:.0f}",
        f"{after[1] - before[1]:+d}",
        f"{after[2] - before[2]:+d}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    rows = []
    for attack in options.attacks or ATTACKS:
        rows.append(measure(attack, options.seconds))
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print_table(
        "The worst of four participants in percent of before; p99 in ms, and MiB, before / during (/ after)",
        ["attack", "frames %", "sound %", "event stored", "REQ", "room", "starved %", "MiB", "tasks", "descriptors"],
        rows,
    )


if __name__ == "__main__":
    main()
