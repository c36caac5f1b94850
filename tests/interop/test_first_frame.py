"""The first frame of a text viewer: a picture, if one is about to arrive.

The peer sends what ascii-chat's client sends, in its order: capabilities, STREAM_START, pictures a little later.  How
long that client tolerates silence is tested in ``test_first_frame_patience.py``.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest

import acip_peer as acip
from acip_peer import AcipPeer
from conftest import ServerProcess

Connect = Callable[[ServerProcess], AcipPeer]
VIDEO = struct.pack(">I", 1)
PLACEHOLDER = "Nobody is sending video"


def first_frame(peer: AcipPeer, seconds: float = 10.0) -> str:
    for kind, payload in peer.packets(seconds):
        peer.send(acip.PING)
        if kind == acip.ASCII_FRAME:
            return acip.frame_text(payload)
    raise AssertionError("no frame came")


@pytest.mark.parametrize("gap", [0.0, 0.2], ids=["at once", "a moment later"])
@pytest.mark.parametrize("delay", [0.0, 1.2])
def test_the_first_frame_of_a_sender_is_its_own_picture(
    server: ServerProcess, connect: Connect, gap: float, delay: float
) -> None:
    peer = connect(server)
    peer.handshake()
    peer.send(acip.CLIENT_CAPABILITIES, acip.capabilities())
    time.sleep(gap)
    peer.send(acip.STREAM_START, VIDEO)
    until = time.monotonic() + delay
    while (left := until - time.monotonic()) > 0:
        assert all(kind != acip.ASCII_FRAME for kind, _ in peer.packets(min(left, 0.1)))
    peer.send_color(200, 10, 10)
    text = first_frame(peer)
    assert PLACEHOLDER not in text
    assert "38;2;200;10;10m" in text


def test_a_viewer_waits_for_somebody_elses_picture(server: ServerProcess, connect: Connect) -> None:
    sender = connect(server).join()
    watcher = connect(server).join(video=False)
    time.sleep(0.8)
    sender.send_color(10, 200, 10)
    assert "38;2;10;200;10m" in first_frame(watcher)


def test_in_a_room_without_senders_the_placeholder_comes_soon(server: ServerProcess, connect: Connect) -> None:
    started = time.monotonic()
    assert PLACEHOLDER in first_frame(connect(server).join(video=False))
    assert time.monotonic() - started < 2.5


def test_a_silent_sender_delays_a_frame_by_a_few_seconds_at_most(server: ServerProcess, connect: Connect) -> None:
    connect(server).join()
    assert PLACEHOLDER in first_frame(connect(server).join(video=False), 8)


def test_switching_video_on_and_off_does_not_delay_others(server: ServerProcess, connect: Connect) -> None:
    toggler, watcher = connect(server).join(), connect(server).join(video=False)
    toggler.send(acip.STREAM_STOP, VIDEO)
    assert PLACEHOLDER in first_frame(watcher)
    toggler.send(acip.STREAM_START, VIDEO)
    late = connect(server).join(video=False)
    started = time.monotonic()
    assert PLACEHOLDER in first_frame(late)
    assert time.monotonic() - started < 2.5


def test_a_sender_who_left_before_the_first_picture_delays_nobody(server: ServerProcess, connect: Connect) -> None:
    sender, watcher = connect(server).join(), connect(server).join(video=False)
    sender.send(acip.CLIENT_LEAVE)
    started = time.monotonic()
    assert PLACEHOLDER in first_frame(watcher)
    assert time.monotonic() - started < 2.5
