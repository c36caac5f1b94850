"""How long viewers wait for a first picture; see also ``test_first_frame.py``.

The peers send what ascii-chat's client sends, in its order: capabilities, STREAM_START, and pictures once the camera
is open.  They give up after a second of silence, as that client does.
"""

from __future__ import annotations

import select
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import acip_peer as acip
from acip_peer import AcipPeer
from conftest import ServerProcess
from teleglyph.media.hevc import HevcEncoder

Connect = Callable[[ServerProcess], AcipPeer]
PLACEHOLDER = "Nobody is sending video"
VIDEO = struct.pack(">I", 1)
LONGEST_SILENCE = 1.0


class CClient:
    """ascii-chat's client on a connection, one step at a time."""

    def __init__(self, peer: AcipPeer, **terminal: Any) -> None:
        self.peer = peer
        peer.handshake()
        peer.send(acip.CLIENT_CAPABILITIES, acip.capabilities(padding=False, **terminal))
        self.joined_at = time.monotonic()
        self.frames: list[str] = []

    def start_video(self) -> None:
        self.peer.send(acip.STREAM_START, VIDEO)

    def watch(self, seconds: float, until_frame: bool = False) -> float:
        """Receive for a while, or until a frame has come; returns the seconds since it joined.

        Fails if the server is silent for so long that the client would take the link for dead.
        """
        deadline, heard, pinged = time.monotonic() + seconds, time.monotonic(), 0.0
        while (now := time.monotonic()) < deadline and not (until_frame and self.frames):
            if now - pinged > 0.9:
                pinged = now
                self.peer.send(acip.PING)
            if not self.peer._buffer and not select.select([self.peer.socket], [], [], 0.1)[0]:
                assert time.monotonic() - heard < LONGEST_SILENCE, "the client would reconnect now"
                continue
            kind, body = self.peer.receive()
            heard = time.monotonic()
            if kind == acip.ASCII_FRAME:
                self.frames.append(acip.frame_text(body))
        return time.monotonic() - self.joined_at


def red_hevc() -> bytes:
    encoder = HevcEncoder(64, 48, 30)
    return encoder.encode(np.full((48, 64, 3), (250, 0, 0), np.uint8))[0].data


@pytest.mark.parametrize("hesitation", [0.0, 0.2])
def test_the_first_frame_is_the_viewers_own_first_picture(
    server: ServerProcess, connect: Connect, hesitation: float
) -> None:
    picture = red_hevc()
    client = CClient(connect(server))
    client.watch(hesitation)
    client.start_video()
    client.watch(1.0)
    # While its encoder has nothing to give, the client sends packets without a picture.
    for _ in range(3):
        client.peer.send(acip.IMAGE_FRAME_H265, struct.pack(">BHH", 0, 64, 48))
        client.watch(0.2)
    client.peer.send(acip.IMAGE_FRAME_H265, struct.pack(">BHH", 1, 64, 48) + picture)
    client.watch(10, until_frame=True)
    assert PLACEHOLDER not in client.frames[0]
    assert "38;2;2" in client.frames[0], "it is red"


@pytest.mark.parametrize("flags", [0x03, 0x01, 0x02])
def test_a_client_that_only_claims_video_is_not_waited_for(server: ServerProcess, connect: Connect, flags: int) -> None:
    viewer = CClient(connect(server))
    viewer.peer.send(acip.CLIENT_JOIN, struct.pack(">I32sI", 0, b"ann", flags))
    assert viewer.watch(10, until_frame=True) < 4
    assert viewer.frames == [PLACEHOLDER]


def test_the_wait_for_a_camera_that_never_opens_is_bounded(server: ServerProcess, connect: Connect) -> None:
    viewer = CClient(connect(server))
    viewer.start_video()
    assert 2 < viewer.watch(20, until_frame=True) < 12
    assert viewer.frames == [PLACEHOLDER]
    late = CClient(connect(server))
    assert late.watch(20, until_frame=True) < 4, "the others have had time to send"


def test_viewers_see_the_placeholder_at_once_when_pictures_end(server: ServerProcess, connect: Connect) -> None:
    viewer = CClient(connect(server))
    viewer.start_video()
    viewer.peer.send_color(250, 0, 0)
    viewer.watch(10, until_frame=True)
    other = CClient(connect(server))
    other.start_video()
    viewer.watch(0.3)
    viewer.frames.clear()
    stopped = time.monotonic()
    viewer.peer.send(acip.STREAM_STOP, VIDEO)
    viewer.watch(10, until_frame=True)
    assert time.monotonic() - stopped < 2, "a picture that has ended disappears"
    assert viewer.frames[0] == PLACEHOLDER
    other.watch(0.2)
    assert other.frames, "it saw the picture that has ended"


def test_a_series_of_newcomers_delays_no_viewer(server: ServerProcess, connect: Connect) -> None:
    viewer = CClient(connect(server))
    while not viewer.frames:
        CClient(connect(server)).start_video()
        assert viewer.watch(0.7, until_frame=True) < 12
    assert viewer.frames == [PLACEHOLDER]
