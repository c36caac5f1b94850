"""Compares the ways into a call: ACIP ("v1"), link 2, and v1 over WebSocket.

Measures, each against v1 in the same run and in turns:

- the time from connecting to the first picture, with and without a password;
- the server's CPU for each frame, with 16 different viewers, of frames and of screens;
- the cost of looking at a connection's first bytes, beside a bare server that does not;
- the time that a password exchange takes from the event loop, and what a viewer sees of it.

Run ``python -m bench.link`` (about fifteen minutes), or name parts.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from bench.report import print_table
from bench.server import ServerProcess, measure, percentile
from bench.transports import NotServedError, Way, open_session, shake_hands
from teleglyph.net.first_bytes import FirstProtocol
from teleglyph.net.forwarding import Client
from teleglyph.net.listener import Entry, Listener, TlsOffer
from teleglyph.wire.acip import (
    AsciiFrame,
    Capabilities,
    Feature,
    ImageFrame,
    ScreenUpdate,
    ViewFlag,
    ViewSettings,
    derive_password_key,
    encode,
)
from teleglyph.wire.link2 import Channel
from teleglyph.wire.link2.password import PasswordExchange, prepare

_PASSWORD = "sixteen viewers"  # noqa: S105
_REQUEST = b"\x00" * 32


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, and the quartiles around it."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratios(values: Sequence[float], base: Sequence[float]) -> str:
    """The spread of the ratios of neighbours, which were measured one right after the other."""
    return spread([one / other for one, other in zip(values, base, strict=True)], 2)


# --- joining ----------------------------------------------------------------------------------------------------------


class Sender:
    """A participant with a still picture."""

    def __init__(self, port: int, password_key: bytes | None) -> None:
        self._stream, session = open_session(Way.ACIP, socket.create_connection(("127.0.0.1", port)), password_key)
        shake_hands(self._stream, session)
        picture = encode(ImageFrame(32, 18, secrets.token_bytes(32 * 18 * 3)))
        for packet in (encode(Capabilities(20, 10, desired_fps=1)), picture):
            self._stream.sendall(session.seal(packet))
        self._session, self._picture = session, picture
        threading.Thread(target=self._drain, daemon=True).start()
        threading.Thread(target=self._repeat, daemon=True).start()

    def _drain(self) -> None:
        while self._stream.recv(1 << 16):
            pass

    def _repeat(self) -> None:
        while True:
            time.sleep(1.0)
            try:
                self._stream.sendall(self._session.seal(self._picture))
            except OSError:
                return


def join(way: Way, port: int, password_key: bytes | None) -> float:
    """Seconds from connecting to the first picture."""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        stream, session = open_session(way, sock, password_key, Feature.SCREEN_UPDATES)
        shake_hands(stream, session)
        for packet in (encode(ViewSettings(flags=ViewFlag.NAMES)), encode(Capabilities(80, 24, desired_fps=60))):
            stream.sendall(session.seal(packet))
        while True:
            event = session.next_event()
            if isinstance(event, AsciiFrame | ScreenUpdate):
                return time.perf_counter() - began
            if event is None:
                if not (data := stream.recv(1 << 16)):
                    raise ConnectionResetError("the server closed the connection")
                session.receive_data(data)


def joining(times: int) -> None:
    """Measure joins."""
    rows = []
    for password in (None, _PASSWORD):
        key = None if password is None else derive_password_key(password)
        server = ServerProcess("--http", *(("--password", password) if password else ()))
        try:
            Sender(server.port, key)
            time.sleep(1.0)
            ways = [way for way in Way if is_served(way, server.port, key)]
            waits: dict[Way, list[float]] = {way: [] for way in ways}
            for _, way in itertools.product(range(times), ways):
                waits[way].append(1000 * join(way, server.port, key))
        finally:
            server.stop()
        for way in ways:
            against = "" if way is Way.ACIP else ratios(waits[way], waits[Way.ACIP])
            rows.append([way.value, "yes" if password else "no", spread(waits[way]), against])
    print_table(
        f"From connecting to the first picture, {times} times in turns: median (quartiles)",
        ["way", "password", "ms", "ratio to v1"],
        rows,
    )


def is_served(way: Way, port: int, key: bytes | None) -> bool:
    """Whether a server offers a way; says so if not."""
    try:
        join(way, port, key)
    except NotServedError as error:
        print(f"Skipping {way.value}: the server does not offer it ({error}).")
        return False
    return True


# --- 16 viewers -------------------------------------------------------------------------------------------------------


def viewing(rounds: int, viewers: int, seconds: float) -> None:
    """Measure the server's CPU for each frame."""
    for screens in (False, True):
        costs: dict[Way, list[float]] = {Way.ACIP: [], Way.LINK: []}
        rates: dict[Way, list[float]] = {Way.ACIP: [], Way.LINK: []}
        for _, way in itertools.product(range(rounds), costs):
            outcome = measure(viewers, 80, 24, True, seconds, screens=screens, way=way)
            rates[way].append(outcome.fps_median)
            costs[way].append(10_000 * outcome.cpu_percent / (outcome.fps_median * viewers))
            print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        print_table(
            f"{viewers} viewers of 80x24, all different, {'screens' if screens else 'frames'}; {rounds} runs in turns: "
            "median (quartiles)",
            ["way", "frames per second", "server CPU for each frame, us", "ratio to v1"],
            [
                [
                    way.value,
                    spread(rates[way]),
                    spread(values, 0),
                    "" if way is Way.ACIP else ratios(values, costs[Way.ACIP]),
                ]
                for way, values in costs.items()
            ],
        )


