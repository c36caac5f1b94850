"""Compressed pictures of every codec in a real call: an independent peer sends, others look."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest

from acip_peer import AcipPeer, PeerClosedError
from coded_pictures import encode_pictures, moving, plain
from conftest import ServerProcess
from teleglyph.media.picture_codec import PictureCodec

Connect = Callable[[ServerProcess], AcipPeer]
CODED_PICTURES = 0x04
"""The feature's bit."""
BROWSERS = tuple(codec for codec in PictureCodec if codec is not PictureCodec.HEVC)
COLORS = {
    PictureCodec.VP8: (200, 40, 30),
    PictureCodec.VP9: (30, 180, 60),
    PictureCodec.AV1: (40, 60, 210),
    PictureCodec.H264: (220, 200, 20),
    PictureCodec.JPEG: (20, 190, 200),
}


def joined(peer: AcipPeer) -> AcipPeer:
    peer.features = CODED_PICTURES
    return peer.join()


def shows(color: tuple[int, int, int]) -> Callable[[str], bool]:
    """Whether a text has a cell of about that colour."""

    def check(text: str) -> bool:
        cells = re.findall(r"38;2;(\d+);(\d+);(\d+)m", text)
        return any(max(abs(int(is_) - want) for is_, want in zip(cell, color, strict=True)) <= 8 for cell in cells)

    return check


def send_until_seen(sender: AcipPeer, viewer: AcipPeer, codec: PictureCodec, color: tuple[int, int, int]) -> None:
    """Send a stream of one colour, again and again like a camera, until a viewer's screen shows it."""
    outputs = encode_pictures(codec, [plain(color, (160, 90))] * 3)
    for _ in range(100):
        for output in outputs:
            sender.send_coded(codec, 160, 90, output)
        try:
            viewer.frame(shows(color), seconds=0.3)
        except AssertionError:
            continue
        return
    pytest.fail(f"{color} in {codec.label} was never shown")


@pytest.mark.parametrize("codec", BROWSERS)
def test_viewers_see_the_encoded_colours(server: ServerProcess, connect: Connect, codec: PictureCodec) -> None:
    viewer, sender = connect(server).join(video=False), joined(connect(server))
    send_until_seen(sender, viewer, codec, COLORS[codec])


def test_a_sender_may_use_all_codecs_one_after_the_other(server: ServerProcess, connect: Connect) -> None:
    viewer, sender = connect(server).join(video=False), joined(connect(server))
    for codec in (*BROWSERS, PictureCodec.VP8):
        send_until_seen(sender, viewer, codec, COLORS[codec])


def test_an_invalid_stream_harms_only_its_sender_and_ends_with_a_keyframe(
    server: ServerProcess, connect: Connect
) -> None:
    viewer, other = connect(server).join(video=False), connect(server).join()
    sender = joined(connect(server))
    for codec in BROWSERS:
        for start in (b"", encode_pictures(codec, moving(1, (160, 90)))[0][:40]):
            for _ in range(10):
                sender.send_coded(codec, 160, 90, start + os.urandom(400), keyframe=True)
    other.send_color(109, 108, 107)
    assert viewer.frame(lambda text: "38;2;109;108;107m" in text)
    send_until_seen(sender, viewer, PictureCodec.H264, (200, 40, 200))


def test_a_picture_that_claims_to_be_too_large_ends_the_connection(server: ServerProcess, connect: Connect) -> None:
    sender = joined(connect(server))
    sender.send_coded(PictureCodec.JPEG, 8192, 8192, b"\xff\xd8")
    with pytest.raises(PeerClosedError):
        while True:
            sender.receive()
    server.wait_for_log("too large")


def test_the_packet_needs_the_feature(server: ServerProcess, connect: Connect) -> None:
    sender = connect(server).join()
    keyframe = encode_pictures(PictureCodec.JPEG, [plain((200, 40, 30), (160, 90))])[0]
    sender.send_coded(PictureCodec.JPEG, 160, 90, keyframe)
    with pytest.raises(PeerClosedError):
        while True:
            sender.receive()
