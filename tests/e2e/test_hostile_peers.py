"""Peers that misbehave on real sockets harm only themselves.

Two well-behaved participants exchange pictures all the while; after each attack they must still see every new
picture of each other.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import acip_peer as acip
from acip_peer import AcipPeer
from conftest import ServerProcess
from terminal import wait_for

Connect = Callable[[ServerProcess], AcipPeer]


ONE_OPUS_FRAME = struct.pack(">IIIIH", 48000, 20, 1, 0, 3) + b"abc"


class Victims:
    """Two participants who look at each other in the background."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.sender = AcipPeer(server.port).join()
        self.viewer = AcipPeer(server.port).join(video=False)
        self.sent: list[str] = []
        self.seen: set[str] = set()
        self.failure: BaseException | None = None
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guard, args=(run,)) for run in (self._send, self._drain, self._view)
        ]
        for thread in self._threads:
            thread.start()

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:
            if not self._stop.is_set():
                self.failure = error

    def _send(self) -> None:
        number = 0
        while not self._stop.wait(1 / 30):
            number = (number + 1) % 250
            color = (number, 255 - number, 77)
            self.sender.send_color(*color)
            self.sent.append("38;2;%d;%d;%dm" % color)

    def _drain(self) -> None:
        while not self._stop.is_set():
            self.sender.receive()

    def _view(self) -> None:
        last_ping = 0.0
        while not self._stop.is_set():
            kind, body = self.viewer.receive()
            if kind == acip.ASCII_FRAME:
                self.seen.update(re.findall(r"38;2;\d+;\d+;77m", acip.frame_text(body)))
            if time.monotonic() - last_ping > 0.4:
                last_ping = time.monotonic()
                self.viewer.send(acip.PING)

    def check(self, pictures: int = 20, attempts: int = 3) -> None:
        """The next pictures arrive: nearly all, since a frame shows only the newest of those sent in one tick.

        On a busy machine the sender itself may pause and then send several at once; so there are further attempts.
        """
        for attempt in range(attempts):
            assert self.failure is None
            start = len(self.sent)
            deadline = time.monotonic() + 30
            while len(self.sent) < start + pictures and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(0.3)
            expected = self.sent[start : start + pictures]
            assert len(expected) == pictures
            seen = len(self.seen.intersection(expected))
            if seen >= 0.8 * pictures:
                break
            assert attempt + 1 < attempts, f"only {seen} of {pictures} pictures arrived"
        assert self.failure is None

    def stop(self) -> None:
        self._stop.set()
        self.sender.close()
        self.viewer.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def victims(server: ServerProcess) -> Iterator[Victims]:
    pair = Victims(server)
    pair.check(5)
    yield pair
    pair.check()
    pair.stop()


def memory_mib(server: ServerProcess) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found
    return int(found[1]) / 1024


def test_a_viewer_that_stops_reading_costs_neither_others_nor_memory(
    server: ServerProcess, victims: Victims, connect: Connect
) -> None:
    stalled = connect(server).join(columns=200, rows=60)
    for _ in range(3):
        stalled.send_color(1, 2, 3)
    before = memory_mib(server)
    for _ in range(20):
        stalled.send(acip.PING)
        time.sleep(0.1)
    victims.check()
    assert memory_mib(server) < before + 16


def test_a_viewer_that_resumes_reading_gets_a_fresh_picture(
    server: ServerProcess, victims: Victims, connect: Connect
) -> None:
    stalled = connect(server).join(columns=200, rows=60, video=False)
    for _ in range(15):
        stalled.send(acip.PING)
        time.sleep(0.1)
    mark = len(victims.sent)
    victims.check(5)
    fresh = set(victims.sent[mark:])
    assert stalled.frame(lambda text: bool(fresh.intersection(re.findall(r"38;2;\d+;\d+;77m", text))))


def test_a_flood_of_pings_is_throttled(server: ServerProcess, victims: Victims, connect: Connect) -> None:
    flooder = connect(server).join(video=False)
    burst = b"".join(flooder.seal(acip.packet(acip.PING)) for _ in range(3000))

    def read_answers() -> None:
        with contextlib.suppress(acip.PeerClosedError):
            for _ in flooder.packets(4):
                pass

    drain = threading.Thread(target=read_answers)
    drain.start()
    flooder.send_raw(burst)
    victims.check()
    flooder.send(acip.CLIENT_LEAVE)
    found = re.search(r"throttled=(\d+)", server.wait_for_log(r"is gone \(left\).*throttled=[1-9]", 20))
    assert found
    drain.join(5)


