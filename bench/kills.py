"""Does an acknowledged event survive?  While events stream in, the server is killed, and every other time PostgreSQL.

Run ``python -m bench.kills`` for twenty rounds with SQLite and twenty with PostgreSQL, or fewer ``--rounds``.  The exit
code is 1 if an event is missing that was acknowledged.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from bench.hostile import free_port
from bench.report import print_table
from bench.server import ServerProcess
from teleglyph.wire.nostr import sign_event

_PAGE = 200


def publish(port: int, key: bytes, first: int, acknowledged: set[str], count: int) -> None:
    """Stream events until the connection breaks; notes those that the relay says are stored."""
    with contextlib.suppress(OSError, WebSocketException), connect(f"ws://127.0.0.1:{port}/", compression=None) as peer:

        def listen() -> None:
            with contextlib.suppress(OSError, WebSocketException):
                while True:
                    verb, *rest = json.loads(peer.recv())
                    if verb == "OK" and rest[1]:
                        acknowledged.add(rest[0])

        threading.Thread(target=listen, daemon=True).start()
        for number in range(first, first + count):
            event = sign_event(key, int(time.time()), 1, (), f"event {number}")
            peer.send('["EVENT",' + event.text.decode() + "]")


def stored(port: int, ids: list[str]) -> set[str]:
    """Which of some events the relay has."""
    found: set[str] = set()
    with connect(f"ws://127.0.0.1:{port}/", compression=None, max_size=None) as peer:
        for start in range(0, len(ids), _PAGE):
            peer.send(json.dumps(["REQ", "q", {"ids": ids[start : start + _PAGE], "limit": _PAGE}]))
            while (message := json.loads(peer.recv(60)))[0] != "EOSE":
                if message[0] == "EVENT":
                    found.add(message[2]["id"])
    return found


def kill_database(directory: str) -> None:
    """End all processes of a PostgreSQL server's clients, so that it recovers as after a crash."""
    main = int((Path(directory) / "data" / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    for child in children:
        name = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace")
        if "teleglyph postgres" in name:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)


def rounds(count: int, directory: str, database: str | None) -> tuple[int, int]:
    """Acknowledged events, and how many of them are missing after the last round."""
    chance, key = random.Random(1), secrets.token_bytes(32)
    acknowledged: set[str] = set()
    for number in range(count):
        port = free_port()
        place = ["--database", database] if database else []
        server = ServerProcess(
            "--http-port", str(port), "--events", "--event-rate", "0", "--data-dir", directory, *place
        )
        writer = threading.Thread(target=publish, args=(port, key, number * 100_000, acknowledged, 20_000))
        writer.start()
        time.sleep(chance.uniform(0.3, 1.5))
        if database and number % 2:
            kill_database(directory + "-postgresql")
            time.sleep(chance.uniform(0.0, 0.5))
        server.process.kill()
        server.process.wait()
        writer.join()
    port = free_port()
    server = ServerProcess("--http-port", str(port), "--events", "--data-dir", directory, *place)
    try:
        missing = acknowledged - stored(port, sorted(acknowledged))
    finally:
        server.stop()
    return len(acknowledged), len(missing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    script = Path(__file__).parent.parent / "scripts" / "postgresql"
    rows, missing = [], 0
    for kind in ("SQLite", "PostgreSQL"):
        directory = tempfile.mkdtemp(prefix="teleglyph-kills-")
        database = None
        try:
            if kind == "PostgreSQL":
                started = subprocess.run([script, "start", directory + "-postgresql"], check=True, capture_output=True)
                database = started.stdout.decode().strip()
            kept, lost = rounds(options.rounds, directory, database)
        finally:
            if kind == "PostgreSQL":
                subprocess.run([script, "stop", directory + "-postgresql"], check=False)
                shutil.rmtree(directory + "-postgresql", ignore_errors=True)
            shutil.rmtree(directory, ignore_errors=True)
        missing += lost
        rows.append([kind, str(options.rounds), str(kept), str(lost)])
    print_table("Events that were acknowledged before a kill", ["database", "kills", "acknowledged", "missing"], rows)
    sys.exit(int(missing > 0))


if __name__ == "__main__":
    main()
