"""Viewers behind slow links see a fresh picture, as good as the link allows, and nobody else is affected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from acip_peer import ASCII_FRAME, PING, AcipPeer, frame_text
from conftest import ServerProcess
from screen_viewer import Sender, SlowLink, Viewer
from teleglyph.wire.acip import UpdateLevel, ViewSettings

pytestmark = pytest.mark.alone

Servers = tuple[ServerProcess, ServerProcess]
SETTLING, WATCHED = 5.0, 6.0
"""Seconds until a link's step is about found, and for which it is watched then."""
IDLE_AGE, IDLE_RATE = 0.1, 29.0
"""How old a screen of 40x12 characters is at most, and how many there are a second, while a machine is idle."""


@dataclass
class Seen:
    """What a viewer behind a slow link and another without one saw during a measurement.

    A third viewer watches the same on another server.  It shows what the machine could do meanwhile.

    Attributes:
        median_age, age: of the slow viewer's screen in seconds: the median and the 95th percentile.
        rate: its screens per second.
        bits: all that it received, per second.
        levels: of all its updates, including earlier ones.
        other_age, other_rate: the same for the other viewer.
        own_age, own_rate: the same for the viewer on the other server.
        passed: the fraction of the time in which the link could forward data.
        paused: the longest time in which it could not, in seconds.
    """

    median_age: float
    age: float
    rate: float
    bits: float
    levels: list[int]
    other_age: float
    other_rate: float
    own_age: float
    own_rate: float
    passed: float
    paused: float

    @property
    def late(self) -> float:
        """Seconds by which a busy machine may be later: pictures, the link and acknowledgements each wait for it."""
        return 3 * max(0.0, self.own_age - IDLE_AGE) + 3 * self.paused

    @property
    def speed(self) -> float:
        """The part of an idle machine's screens that this one could show, there and back."""
        return float((min(1.0, self.own_rate / IDLE_RATE) * self.passed) ** 2)

    def assert_others_do_not_notice(self) -> None:
        """Whether the other viewer saw what it would see without the slow one."""
        assert self.other_age <= max(0.15, self.own_age + 0.05)
        assert self.other_rate >= min(25.0, 0.85 * self.own_rate)


@pytest.fixture
def servers(start_server: Callable[..., ServerProcess]) -> Servers:
    """One server to measure, and one to compare it with."""
    return start_server(), start_server()


def watch(
    servers: Servers, rate: float, stall: float = 0.0, settings: ViewSettings | None = None, moving: float = 1.0
) -> Seen:
    async def run() -> Seen:
        server, own_server = servers
        async with SlowLink(server.port, rate, stall) as link:
            senders = [Sender(one, moving) for one in servers]
            slow, other = Viewer(link.port, "slow", settings=settings), Viewer(server.port, "other", 40, 12)
            own = Viewer(own_server.port, "own", 40, 12)
            await asyncio.sleep(SETTLING)
            since, before, overslept = time.monotonic(), slow.client.bytes_in, len(link.overslept)
            await asyncio.sleep(WATCHED)
            # Worked out before anything is stopped: afterwards time goes on without screens.
            seen = Seen(
                slow.age(0.5, since),
                slow.age(0.95, since),
                slow.rate(since),
                8 * (slow.client.bytes_in - before) / WATCHED,
                [update.level & UpdateLevel.TOLERANCE for update in slow.updates],
                other.age(0.95, since),
                other.rate(since),
                own.age(0.95, since),
                own.rate(since),
                1 - sum(link.overslept[overslept:]) / WATCHED,
                max(link.overslept[overslept:]),
            )
            for one in (slow, other, own):
                assert not one.task.done(), "a connection ended"
                await one.leave()
            for sender in senders:
                await sender.stop()
            return seen

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("rate", "p95", "frames"),
    [
        pytest.param(64 << 10, 1.0, 2, id="64K", marks=pytest.mark.thorough),
        pytest.param(256 << 10, 0.3, 8, id="256K"),
        pytest.param(1 << 20, 0.2, 20, id="1M", marks=pytest.mark.thorough),
    ],
)
def test_the_picture_stays_fresh_and_others_are_unaffected(
    servers: Servers, rate: int, p95: float, frames: float
) -> None:
    seen = watch(servers, rate)
    seen.assert_others_do_not_notice()
    if seen.passed < 0.8:
        pytest.skip(f"the machine was too busy for a link of {rate >> 10} KiB/s: it passed {seen.passed:.0%}")
    assert seen.age <= p95 + seen.late
    assert seen.rate >= frames * seen.speed


