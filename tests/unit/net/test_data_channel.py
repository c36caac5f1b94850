"""Data channels between two sides in this process, over the addresses of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpTransport
from aiortc import rtcsctptransport as aiortc_sctp
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from data_channels import LOOPS, Channels, Server, digest, open_channels, receive, run, send
from teleglyph.errors import ConnectError, ProtocolError
from teleglyph.net.data_channel import PAGE, STREAM, DataChannelAnswer, DataChannelOffer
from teleglyph.net.ice import Certificate
from teleglyph.net.ice_servers import parse_servers
from teleglyph.net.sctp import WINDOW, Association
from teleglyph.net.tunnel import MAX_CHUNK

MOST_UNREAD = WINDOW + (64 << 10)
"""What one side may hold of the other's bytes: the window, and the rest of the message that fills it."""
MOST_UNSENT = 2 * WINDOW + (512 << 10)
"""What a sender can write while nobody reads: a window here, one there, and the kernel's buffers."""


@pytest.fixture(params=list(LOOPS))
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def association(side: DataChannelOffer | DataChannelAnswer) -> Association:
    assert side._stack is not None
    return side._stack._association


@pytest.mark.parametrize(
    ("loop", "megabytes"),
    [*((loop, 1) for loop in LOOPS), *(pytest.param(loop, 10, marks=pytest.mark.thorough) for loop in LOOPS)],
)
def test_megabytes_both_ways(loop: str, megabytes: int) -> None:
    ups, downs = os.urandom(megabytes * 10**6), os.urandom(megabytes * 10**6)

    async def main() -> None:
        async with open_channels() as channels:
            assert (channels.offer.way, channels.answer.way) == ("direct", "direct")
            _, _, up, down = await asyncio.gather(
                send(channels.joiner, ups),
                send(channels.host, downs),
                receive(channels.host, len(ups)),
                receive(channels.joiner, len(downs)),
            )
            assert (digest(up), digest(down)) == (digest(ups), digest(downs))

    run(loop, main)


@pytest.mark.parametrize("closer", ["joiner", "host"])
def test_what_was_written_arrives_before_the_end(loop: str, closer: str) -> None:
    data = os.urandom(300_000)

    async def main() -> None:
        async with open_channels(protocol=PAGE) as channels:
            near, far = channels.joiner, channels.host
            if closer == "host":
                near, far = far, near
            received = asyncio.create_task(receive(far, len(data) + 1))
            await send(near, data)
            near.close()
            assert digest(await received) == digest(data)
            far.close()
            await channels.offer.wait_closed()
            await channels.answer.wait_closed()

    run(loop, main)


def test_bytes_under_way_to_the_side_that_closes_do_not_disturb(loop: str) -> None:
    async def main() -> None:
        async with open_channels() as channels:
            sending = asyncio.create_task(send(channels.host, bytes(3_000_000)))
            await receive(channels.joiner, 100_000)
            channels.joiner.close()
            with pytest.raises(OSError, match=r"pipe|reset"):
                await sending
            await channels.answer.wait_closed()

    run(loop, main)


def test_received_packets_are_charged_to_their_sender(loop: str) -> None:
    charged: list[tuple[str, float]] = []

    def charge(peer: str, seconds: float) -> float:
        charged.append((peer, seconds))
        return 0.0

    async def main() -> None:
        async with open_channels(charge=charge) as channels:
            charged.clear()
            before = time.thread_time()
            data = os.urandom(200_000)
            received, _ = await asyncio.gather(receive(channels.host, len(data)), send(channels.joiner, data))
            used = time.thread_time() - before
            assert received == data
            assert len(charged) > len(data) / 1500
            assert {peer for peer, _ in charged} == {channels.answer.peer}
            # Both sides run here, and the host decrypts what the joiner encrypts.
            assert 0.1 * used < sum(seconds for _, seconds in charged) < used

    run(loop, main)