def test_a_flood_of_pings_without_reading_disconnects_that_peer_only(
    server: ServerProcess, victims: Victims, connect: Connect
) -> None:
    flooder = connect(server).join(video=False)
    flooder.socket.settimeout(0.2)
    try:
        while True:
            flooder.send_raw(b"".join(flooder.seal(acip.packet(acip.PING)) for _ in range(500)))
            if "too slow" in "".join(server.log[-50:]):
                break
    except OSError:
        pass
    victims.check()


def test_pictures_over_the_rate_are_dropped_and_counted(
    server: ServerProcess, victims: Victims, connect: Connect
) -> None:
    flooder = connect(server).join()
    picture = acip.image(32, 18, bytes(32 * 18 * 3))
    flooder.send_raw(b"".join(flooder.seal(acip.packet(acip.IMAGE_FRAME, picture)) for _ in range(400)))
    victims.check()
    flooder.send(acip.CLIENT_LEAVE)
    assert server.wait_for_log(r"is gone \(left\).*pictures_over_rate=[1-9]")


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        (acip.IMAGE_FRAME, struct.pack(">IIIIII", 8192, 8192, 1, 0, 0, 0) + bytes(100), None),
        (acip.IMAGE_FRAME, struct.pack(">IIIIII", 0, 10, 1, 0, 0, 0), None),
        (acip.IMAGE_FRAME_H265, struct.pack(">BHH", 1, 0, 0), None),
        (acip.CLIENT_CAPABILITIES, bytes(167), "CLIENT_CAPABILITIES payload size 167 (expected 168)"),
        (acip.CLIENT_CAPABILITIES, acip.capabilities(0, 24), "CLIENT_CAPABILITIES width cannot be zero"),
        (acip.STREAM_START, struct.pack(">I", 4), "STREAM_START unknown flags set"),
        (
            acip.AUDIO_OPUS_BATCH,
            ONE_OPUS_FRAME,
            "AUDIO_OPUS_BATCH received before audio stream enabled",
        ),
        (acip.CLIENT_JOIN, bytes(40), "CLIENT_JOIN display_name cannot be empty"),
        (acip.REMOTE_LOG, struct.pack(">BBHI", 2, 1, 0, 1) + b"x", "REMOTE_LOG direction mismatch"),
        (2002, b"text", None),
        (0, b"", None),
        (65535, b"", None),
    ],
)
def test_bad_packets_end_the_connection_with_a_reason_if_the_protocol_has_one(
    server: ServerProcess, victims: Victims, connect: Connect, kind: int, payload: bytes, reason: str | None
) -> None:
    peer = connect(server).join()
    peer.wait_for(acip.SERVER_STATE)
    peer.send(kind, payload)
    packets = peer.wait_closed()
    errors = [body for kind, body in packets if kind == acip.ERROR_MESSAGE]
    if reason is None:
        assert errors == []
    else:
        assert struct.unpack_from(">I", errors[0])[0] == 44
        assert reason in errors[0][8:].decode()
        violations = [body[8:].decode() for kind, body in packets if kind == acip.REMOTE_LOG]
        assert any(text.startswith("Protocol violation: ") and reason in text for text in violations)


@pytest.mark.parametrize(
    "data",
    [
        os.urandom(4096),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        struct.pack(">QHIII", acip.MAGIC, 1, 0xFFFFFFFF, 0, 0),
        struct.pack(">QHIII", acip.MAGIC, 1, 16, 12345, 0) + bytes(16),
        acip.packet(acip.ENCRYPTED, bytes(200)),
        acip.packet(acip.PROTOCOL_VERSION, bytes(16)),
    ],
    ids=["noise", "ssh", "huge length", "wrong checksum", "too early", "mode 0"],
)
def test_garbage_instead_of_a_handshake_closes_the_connection(
    server: ServerProcess, victims: Victims, connect: Connect, data: bytes
) -> None:
    peer = connect(server)
    peer.send_raw(data)
    with pytest.raises(acip.PeerClosedError):
        peer.receive_outer()


