"""Compares a data channel with a TCP connection: processor time, delay, and frames that arrive when packets are lost.

A host and a joiner run in network namespaces of their own, with a link between them that drops packets of either
protocol alike (nftables) and delays them (netem, if the kernel has it).  Needs root.

    python -m bench.data_channel --seconds 10
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import uvloop

FRAME, RATE = 20_000, 60
BULK = 10_000_000
LOSSES = (0, 1, 3)
DELAY_MS = 10
ADDRESSES = {"host": "10.213.7.1", "joiner": "10.213.7.2"}
_STAMP = struct.Struct("<d")


# --- one side, in its namespace ---------------------------------------------------------------------------


def say(**values: Any) -> None:
    """Tell the parent something."""
    print(json.dumps(values), flush=True)


async def heard() -> dict[str, Any]:
    """What the parent says."""
    line: dict[str, Any] = json.loads(await asyncio.to_thread(sys.stdin.readline))
    return line


async def connected(role: str, way: str) -> socket.socket:
    """The socket of one side."""
    loop = asyncio.get_running_loop()
    if way == "tcp":
        with socket.socket() as listener:
            if role == "host":
                listener.bind((ADDRESSES["host"], 0))
                listener.listen()
                listener.setblocking(False)
                say(text=str(listener.getsockname()[1]))
                sock, _ = await loop.sock_accept(listener)
            else:
                sock = socket.socket()
                sock.setblocking(False)
                await loop.sock_connect(sock, (ADDRESSES["host"], int((await heard())["text"])))
        # As net.tcp does.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 512 << 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 128 << 10)
        return sock
    from teleglyph.net.data_channel import DataChannelAnswer, DataChannelOffer

    if role == "host":
        answer = DataChannelAnswer()
        say(text=await answer.create((await heard())["text"]))
        sock, _ = await answer.open(60)
        return sock
    offer = DataChannelOffer()
    say(text=await offer.create())
    await offer.accept((await heard())["text"])
    return await offer.open(60)


async def host(sock: socket.socket, seconds: float) -> None:
    """Send a bulk of bytes, then frames; a frame that is due while the last one is still leaving is skipped."""
    loop = asyncio.get_running_loop()
    cpu = time.process_time()
    await loop.sock_sendall(sock, bytes(BULK))
    await loop.sock_recv(sock, 1)  # it has arrived
    bulk = time.process_time() - cpu
    cpu, start = time.process_time(), time.monotonic()
    sending: asyncio.Task[None] | None = None
    for number in range(int(seconds * RATE)):
        await asyncio.sleep(max(0.0, start + number / RATE - time.monotonic()))
        if sending is None or sending.done():
            frame = _STAMP.pack(time.monotonic()) + bytes(FRAME - _STAMP.size)
            sending = asyncio.create_task(loop.sock_sendall(sock, frame))
    if sending is not None:
        await sending
    sock.shutdown(socket.SHUT_WR)
    frames = time.process_time() - cpu
    while await loop.sock_recv(sock, 1):
        pass
    say(bulk=bulk, frames=frames)


async def joiner(sock: socket.socket, seconds: float) -> None:
    """Receive what the host sends."""
    loop = asyncio.get_running_loop()
    cpu, size = time.process_time(), BULK
    while size:
        size -= len(await loop.sock_recv(sock, min(size, 65536)))
    await loop.sock_sendall(sock, b"x")
    bulk = time.process_time() - cpu
    cpu, delays, data = time.process_time(), list[float](), bytearray()
    while part := await loop.sock_recv(sock, 65536):
        data += part
        while len(data) >= FRAME:
            delays.append(time.monotonic() - _STAMP.unpack_from(data)[0])
            del data[:FRAME]
    frames = time.process_time() - cpu
    say(bulk=bulk, frames=frames, delays=delays)


async def side(role: str, way: str, seconds: float) -> None:
    with await connected(role, way) as sock:
        await (host if role == "host" else joiner)(sock, seconds)
    await asyncio.sleep(0.5)  # a channel says goodbye


# --- the parent -------------------------------------------------------------------------------------------


def sh(*words: str, check: bool = True) -> bool:
    return subprocess.run(words, check=check, capture_output=not check).returncode == 0


@contextlib.contextmanager
def link(loss: int) -> Iterator[tuple[dict[str, str], bool]]:
    """Two namespaces with a link that loses packets in both directions; yields their names and whether it delays."""
    names = {role: f"bench-{role}-{os.getpid()}" for role in ADDRESSES}
    delays = True
    try:
        for name in names.values():
            sh("ip", "netns", "add", name)
        sh(
            "ip",
            "link",
            "add",
            "eth0",
            "netns",
            names["host"],
            "type",
            "veth",
            "peer",
            "eth0",
            "netns",
            names["joiner"],
        )
        for role, name in names.items():
            inside = ("ip", "netns", "exec", name)
            sh(*inside, "ip", "address", "add", f"{ADDRESSES[role]}/24", "dev", "eth0")
            sh(*inside, "ip", "link", "set", "eth0", "up")
            sh(*inside, "ip", "link", "set", "lo", "up")
            # TCP would hand over dozens of packets as one, which would be lost or arrive together.
            sh(*inside, "ip", "link", "set", "eth0", "gso_max_segs", "1")
            delays &= sh(
                *inside, "tc", "qdisc", "add", "dev", "eth0", "root", "netem", "delay", f"{DELAY_MS}ms", check=False
            )
            if loss:
                rule = f"iif eth0 numgen random mod 100 < {loss} drop"
                chain = f"table inet lossy {{\nchain input {{\ntype filter hook input priority 0\n{rule}\n}}\n}}\n"
                subprocess.run([*inside, "nft", "-f", "-"], input=chain, text=True, check=True)
        yield names, delays
    finally:
        for name in names.values():
            sh("ip", "netns", "delete", name, check=False)


def measure(way: str, loss: int, seconds: float) -> tuple[dict[str, Any], bool]:
    with link(loss) as (names, delays):
        processes = {
            role: subprocess.Popen(
                ["ip", "netns", "exec", name, sys.executable, "-m", "bench.data_channel", "--role", role, "--way", way]
                + ["--seconds", str(seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for role, name in names.items()
        }
        try:
            order = ("joiner", "host") if way == "channel" else ("host",)
            for role in order:
                line = _read(processes[role])
                _write(processes["host" if role == "joiner" else "joiner"], line)
            found = {role: json.loads(_read(process)) for role, process in processes.items()}
        finally:
            for process in processes.values():
                process.kill()
                process.communicate()
    arrived = sorted(found["joiner"]["delays"])
    return {
        "ms per MB": 1000 * sum(found[role]["bulk"] for role in found) / (BULK / 1e6),
        "% of a core": 100 * sum(found[role]["frames"] for role in found) / seconds,
        "frames/s": len(arrived) / seconds,
        "p50 ms": 1000 * statistics.median(arrived),
        "p99 ms": 1000 * arrived[int(len(arrived) * 0.99)],
    }, delays


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _write(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of frames, for each row")
    parser.add_argument("--role", choices=list(ADDRESSES), help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=["tcp", "channel"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        uvloop.run(side(options.role, options.way, options.seconds))
        return
    if os.geteuid() != 0:
        sys.exit("Only root can make network namespaces. Run this as root.")
    print(f"{FRAME} bytes, {RATE} times a second; processor time of both sides together")
    for loss in LOSSES:
        for way in ("tcp", "channel"):
            row, delays = measure(way, loss, options.seconds)
            values = "  ".join(f"{name} {value:.1f}" for name, value in row.items())
            note = "" if delays else "  (without delay: this kernel has no netem)"
            print(f"{loss} % lost, {way:7}  {values}{note}", flush=True)


if __name__ == "__main__":
    main()
