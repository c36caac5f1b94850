"""Checks that a server leaks no memory, tasks or descriptors in an hour of ordinary use with some attacks.

Sixteen participants send pictures and sound, leave after a while and return; a client uses the relay, a host plays with
a guest, and three times per minute an attack of :mod:`bench.hostile_peer` runs for three seconds.  Run ``python -m
bench.soak``, or with fewer ``--minutes``.  The exit code is 1 if memory grows by more than 5 % after the first sixth of
the time, or if tasks or descriptors are left over.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import websockets

from bench.hostile import free_port, state
from bench.hostile_peer import ATTACKS, Peer
from bench.server import ServerProcess, process_usage
from teleglyph.errors import PeerError
from teleglyph.media.opus import SAMPLE_RATE, OpusEncoder
from teleglyph.wire.acip import ImageFrame, OpusBatch, encode

_PEOPLE = 16
_LIGHT = [name for name in ATTACKS if "four" not in name and "20" not in name]
_DECODERS = 2
"""Processes that stay once started: one for everybody, one for costly senders."""
_ATTACK_SECONDS = 6
"""An attack of three seconds, with the start and the end of its process."""
_MAX_GROWTH = 0.05


def start_decoders(server: ServerProcess) -> None:
    """Make the server start its decoding processes, so that their descriptors count from the beginning."""
    attack = [sys.executable, "-m", "bench.hostile_peer", "four senders of large films", "--port", str(server.port)]
    with subprocess.Popen([*attack, "--seconds", "60"]) as films:
        while films.poll() is None and len(children(server.process.pid)) < _DECODERS:
            time.sleep(0.5)
        films.terminate()


def start_readers(http_port: int) -> None:
    """Make the server open all its connections to the database, which it does when queries come at once."""

    async def query() -> None:
        async with websockets.connect(f"ws://127.0.0.1:{http_port}/events") as relay:
            for number in range(10):
                await relay.send(json.dumps(["REQ", f"{number}", {"kinds": [1]}]))
                while json.loads(await relay.recv())[0] != "EOSE":
                    pass

    async def run() -> None:
        await asyncio.gather(*(query() for _ in range(20)))

    asyncio.run(run())


def children(pid: int) -> list[str]:
    """The processes that a process has started."""
    return [one for path in Path(f"/proc/{pid}/task").glob("*/children") for one in path.read_text().split()]


def take_part(port: int, number: int, until: float) -> None:
    """Run one participant, which joins and leaves repeatedly."""
    chance = random.Random(number)
    sound = encode(OpusBatch(SAMPLE_RATE, 20, (OpusEncoder().encode(np.zeros(960, np.float32)),)))
    while time.monotonic() < until:
        with contextlib.suppress(OSError, PeerError):
            peer = Peer(port, "127.0.0.1")
            leaves = min(until, time.monotonic() + chance.uniform(10, 60))
            while time.monotonic() < leaves:
                shade = chance.randrange(256)
                peer.send(encode(ImageFrame(32, 24, bytes([shade, 255 - shade, number * 9]) * (32 * 24))), sound)
                time.sleep(0.2)
            peer.socket.close()
        time.sleep(chance.uniform(0.5, 5))


def trouble(port: int, until: float) -> None:
    """Run the attacks in turn, so that each has happened once when the first sixth of an hour is over."""
    attacks = itertools.cycle(_LIGHT)
    pause = 600 / len(_LIGHT) - _ATTACK_SECONDS
    while (left := until - time.monotonic()) > 15:
        time.sleep(min(pause, left - 12))
        subprocess.run(
            [sys.executable, "-m", "bench.hostile_peer", next(attacks), "--port", str(port), "--seconds", "3"],
            check=False,
            timeout=60,
        )


def bystanders(http_port: int, seconds: float) -> subprocess.Popen[str]:
    """Run a client of the relay, and a room."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bystanders", "--port", str(http_port), "--seconds", str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    process.stdin.write("go\n")
    process.stdin.flush()
    return process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    http_port, directory = free_port(), tempfile.TemporaryDirectory()
    server = ServerProcess(
        *("--http-port", str(http_port), "--events", "--game", "bench", "--data-dir", directory.name),
        *("--address-load", "40", "--connection-rate", "200", "--connections-per-address", "40"),
    )
    seconds = options.minutes * 60
    try:
        start_decoders(server)
        start_readers(http_port)
        time.sleep(5)
        before = state(server, http_port)
        began = time.monotonic()
        until = began + seconds
        others = bystanders(http_port, seconds - 5)
        threads = [
            threading.Thread(target=take_part, args=(server.port, number, until), daemon=True)
            for number in range(_PEOPLE)
        ]
        threads.append(threading.Thread(target=trouble, args=(server.port, until), daemon=True))
        for thread in threads:
            thread.start()
        samples: list[tuple[float, float]] = []
        """The part of the time that has passed, and MiB."""
        while time.monotonic() < until:
            time.sleep(5)
            samples.append(((time.monotonic() - began) / seconds, process_usage(server.process.pid)[1]))
            if len(samples) % 60 == 0:
                print(f"{(time.monotonic() - began) / 60:.0f} min: {samples[-1][1]:.1f} MiB", flush=True)
        is_answered = True
        try:
            print("bystanders:", others.communicate(timeout=60)[0].strip())
        except subprocess.TimeoutExpired:
            others.kill()
            others.communicate()
            is_answered = False
            print("bystanders: no answer within 60 s")
        for thread in threads:
            thread.join(90)
        deadline = time.monotonic() + 60
        while (after := state(server, http_port))[1:] != before[1:] and time.monotonic() < deadline:
            time.sleep(1)
    finally:
        server.stop()
        directory.cleanup()
    first = statistics.fmean(size for part, size in samples if 1 / 6 < part < 1 / 3)
    last = statistics.fmean(size for part, size in samples if part > 5 / 6)
    print(f"memory: {before[0]:.0f} MiB at the start, {first:.1f} early, {last:.1f} late ({last / first - 1:+.1%})")
    print(f"tasks: {before[1]} before, {after[1]} after; descriptors: {before[2]} before, {after[2]} after")
    sys.exit(int(not is_answered or last / first - 1 > _MAX_GROWTH or after[1:] != before[1:]))


if __name__ == "__main__":
    main()