def test_a_browser_on_the_call_port_gets_an_explanation(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as browser:
        for byte in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n":
            with contextlib.suppress(OSError):  # the answer may arrive before the request is complete
                browser.send(bytes([byte]))
        answer = b""
        with contextlib.suppress(ConnectionError):
            while data := browser.recv(4096):
                answer += data
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert b"server for calls" in answer


def test_replayed_and_damaged_packets_end_the_connection(
    server: ServerProcess, victims: Victims, connect: Connect
) -> None:
    replayer, damager, truncator = (connect(server).join() for _ in range(3))
    ping = replayer.seal(acip.packet(acip.PING))
    replayer.send_raw(ping + ping)
    replayer.wait_closed()
    damaged = bytearray(damager.seal(acip.packet(acip.PING)))
    damaged[-1] ^= 1
    damaged[14:18] = acip.packet(acip.ENCRYPTED, bytes(damaged[22:]))[14:18]
    damager.send_raw(bytes(damaged))
    damager.wait_closed()
    truncator.send_raw(acip.packet(acip.ENCRYPTED, bytes(30)))
    truncator.wait_closed()


def test_half_open_connections_are_closed_and_do_not_block_others(
    server: ServerProcess, victims: Victims, connect: Connect
) -> None:
    silent = [connect(server) for _ in range(60)]
    newcomer = connect(server).join()
    newcomer.send_color(0, 0, 9)
    assert newcomer.frame()
    newcomer.close()
    for peer in silent:
        with pytest.raises(acip.PeerClosedError):
            peer.receive_outer()


def test_a_byte_per_second_does_not_keep_a_handshake_open(
    server: ServerProcess, victims: Victims, connect: Connect
) -> None:
    peer = connect(server)
    hello = acip.packet(acip.PROTOCOL_VERSION, struct.pack(">HHBBBH7x", 1, 0, 1, 0, 0, 0))
    with pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe, whichever comes first
        for byte in hello:
            peer.send_raw(bytes([byte]))
            time.sleep(0.5)
    server.wait_for_log("did not finish the handshake within 5 s")


def test_a_silent_peer_is_disconnected(server: ServerProcess, victims: Victims, connect: Connect) -> None:
    peer = connect(server).join()
    peer.wait_for(acip.SERVER_STATE)
    deadline = time.monotonic() + 20
    with pytest.raises(acip.PeerClosedError):
        while time.monotonic() < deadline:
            peer.receive_outer()
    server.wait_for_log("sent nothing for")


def test_an_invalid_hevc_stream_harms_only_its_sender(
    server: ServerProcess, victims: Victims, connect: Connect
) -> None:
    peer = connect(server).join()
    start = b"\0\0\0\1"
    for _ in range(30):
        junk = start + b"\x40\x01" + os.urandom(60) + start + b"\x26\x01" + os.urandom(500)
        peer.send(acip.IMAGE_FRAME_H265, struct.pack(">BHH", 1, 480, 270) + junk)
    victims.check()
    peer.send_color(109, 108, 107)
    assert peer.frame(lambda text: "38;2;109;108;107m" in text)


def test_closed_connections_leave_nothing_behind(server: ServerProcess, victims: Victims) -> None:
    descriptors = Path(f"/proc/{server.process.pid}/fd")

    def storm(count: int) -> None:
        for number in range(count):
            peer = AcipPeer(server.port)
            if number % 2:
                peer.join()
            peer.close()
        deadline = time.monotonic() + 10
        while len(list(descriptors.iterdir())) > open_before and time.monotonic() < deadline:
            time.sleep(0.1)

    open_before = len(list(descriptors.iterdir()))
    storm(40)
    before = memory_mib(server)
    storm(200)
    assert len(list(descriptors.iterdir())) <= open_before
    assert memory_mib(server) < before + 8


def test_one_address_cannot_take_all_places(start_server: Callable[..., ServerProcess], connect: Connect) -> None:
    server = start_server("--connections-per-address", "3")
    first, second, third = (connect(server) for _ in range(3))
    first.join()
    fourth = connect(server)
    with pytest.raises((acip.PeerClosedError, OSError)):
        fourth.handshake()
    server.wait_for_log("127.0.0.1 was refused: it already has 3 connections")
    second.close()
    wait_for(lambda: can_join(connect(server)), "the place is free again")
    third.close()


def can_join(peer: AcipPeer) -> bool:
    try:
        peer.join()
    except (acip.PeerClosedError, OSError):
        return False
    return True


def is_open(peer: AcipPeer) -> bool:
    peer.socket.settimeout(0.05)
    try:
        return bool(peer.socket.recv(1))
    except TimeoutError:
        return True
    except OSError:
        return False


def test_a_burst_of_connections_stays_within_the_limit(
    start_server: Callable[..., ServerProcess], connect: Connect
) -> None:
    server = start_server("--connections-per-address", "3")
    server.process.send_signal(signal.SIGSTOP)
    burst = [connect(server) for _ in range(30)]
    server.process.send_signal(signal.SIGCONT)
    server.wait_for_log("was refused: it already has 3 connections")
    # Some of the refused have a second to show that they speak HTTP, and are told why they are refused.
    time.sleep(2)
    assert sum(is_open(peer) for peer in burst) == 3