def test_a_sender_that_costs_too_much_is_read_slowly(loop: str) -> None:
    charged = 0
    pause = 0.0

    def charge(_peer: str, _seconds: float) -> float:
        nonlocal charged
        charged += 1
        return pause

    async def main() -> None:
        nonlocal pause, charged
        async with open_channels(charge=charge) as channels:
            began, charged, pause = time.monotonic(), 0, 0.05
            data = os.urandom(20_000)
            received, _ = await asyncio.gather(receive(channels.host, len(data)), send(channels.joiner, data))
            assert received == data
            assert 10 < charged < (time.monotonic() - began) / pause + 2

    run(loop, main)


async def unread_after(channels: Channels, sent: Callable[[], int]) -> int:
    """The most that the host held while nobody read, until nothing moved for a while."""
    side, most, seen, quiet = association(channels.answer), 0, -1, 0
    while quiet < 30:
        most = max(most, WINDOW - side._advertised_rwnd)
        quiet = quiet + 1 if sent() == seen else 0
        seen = sent()
        await asyncio.sleep(0.05)
    return most


@pytest.mark.parametrize("obeys", [True, False], ids=["window", "no window"])
def test_a_slow_reader_stops_the_sender(loop: str, obeys: bool) -> None:
    """Even one that does not obey the window cannot fill our memory."""
    data = os.urandom(3_000_000)
    written = 0

    async def write(channels: Channels) -> None:
        nonlocal written
        for start in range(0, len(data), 10_000):
            await send(channels.joiner, data[start : start + 10_000])
            written += 10_000

    async def main() -> None:
        async with open_channels() as channels:
            if not obeys:
                greedy = association(channels.offer)
                greedy._transmit = types.MethodType(RTCSctpTransport._transmit, greedy)  # type: ignore[method-assign]
            writing = asyncio.create_task(write(channels))
            assert await unread_after(channels, lambda: written) <= MOST_UNREAD
            assert 0 < written < (MOST_UNSENT if obeys else len(data))
            assert digest(await receive(channels.host, len(data))) == digest(data)
            await writing

    run(loop, main)


def test_messages_are_small_enough_for_every_browser() -> None:
    sizes: set[int] = set()

    async def main() -> None:
        async with open_channels() as channels:
            channel = next(iter(association(channels.answer)._data_channels.values()))
            channel.on("message", lambda data: sizes.add(len(data)))
            await asyncio.gather(send(channels.joiner, bytes(200_000)), receive(channels.host, 200_000))

    run("asyncio", main)
    assert max(sizes) == MAX_CHUNK


PEER = """
import asyncio, sys
from teleglyph.net.data_channel import DataChannelAnswer

async def main():
    answer = DataChannelAnswer()
    offer = sys.stdin.read(int(sys.stdin.readline()))
    text = await answer.create(offer)
    print(len(text), text, sep="\\n", end="", flush=True)
    await answer.open()
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_peer_that_dies_is_noticed(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teleglyph.net.ice._CONSENT_INTERVAL", 0.05)  # instead of 5 s
    monkeypatch.setattr("teleglyph.net.ice._CONSENT_SECONDS", 1.0)  # instead of 30 s

    peer = subprocess.Popen([sys.executable, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    async def main() -> None:
        offer = DataChannelOffer()
        text = (await offer.create()).encode()
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdin.write(f"{len(text)}\n".encode() + text)
        peer.stdin.flush()
        size = int(await asyncio.to_thread(peer.stdout.readline))
        await offer.accept((await asyncio.to_thread(peer.stdout.read, size)).decode())
        sock = await offer.open()
        await send(sock, b"hello")
        peer.kill()
        assert await receive(sock, 1) == b""
        sock.close()
        await offer.wait_closed()

    with peer:
        try:
            run(loop, main)
        finally:
            peer.kill()


def test_a_wrong_fingerprint_fails() -> None:
    """Somebody else's certificate, as if an attacker had changed the way."""

    def change(answer: str) -> str:
        place = answer.index("sha-256 ") + 8
        return answer[:place] + ("00" if answer[place : place + 2] != "00" else "11") + answer[place + 2 :]

    async def main() -> None:
        with pytest.raises(ConnectError, match="DTLS failed"):
            async with open_channels(change_answer=change):
                raise AssertionError("it must not open")

    run("asyncio", main)


