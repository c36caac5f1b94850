"""What one address may cost a real server, whatever it sends, while somebody else is connected."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import ServerProcess
from nostr_peer import NostrPeer, make

StartServer = Callable[..., ServerProcess]
SHARE = 10
"""Percent of a processor that one address may use."""
SECONDS = 2.0


def frame(first: int, data: bytes = b"") -> bytes:
    """A client's WebSocket frame (RFC 6455, 5.2); the mask is zero."""
    size = bytes([0x80 | len(data)]) if len(data) < 126 else struct.pack(">BH", 0xFE, len(data))
    return bytes([first]) + size + bytes(4) + data


FLOODS = {
    "pings": frame(0x89) * 5000,
    "fragments": frame(0x01) + frame(0x00) * 5000,
    "events that are none": frame(0x81, json.dumps(["EVENT", {"id": "0" * 64, "content": "x" * 500}]).encode()) * 200,
    "questions": frame(0x81, json.dumps(["REQ", "q", {"search": "word", "limit": 100}]).encode()) * 200,
    "requests": b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200,
}


def upgraded(port: int, request: bytes) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port), 10, source_address=("127.0.0.2", 0))
    try:
        peer.sendall(request)
        if not peer.recv(4096):
            raise ConnectionError
    except OSError:
        peer.close()
        raise
    return peer


@contextlib.contextmanager
def flood(port: int, data: bytes, connections: int) -> Iterator[None]:
    """Send the same without a break on several connections; reconnect those that are closed."""
    over = threading.Event()
    upgrade = (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    first = data[:40] if data.startswith(b"GET") else upgrade

    def send() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), contextlib.closing(upgraded(port, first)) as peer:
                peer.settimeout(0.1)
                reader = threading.Thread(target=drain, args=(peer,), daemon=True)
                reader.start()
                while not over.is_set() and reader.is_alive():
                    with contextlib.suppress(TimeoutError):
                        peer.sendall(data)
            time.sleep(0.01)

    def drain(peer: socket.socket) -> None:
        while not over.is_set():
            try:
                if not peer.recv(1 << 16):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    threads = [threading.Thread(target=send) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(20)


def processor_seconds(pid: int) -> float:
    """Of the main thread, which runs the event loop."""
    fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_costs_no_more_than_its_share(start_server: StartServer, tmp_path: Path, kind: str) -> None:
    limits = ["--address-load", str(SHARE), "--event-rate", "0"]
    server = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path), *limits)
    with contextlib.closing(NostrPeer(server)) as other, flood(server.http_port, FLOODS[kind], 8):
        time.sleep(1.5)  # until the burst of the address is used up
        began, used = time.monotonic(), processor_seconds(server.process.pid)
        answered = 0
        while time.monotonic() - began < SECONDS:
            assert other.publish(make(f"message {answered}"))[1] is True
            answered += 1
            time.sleep(0.02)
        share = (processor_seconds(server.process.pid) - used) / (time.monotonic() - began)
    assert share < 5 * SHARE / 100, "a server without accounts would spend all of its time"
    assert answered > 10