# --- looking at the first bytes ---------------------------------------------------------------------------------------


class _Answer(asyncio.Protocol):
    """Answers the first bytes and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if isinstance(self._transport, asyncio.WriteTransport) or hasattr(self._transport, "write"):
            self._transport.write(data)
        self._transport.close()


class _Place:
    refusal = ""

    def pass_on(self) -> None: ...

    def leave(self) -> None: ...


class _Everybody:
    """Lets everybody in (a :class:`teleglyph.net.listener.PeerHandler`)."""

    def is_proxy(self, peer: str) -> bool:
        return False

    def let_in(self, peer: str, *, is_proxy: bool) -> Entry:
        return _Place()

    def plain(self, client: Client, kind: FirstProtocol, entry: Entry) -> asyncio.Protocol:
        return _Answer()

    def tls(self, client: Client, entry: Entry) -> TlsOffer | None:
        return None

    def rejected(self, peer: str, reason: str) -> None: ...


async def serve(kind: str) -> None:
    """Accept connections until standard input ends; print the port first."""
    loop = asyncio.get_running_loop()
    if kind == "listener":
        port = Listener(_Everybody(), 5.0).listen("127.0.0.1", 0)[1]
    else:
        server = await loop.create_server(_Answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def thread_seconds(pid: int) -> float:
    """Processor time of a process's first thread; finer than that of the whole process, which counts in ticks."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def accepting(rounds: int, connections: int) -> None:
    """Measure connections that are accepted, answered and closed."""
    kinds = ("bare", "listener")
    cpu: dict[str, list[float]] = {kind: [] for kind in kinds}
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    servers = {
        kind: subprocess.Popen(
            [sys.executable, "-m", "bench.link", "--serve", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for kind in kinds
    }
    try:
        ports = {kind: int(server.stdout.readline()) for kind, server in servers.items() if server.stdout}
        for _, kind in itertools.product(range(rounds), kinds):
            before = thread_seconds(servers[kind].pid)
            began = time.perf_counter()
            for _ in range(connections):
                with socket.create_connection(("127.0.0.1", ports[kind])) as peer:
                    peer.sendall(_REQUEST)
                    while peer.recv(100):
                        pass
            rates[kind].append(connections / (time.perf_counter() - began))
            cpu[kind].append(1e6 * (thread_seconds(servers[kind].pid) - before) / connections)
    finally:
        for server in servers.values():
            server.kill()
            server.communicate()
    print_table(
        f"Connections one after the other, {rounds} times {connections} in turns: median (quartiles)",
        ["server", "connections per second", "CPU of each, us", "ratio of CPU to bare"],
        [
            ["bare create_server", spread(rates["bare"], 0), spread(cpu["bare"], 0), ""],
            [
                "net.Listener",
                spread(rates["listener"], 0),
                spread(cpu["listener"], 0),
                ratios(cpu["listener"], cpu["bare"]),
            ],
        ],
    )


# --- the password exchange --------------------------------------------------------------------------------------------


def exchanging(times: int, seconds: float) -> None:
    """Measure the password exchange, and the gaps between the frames of a viewer while others join."""
    prepare()
    first, second = [], []
    key, channel = secrets.token_bytes(32), Channel(secrets.token_bytes(32), None)
    for _ in range(times):
        client = PasswordExchange(key, channel, bytes(32), is_server=False, random=os.urandom)
        began = time.thread_time()
        server = PasswordExchange(key, channel, bytes(32), is_server=True, random=os.urandom)
        middle = time.thread_time()
        server.finish(client.message)
        first.append(1000 * (middle - began))
        second.append(1000 * (time.thread_time() - middle))
    print_table(
        f"The password exchange on the server, {times} times: median (quartiles)",
        ["step", "ms of CPU"],
        [["first half, for the challenge", spread(first, 2)], ["second half, for the proof", spread(second, 2)]],
    )
    key = derive_password_key(_PASSWORD)
    server_process = ServerProcess("--no-http", "--password", _PASSWORD)
    rows = []
    try:
        for label, act in (
            ("nobody joins", lambda: time.sleep(0.2)),
            ("a join over v1 every 0.2 s", lambda: join(Way.ACIP, server_process.port, key)),
            ("a join over link 2 every 0.2 s", lambda: join(Way.LINK, server_process.port, key)),
            ("nobody joins, again", lambda: time.sleep(0.2)),
        ):
            gaps = watch_while(server_process.port, act, seconds)
            rows.append([label, *(f"{percentile(gaps, part):.1f}" for part in (0.5, 0.95, 0.99)), f"{max(gaps):.1f}"])
    finally:
        server_process.stop()
    print_table(
        "Milliseconds between the frames of a viewer at 60 per second",
        ["meanwhile", "median", "95 %", "99 %", "longest"],
        rows,
    )


def watch_while(port: int, act: Callable[[], object], seconds: float) -> list[float]:
    """The gaps between a viewer's frames in milliseconds, while something happens five times per second."""
    viewer = subprocess.Popen(
        [sys.executable, "-m", "bench.load_client", "--port", str(port), "--index", "0", "--seconds", str(seconds)]
        + ["--rate", "60", "--password", _PASSWORD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert viewer.stdout is not None
    assert viewer.stdin is not None
    assert viewer.stdout.readline().strip() == "ready"
    viewer.stdin.write("go\n")
    viewer.stdin.flush()
    until = time.monotonic() + seconds + 1.0
    while time.monotonic() < until:
        began = time.monotonic()
        act()
        time.sleep(max(0.0, began + 0.2 - time.monotonic()))
    gaps: list[float] = json.loads(viewer.communicate(timeout=30)[0])["gaps"]
    return gaps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts: dict[str, Callable[[argparse.Namespace], None]] = {
        "join": lambda options: joining(options.times),
        "viewers": lambda options: viewing(options.rounds, options.viewers, options.seconds),
        "accept": lambda options: accepting(options.times, 200),
        "password": lambda options: exchanging(options.times, options.seconds),
    }
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--times", type=int, default=30, help="joins of each kind")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind with viewers")
    parser.add_argument("--viewers", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--serve", choices=["bare", "listener"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.serve))
        return
    if unknown := set(options.parts) - set(parts):
        parser.error(f"There is no part {', '.join(sorted(unknown))}. The parts are {', '.join(parts)}.")
    for name in options.parts or parts:
        parts[name](options)


if __name__ == "__main__":
    main()