@pytest.mark.parametrize(("version", "works"), [(0xFEFF, False), (0xFEFD, True)], ids=["DTLS 1.0", "DTLS 1.2"])
def test_old_dtls_is_refused(version: int, works: bool) -> None:
    side = SSL.Connection(Certificate.generateCertificate()._create_ssl_context(SRTP_PROFILES))
    side.set_accept_state()
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_max_proto_version(version)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    other = Certificate.generateCertificate()
    context.use_certificate(other._cert)
    context.use_privatekey(other._key)
    peer = SSL.Connection(context)
    peer.set_connect_state()
    finished = 0
    with contextlib.nullcontext() if works else pytest.raises(SSL.Error, match=r"version|protocol"):
        for _ in range(20):
            for one, two in ((peer, side), (side, peer)):
                try:
                    one.do_handshake()
                    finished += 1
                except SSL.WantReadError:
                    pass
                with contextlib.suppress(SSL.WantReadError):
                    while data := one.bio_read(65536):
                        two.bio_write(data)
    assert (finished > 0) == works


async def text_message(channels: Channels) -> None:
    next(iter(association(channels.offer)._data_channels.values())).send("text")


async def second_channel(channels: Channels) -> None:
    RTCDataChannel(association(channels.offer), RTCDataChannelParameters(label="more", protocol=STREAM))


async def skipped_data(channels: Channels) -> None:
    chunk = aiortc_sctp.ForwardTsnChunk()
    chunk.cumulative_tsn = 5
    await association(channels.offer)._send_chunk(chunk)


async def damaged_open(channels: Channels) -> None:
    side = association(channels.offer)
    await side._send(1, aiortc_sctp.WEBRTC_DCEP, b"\x02")  # accepts a channel
    await side._send(0, aiortc_sctp.WEBRTC_DCEP, b"\x02")  # that nobody has opened


async def damaged_text(channels: Channels) -> None:
    await association(channels.offer)._send(1, aiortc_sctp.WEBRTC_STRING, b"\xff\xfe")


