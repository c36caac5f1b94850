"""What hostile peers take from four well-behaved participants.

Four participants speak and send 30 pictures a second; each attack of :mod:`bench.hostile_peer` runs beside them as a
process of its own, from an address of its own.  The server has its default limits.  The same four without the attack,
just before, are the baseline.  Run ``python -m bench.hostile`` (about
three minutes), or name attacks.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from bench.hostile_peer import ATTACKS
from bench.report import print_table
from bench.server import ServerProcess, process_usage, start_client

_PEOPLE = 4


def four(port: int, seconds: float, attack: str | None) -> tuple[float, float]:
    """The worst frame rate and the worst rate of sound packets among the four."""
    people = [start_client(port, index, (80, 24), seconds, True, False) for index in range(_PEOPLE)]
    attacker = None
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
        results = [json.loads(person.communicate(timeout=60)[0]) for person in people]
        if attacker is not None and attacker.wait(10) != 0:
            sys.exit(f"the attack '{attack}' broke down")
    finally:
        for process in [*people, *([attacker] if attacker else [])]:
            process.kill()
            process.wait()
    return min(result["fps"] for result in results), min(result["sounds"] for result in results) / seconds


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
    directory = tempfile.TemporaryDirectory()
    server = ServerProcess(
        *("--http-port", str(http_port), "--events", "--data-dir", directory.name, "--address-load", "40"),
        *("--connection-rate", "50", "--connections-per-address", "40"),
    )
    try:
        four(server.port, 2.0, None)
        frames, sounds = four(server.port, seconds, None)
        time.sleep(2)
        before = state(server, http_port)
        attacked_frames, attacked_sounds = four(server.port, seconds, attack)
        deadline = time.monotonic() + 15
        while (after := state(server, http_port))[1:] != before[1:] and time.monotonic() < deadline:
            pass
    finally:
        server.stop()
        directory.cleanup()
    return [
        attack,
        f"{100 * attacked_frames / frames:.1f}",
        f"{100 * attacked_sounds / sounds:.1f}",
        f"{after[0] - before[0]:+.1f}",
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
        "Four participants during an attack, in percent of what they had before (the worst of the four)",
        ["attack", "frames %", "sound packets %", "MiB after", "tasks after", "descriptors after"],
        rows,
    )


if __name__ == "__main__":
    main()