def test_after_a_stall_the_picture_is_fresh_again(servers: Servers) -> None:
    seen = watch(servers, 256 << 10, stall=0.5)
    assert seen.median_age <= 0.25 + seen.late
    assert seen.age <= 0.5 + 0.3 + seen.late
    assert seen.rate >= 4 * seen.speed
    seen.assert_others_do_not_notice()


def test_a_slow_link_gets_coarser_pictures_before_it_gets_fewer(servers: Servers) -> None:
    seen = watch(servers, 256 << 10)
    first = next(at for at, level in enumerate(seen.levels) if level)
    assert seen.levels[first] == 1
    assert max(seen.levels) > 2
    changes = sum(one != other for one, other in zip(seen.levels, seen.levels[1:], strict=False))
    assert changes <= 14


def test_the_bit_rate_stays_within_its_limit(servers: Servers) -> None:
    seen = watch(servers, 50e6, settings=ViewSettings(2, max_bitrate=800_000))
    assert max(seen.levels) > 0
    assert seen.age <= 0.4 + seen.late
    assert seen.rate > 5 * seen.speed
    # Sound and pings do not count toward it, but there is little of both here.
    assert 400_000 * seen.speed <= seen.bits <= 880_000


def test_a_viewer_that_never_acknowledges_gets_few_frames_and_harms_nobody(servers: Servers) -> None:
    async def run() -> None:
        server, own_server = servers
        senders = [Sender(one) for one in servers]
        other, own = Viewer(server.port, "other", 40, 12), Viewer(own_server.port, "own", 40, 12)
        mute = Viewer(server.port, "mute", acknowledges=False)
        await asyncio.sleep(4)
        since = time.monotonic()
        received = len(mute.updates)
        await asyncio.sleep(2)
        assert len(mute.updates) == received <= 128
        assert other.rate(since) >= min(25.0, 0.85 * own.rate(since))
        assert not mute.task.done()
        for one in (mute, other, own):
            await one.leave()
        for sender in senders:
            await sender.stop()

    asyncio.run(run())


def test_only_ascii_chat_clients_behind_a_slow_link_get_compressed_frames(
    server: ServerProcess, connect: Callable[[ServerProcess], AcipPeer]
) -> None:
    """Seen from the packets' flags; the texts come out whole in both ways."""
    fast = connect(server).join(video=False, columns=80, rows=24, color=3)

    async def run() -> tuple[list[bytes], list[bytes]]:
        async with SlowLink(server.port, 100_000) as link:
            sender = Sender(server)
            slow = await asyncio.to_thread(AcipPeer, link.port)
            try:
                await asyncio.to_thread(slow.join, video=False, columns=160, rows=48, color=3)
                return await asyncio.gather(asyncio.to_thread(frames, slow, 8.0), asyncio.to_thread(frames, fast, 4.0))
            finally:
                slow.close()
                await sender.stop()

    def frames(peer: AcipPeer, seconds: float) -> list[bytes]:
        received, alive = [], time.monotonic()
        for kind, payload in peer.packets(seconds):
            if kind == ASCII_FRAME:
                received.append(payload)
            if time.monotonic() - alive > 0.4:
                alive = time.monotonic()
                peer.send(PING)
        return received

    slow, fast_frames = asyncio.run(run())
    for payload in (*slow, *fast_frames):
        assert frame_text(payload)
    is_compressed = [payload[23] & 2 != 0 for payload in slow]
    assert any(is_compressed)
    assert not is_compressed[0]
    assert not any(payload[23] & 2 for payload in fast_frames)