@pytest.mark.parametrize("misdeed", [text_message, second_channel, skipped_data, damaged_open, damaged_text])
def test_a_peer_that_breaks_the_rules_is_disconnected(misdeed: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with open_channels() as channels:
            await misdeed(channels)
            assert await receive(channels.host, 1) == b""
            await channels.answer.wait_closed()

    run("asyncio", main)
    assert not [record for record in caplog.records if record.levelno > logging.INFO and record.name != "asyncio"]


def test_packets_that_mean_nothing_are_ignored() -> None:
    async def main() -> None:
        async with open_channels() as channels:
            side = association(channels.offer)
            for junk in (b"\0", b"junk" * 100, bytes(1000), os.urandom(1000)):
                await side.transport._send_data(junk)
            await send(channels.joiner, b"still here")
            assert await receive(channels.host, 10) == b"still here"

    run("asyncio", main)


def test_an_acknowledgement_of_everything_costs_little() -> None:
    """The library would note every number in each gap: millions for one packet."""

    async def main() -> None:
        async with open_channels() as channels:
            side = association(channels.offer)
            chunk = aiortc_sctp.SackChunk()
            chunk.cumulative_tsn = association(channels.answer)._last_sacked_tsn
            chunk.advertised_rwnd = WINDOW
            chunk.gaps = [(2, 65535)] * 200
            handled: list[int] = []
            parent = RTCSctpTransport._receive_sack_chunk

            async def receive_sack(self: RTCSctpTransport, one: aiortc_sctp.SackChunk) -> None:
                handled.append(len(one.gaps))
                await parent(self, one)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(RTCSctpTransport, "_receive_sack_chunk", receive_sack)
                await side._send_chunk(chunk)
                while not handled:
                    await send(channels.joiner, b"x")
                    assert await receive(channels.host, 1) == b"x"
                    await send(channels.host, b"y")
                    assert await receive(channels.joiner, 1) == b"y"
            assert set(handled) == {0}

    run("asyncio", main)


@pytest.mark.parametrize("text", ["", "v=0", "x" * 13_000, "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"])
def test_a_damaged_description_leaves_nothing_open(text: str) -> None:
    async def main() -> None:
        with pytest.raises(ProtocolError):
            await DataChannelAnswer().create(text)
        offer = DataChannelOffer()
        await offer.create()
        with pytest.raises(ProtocolError):
            await offer.accept(text)

    run("asyncio", main, debug=True)


def test_an_attempt_without_a_way_ends_in_time(loop: str) -> None:
    """The host's answer names an address where nobody is."""

    def change(answer: str) -> str:
        lines = [line for line in answer.splitlines() if not line.startswith("a=candidate")]
        return "\r\n".join([*lines, "a=candidate:1 1 udp 99 192.0.2.250 50000 typ host", ""])

    async def main() -> None:
        offer, answer = DataChannelOffer(), DataChannelAnswer()
        text = await answer.create(await offer.create())
        await answer.close()
        await offer.accept(change(text))
        with pytest.raises(Exception, match=r"No data channel could be opened within 0\.3 s\."):
            await offer.open(0.3)
        with pytest.raises(ConnectError, match="was closed before"):
            await answer.open(1)

    run(loop, main, debug=True)


def test_closing_at_any_moment_leaves_nothing_open(loop: str) -> None:
    async def main() -> None:
        for moment in range(6):
            offer, answer = DataChannelOffer(), DataChannelAnswer()
            if moment > 0:
                text = await offer.create()
            if moment > 1:
                text = await answer.create(text)
            if moment > 2:
                await offer.accept(text)
            if moment > 3:
                waiting = asyncio.create_task(offer.open())
                await asyncio.sleep(0.01 * (moment - 3))
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    (await waiting).close()
            await offer.close()
            await offer.close()
            await answer.close()

    run(loop, main, debug=True)


def test_a_joiner_of_another_program_is_refused() -> None:
    async def main() -> None:
        offer, answer = DataChannelOffer(), DataChannelAnswer()
        await offer.accept(await answer.create(await offer.create(protocol="")))
        (await offer.open()).close()
        with pytest.raises(ConnectError, match="unknown protocol"):
            await answer.open()
        await offer.close()

    run("asyncio", main, debug=True)


def test_urls_of_servers() -> None:
    urls = ["stun:a.example", "stun:192.0.2.1:19302", "turn:b.example", "turn:[2001:db8::1]:80?transport=tcp"]
    urls += ["turns:c.example", "turns:d.example?transport=udp", "http://e.example", "turn:", "stun:f.example:99999"]
    urls += ["turn:g.example"]
    stun, turn = parse_servers([Server(url, "user", "secret") for url in urls])
    assert [(one.host, one.port) for one in stun] == [("a.example", 3478), ("192.0.2.1", 19302)]
    assert [(one.host, one.port, one.transport, one.is_secure) for one in turn] == [
        ("b.example", 3478, "udp", False),
        ("2001:db8::1", 80, "tcp", False),
        ("c.example", 5349, "tcp", True),
    ]  # the list has a limit
    assert "secret" not in repr(turn)


def test_the_library_is_loaded_when_it_is_needed() -> None:
    """It takes half a second, which a call without data channels should not wait for."""
    code = "import sys, teleglyph.net.data_channel; print('aiortc' in sys.modules)"
    root = Path(__file__).parents[3] / "src"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert found.stdout == "False\n"
