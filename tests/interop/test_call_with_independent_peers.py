"""A client written from the wire specification alone joins a real server process."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import pytest

import acip_peer as acip
from acip_peer import AcipPeer
from conftest import ServerProcess

Connect = Callable[[ServerProcess], AcipPeer]
StartServer = Callable[..., ServerProcess]


def colors_of(text: str) -> set[tuple[int, int, int]]:
    return {(int(r), int(g), int(b)) for r, g, b in re.findall(r"38;2;(\d+);(\d+);(\d+)m", text)}


def rows_of(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n")


def logs_of(peer: AcipPeer) -> list[str]:
    return [body[8:].decode() for kind, body in peer.received if kind == acip.REMOTE_LOG]


def test_a_peer_sees_its_own_picture_in_its_terminal_size(server: ServerProcess, connect: Connect) -> None:
    peer = connect(server).join(columns=100, rows=30)
    peer.send_color(200, 10, 20)
    text = peer.frame(lambda text: (200, 10, 20) in colors_of(text))
    assert [len(row) for row in rows_of(text)] == [100] * 30
    assert colors_of(text) == {(200, 10, 20)}
    assert text.endswith("\x1b[0m")


def test_two_peers_see_both_pictures_each_in_its_own_terminal(server: ServerProcess, connect: Connect) -> None:
    first = connect(server).join(columns=80, rows=24)
    second = connect(server).join(columns=120, rows=40, color=2)
    red, blue = (250, 0, 0), (60, 60, 250)
    first.send_color(*red)
    second.send_color(*blue)
    assert first.frame(lambda text: colors_of(text) == {red, blue})
    text = second.frame(lambda text: "38;5;" in text and len(set(re.findall(r"38;5;(\d+)m", text))) == 2)
    assert "38;2;" not in text
    assert [len(row) for row in rows_of(text)] == [120] * 40


def test_a_peer_with_the_right_password_joins(start_server: StartServer, connect: Connect) -> None:
    server = start_server("--password", "correct horse")
    peer = connect(server).join("correct horse")
    peer.send_color(101, 102, 103)
    assert peer.frame()
    assert "Encryption established - secure channel ready" in logs_of(peer)


@pytest.mark.parametrize("password", ["wrong password", None])
def test_a_wrong_password_is_refused_with_the_reason(
    start_server: StartServer, connect: Connect, password: str | None
) -> None:
    server = start_server("--password", "correct horse")
    peer = connect(server)
    peer.send_raw(acip.packet(1, struct.pack(">HHBBBH7x", 1, 0, 3, 0, 0, 0)))
    peer.expect_outer(acip.PROTOCOL_VERSION, 16)
    peer.send_raw(acip.packet(acip.CRYPTO_CAPABILITIES, struct.pack(">HHHBBBB", 1, 1, 1, 0, 1, 1, 1)))
    peer.expect_outer(acip.CRYPTO_PARAMETERS, 18)
    peer.expect_outer(acip.KEY_EXCHANGE_INIT, 32)
    peer.send_raw(acip.packet(acip.KEY_EXCHANGE_RESP, bytes([9]) + bytes(31)))
    challenge = peer.expect_outer(acip.AUTH_CHALLENGE, 33)
    assert challenge[0] == 1
    peer.send_raw(acip.packet(acip.AUTH_RESPONSE, (password or "").encode().ljust(64, b"\0")))
    assert peer.expect_outer(acip.AUTH_FAILED, 8)[0] == 2
    with pytest.raises(acip.PeerClosedError):
        peer.receive_outer()
    assert "correct horse" not in "".join(server.log)


def test_the_server_sends_the_messages_the_c_client_expects(server: ServerProcess, connect: Connect) -> None:
    peer = connect(server).join(columns=80, rows=24, video=False)
    peer.send(acip.CLIENT_JOIN, struct.pack(">I32sI", 0, b"bob", 3))
    peer.send(acip.STREAM_START, struct.pack(">I", 3))
    peer.send_color(99, 99, 99)
    peer.wait_for(acip.REMOTE_LOG, lambda body: b"First video frame" in body)
    logs = logs_of(peer)
    assert "Terminal configured: 80x24, truecolor, foreground mode, 60 fps" in logs
    assert "Joined as 'bob' (video=yes, audio=yes)" in logs
    assert "Stream started: video+audio" in logs
    states = [body for kind, body in peer.received if kind == acip.SERVER_STATE]
    assert all(len(body) == 32 and body[8:] == bytes(24) for body in states)
    assert struct.unpack_from(">II", states[0]) == (1, 0)
    assert all(
        body[1] == 1 and struct.unpack_from(">I", body, 4)[0] == len(body) - 8
        for kind, body in peer.received
        if kind == acip.REMOTE_LOG
    )


def test_only_packet_types_that_the_c_client_accepts_are_sent(server: ServerProcess, connect: Connect) -> None:
    peer = connect(server).join()
    other = connect(server).join()
    for number in range(5):
        peer.send_color(number, 0, 0)
        other.send_color(0, number, 0)
        peer.frame(seconds=5)
    other.close()
    peer.wait_for(acip.SERVER_STATE, lambda body: struct.unpack_from(">I", body)[0] == 1)
    assert {kind for kind, _ in peer.received} <= {3000, 4000, 4001, 5008, 2003, 2004, 5001, 5002, 5007}


def test_everybody_is_notified_of_joins_and_leaves(server: ServerProcess, connect: Connect) -> None:
    first = connect(server).join()
    first.send_color(1, 1, 1)
    first.wait_for(acip.SERVER_STATE, lambda body: struct.unpack_from(">II", body) == (1, 1))
    second = connect(server).join()
    second.send_color(2, 2, 2)
    first.wait_for(acip.SERVER_STATE, lambda body: struct.unpack_from(">II", body) == (2, 2))
    second.send(acip.STREAM_STOP, struct.pack(">I", 1))
    first.wait_for(acip.SERVER_STATE, lambda body: struct.unpack_from(">II", body) == (2, 1))
    second.send(acip.CLIENT_LEAVE, b"bye")
    first.wait_for(acip.SERVER_STATE, lambda body: struct.unpack_from(">II", body) == (1, 1))


def test_the_screen_is_cleared_once_per_layout_directly_before_its_first_frame(
    server: ServerProcess, connect: Connect
) -> None:
    viewer = connect(server).join()
    red, green, blue = (250, 0, 0), (0, 250, 0), (60, 60, 250)
    viewer.send_color(*red)
    viewer.frame(lambda text: colors_of(text) == {red})
    second = connect(server).join()
    second.send_color(*green)
    viewer.frame(lambda text: colors_of(text) == {red, green})
    third = connect(server).join()
    third.send_color(*blue)
    viewer.frame(lambda text: colors_of(text) == {red, green, blue})
    third.close()
    viewer.frame(lambda text: colors_of(text) == {red, green})
    second.send(acip.STREAM_STOP, struct.pack(">I", 1))
    viewer.frame(lambda text: colors_of(text) == {red})
    viewer.send(acip.STREAM_STOP, struct.pack(">I", 1))
    viewer.frame(lambda text: "Nobody is sending video" in text)

    screen = [
        "clear" if kind == acip.CLEAR_CONSOLE else frozenset(colors_of(acip.frame_text(body)))
        for kind, body in viewer.received
        if kind in (acip.CLEAR_CONSOLE, acip.ASCII_FRAME)
    ]
    shown = [
        item for before, item in zip(["clear", *screen], screen, strict=False) if item == "clear" or before == "clear"
    ]
    expected = [frozenset(colors) for colors in ([red], [red, green], [red, green, blue], [red, green], [red], [])]
    layouts = [item for item in shown if item != "clear"]
    assert shown.count("clear") == len(layouts)
    assert layouts[-6:] == expected
    assert len(layouts) <= 7, "one placeholder may come before the first picture"


def test_a_resize_takes_effect_at_once(server: ServerProcess, connect: Connect) -> None:
    peer = connect(server).join(columns=80, rows=24)
    peer.send_color(105, 106, 107)
    peer.frame()
    peer.send(acip.CLIENT_CAPABILITIES, acip.capabilities(50, 20, color=0))
    text = peer.frame(lambda text: "\x1b" not in text)
    assert [len(row) for row in text.split("\n")] == [50] * 20


def test_without_padding_the_frame_is_cut_to_the_pictures(server: ServerProcess, connect: Connect) -> None:
    peer = connect(server).join(columns=80, rows=24, padding=False)
    peer.send_color(105, 106, 107, width=100, height=100)
    text = peer.frame(lambda text: bool(colors_of(text)))
    assert [len(row) for row in rows_of(text)] == [48] * 24


@pytest.mark.parametrize("utf8", [False, True])
def test_a_terminal_without_utf8_gets_ascii_only(server: ServerProcess, connect: Connect, utf8: bool) -> None:
    peer = connect(server).join(render=2, palette=2, utf8=utf8)
    peer.send_picture(16, 16, bytes(index * 7 % 256 for index in range(16 * 16 * 3)))
    text = peer.frame(lambda text: "48;2;" in text)
    assert text.isascii() is not utf8


def test_a_custom_palette_is_used(server: ServerProcess, connect: Connect) -> None:
    peer = connect(server).join(color=0, palette=6, custom=b" xX")
    peer.send_color(255, 255, 255)
    assert "X" in peer.frame(lambda text: "Nobody" not in text)


@pytest.mark.parametrize("custom", [b"", b"\x1b[2J", " 世".encode(), "\u202e#".encode(), b"\0"])
def test_an_unusable_palette_is_replaced_by_the_standard_one(
    server: ServerProcess, connect: Connect, custom: bytes
) -> None:
    peer = connect(server).join(color=0, palette=6, custom=custom)
    peer.send_color(255, 255, 255)
    assert "M" in peer.frame(lambda text: "Nobody" not in text)
    assert "internal error" not in "".join(server.log)


def test_the_desired_frame_rate_is_kept_for_each_viewer(server: ServerProcess, connect: Connect) -> None:
    slow = connect(server).join(fps=5)
    for number in range(200):
        slow.send_color(number, 0, 0)
        if number % 20 == 0:
            slow.frame(seconds=2)
    frames = sum(1 for kind, _ in slow.received if kind == acip.ASCII_FRAME)
    assert frames <= 12


def test_unchanged_frames_are_not_resent_but_the_link_stays_alive(server: ServerProcess, connect: Connect) -> None:
    peer = connect(server).join()
    peer.send_color(107, 107, 107)
    peer.frame(lambda text: (107, 107, 107) in colors_of(text))
    peer.received.clear()
    for _ in range(4):
        for _ in peer.packets(0.4):
            pass
        peer.send(acip.PING)
    kinds = [kind for kind, _ in peer.received]
    assert acip.ASCII_FRAME not in kinds
    assert kinds.count(acip.PING) >= 3
    assert acip.PONG in kinds


def test_a_full_server_says_so_first(start_server: StartServer, connect: Connect) -> None:
    server = start_server("--max-clients", "1")
    first = connect(server).join()
    first.send_color(1, 2, 3)
    first.frame()
    second = connect(server)
    second.send_raw(struct.pack(">Q", acip.MAGIC))
    assert second.socket.recv(1000) == b"SERVER_FULL: Maximum client limit reached\n"
    assert second.socket.recv(1000) == b""
    first.send(acip.CLIENT_LEAVE)
    first.wait_closed()
    server.wait_for_log("is gone")
    assert connect(server).join().wait_for(acip.SERVER_STATE)


def test_too_many_connections_from_one_address_are_closed_silently(start_server: StartServer) -> None:
    server = start_server("--connection-rate", "3")
    peers = [AcipPeer(server.port) for _ in range(4)]
    for peer in peers[:3]:
        peer.handshake()
    with pytest.raises((acip.PeerClosedError, OSError)):
        peers[3].handshake()
    for peer in peers:
        peer.close()


def test_plaintext_peers_may_join_only_if_the_server_allows_it(start_server: StartServer, connect: Connect) -> None:
    strict, lenient = start_server(), start_server("--no-encrypt")
    refused, plain, secret = connect(strict), connect(lenient), connect(lenient)
    refused.send_raw(acip.packet(acip.CLIENT_CAPABILITIES, acip.capabilities()))
    with pytest.raises(acip.PeerClosedError):
        refused.receive_outer()
    plain.send_raw(acip.packet(acip.CLIENT_CAPABILITIES, acip.capabilities()))
    pixels = bytes((103, 105, 107)) * 64
    plain.send_raw(acip.packet(acip.IMAGE_FRAME, acip.image(8, 8, pixels)))
    while True:
        kind, payload = plain.receive_outer()
        if kind == acip.ASCII_FRAME and (103, 105, 107) in colors_of(acip.frame_text(payload)):
            break
    secret.join()
    assert secret.frame(lambda text: (103, 105, 107) in colors_of(text))


def test_a_viewer_with_a_low_frame_rate_does_not_delay_one_with_a_high_rate(
    server: ServerProcess, connect: Connect
) -> None:
    slow = connect(server).join(video=False, fps=1)
    fast = connect(server).join(fps=60)
    for shade in range(100, 130):
        fast.send_color(shade, 10, 20)
        fast.frame(lambda text, shade=shade: (shade, 10, 20) in colors_of(text))  # type: ignore[misc]
        slow.send(acip.PING)
    shown = [kind for kind, _ in slow.packets(0.5) if kind == acip.ASCII_FRAME]
    assert len(shown) <= 10, "the one sees thirty pictures while the other sees a few"
