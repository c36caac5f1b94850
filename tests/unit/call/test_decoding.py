"""Decoding pictures of possibly hostile senders in processes that may die."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teleglyph.call.decoder_memory import DecoderMemory
from teleglyph.call.decoding import (
    ConfinedDecoding,
    DecoderDiedError,
    Decoding,
    DecodingError,
    ThreadDecoding,
    confinement_available,
    open_decoding,
)
from teleglyph.call.ingest import PictureIngest
from teleglyph.call.limits import CallLimits
from teleglyph.call.picture import PictureSlot
from teleglyph.call.statistics import SenderCounters
from teleglyph.errors import BadDataError, MediaDecodeError
from teleglyph.media.hevc import HevcEncoder
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.media.picture_decoder import PictureDecoder

LIMITS = CallLimits()
HEVC = PictureCodec.HEVC
needs_confinement = pytest.mark.skipif(not confinement_available(), reason="this system cannot confine a process")


def outputs(count: int, size: tuple[int, int] = (64, 48)) -> list[bytes]:
    """Encoded pictures, each a little brighter than the one before; the first is a keyframe."""
    encoder = HevcEncoder(*size, 30, keyframe_seconds=100)
    pictures = (np.full((size[1], size[0], 3), 10 + number % 200, np.uint8) for number in range(count))
    return [encoder.encode(picture)[0].data for picture in pictures]


@contextlib.asynccontextmanager
async def opened(limits: CallLimits = LIMITS, confined: bool = True) -> AsyncIterator[Decoding]:
    decoding = open_decoding(limits, confined)
    try:
        yield decoding
    finally:
        await decoding.close()


class Sender:
    """A participant's ingest with what it counts."""

    def __init__(self, decoding: Decoding, limits: CallLimits = LIMITS, size: tuple[int, int] | None = None) -> None:
        self.counters = SenderCounters()
        self.slot = PictureSlot()
        self.lost = 0
        self.ingest = PictureIngest(
            self.slot, self.counters, limits, decoding, lambda: size, lambda: None, self._on_lost
        )

    def _on_lost(self) -> None:
        self.lost += 1

    def queue(self, *bitstreams: bytes) -> None:
        for bitstream in bitstreams:
            self.ingest.queue(PictureCodec.HEVC, bitstream)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def both(test: Callable[..., None]) -> Callable[..., None]:
    marks = [pytest.param(True, id="process", marks=needs_confinement), pytest.param(False, id="thread")]
    return pytest.mark.parametrize("confined", marks)(test)  # type: ignore[no-any-return]


@both
def test_pictures_equal_those_of_a_separate_decoder(confined: bool) -> None:
    async def run() -> None:
        async with opened(confined=confined) as decoding:
            assert isinstance(decoding, ConfinedDecoding if confined else ThreadDecoding)
            stream, own = decoding.open_stream(HEVC, False), PictureDecoder(PictureCodec.HEVC)
            for output in outputs(5, (160, 90)):
                decoded, expected = await decoding.decode(stream, output, None), own.decode(output)
                assert decoded.picture is not None
                assert expected is not None
                assert np.array_equal(decoded.picture, expected)
                assert decoded.cpu > 0
            smaller = await decoding.decode(decoding.open_stream(HEVC, False), outputs(1, (160, 90))[0], (40, 20))
            assert smaller.picture is not None
            assert smaller.picture.shape == (22, 40, 3)

    asyncio.run(run())


def memory_for_pictures() -> int:
    """KiB of this process that are shared with decoding processes."""
    mappings = Path("/proc/self/smaps").read_text().split("teleglyph picture")[1:]
    return sum(int(mapping.split("Rss:")[1].split()[0]) for mapping in mappings)


@needs_confinement
def test_the_memory_of_large_pictures_is_released_when_nobody_sends() -> None:
    async def run() -> None:
        async with opened() as decoding:
            large, other = decoding.open_stream(HEVC, False), decoding.open_stream(HEVC, False)
            assert (await decoding.decode(large, outputs(1, (1280, 720))[0], None)).picture is not None
            small = outputs(2, (160, 90))
            await decoding.decode(other, small[0], None)
            assert memory_for_pictures() >= 1280 * 720 * 3 // 1024
            decoding.close_stream(large)
            decoding.close_stream(other)
            await until(lambda: memory_for_pictures() == 0)
            again = await decoding.decode(decoding.open_stream(HEVC, False), small[0], None)
            expected = PictureDecoder(PictureCodec.HEVC).decode(small[0])
            assert again.picture is not None
            assert expected is not None
            assert np.array_equal(again.picture, expected)

    asyncio.run(run())


@both
def test_a_picture_that_fails_ends_its_own_stream_only(confined: bool) -> None:
    async def run() -> None:
        async with opened(replace(LIMITS, max_picture_pixels=64 * 48), confined) as decoding:
            good, bad, first = (
                decoding.open_stream(HEVC, False),
                decoding.open_stream(HEVC, False),
                outputs(2),
            )
            await decoding.decode(good, first[0], None)
            with pytest.raises(DecodingError):
                await decoding.decode(bad, outputs(1, (640, 360))[0], None)
            assert (await decoding.decode(good, first[1], None)).picture is not None

    asyncio.run(run())


@both
def test_a_sender_that_leaves_midway_disturbs_nobody(confined: bool) -> None:
    async def run() -> None:
        async with opened(confined=confined) as decoding:
            pictures = outputs(6)
            stays, stream = Sender(decoding), decoding.open_stream(HEVC, False)
            task = asyncio.ensure_future(decoding.decode(stream, pictures[0], None))
            await asyncio.sleep(0)
            task.cancel()
            decoding.close_stream(stream)
            stays.queue(*pictures)
            await until(lambda: stays.counters.pictures_in == 6)
            await stays.ingest.close()
            assert stays.counters.pictures_undecodable == 0

    asyncio.run(run())


@needs_confinement
def test_the_process_gets_nothing_of_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGLYPH_PASSWORD", "secret")

    async def run() -> None:
        async with opened() as decoding:
            assert isinstance(decoding, ConfinedDecoding)
            assert decoding.processes == []
            with socket.create_server(("127.0.0.1", 0)) as listening:
                os.set_inheritable(listening.fileno(), True)
                await decoding.decode(decoding.open_stream(HEVC, False), outputs(1)[0], None)
            (process,) = decoding.processes
            folder = Path(f"/proc/{process}")
            status = dict(
                line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line
            )
            assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"]) == ("1", "2", "1")
            if os.access(folder / "fd", os.R_OK):
                held = sorted(os.readlink(folder / "fd" / name).split(":")[0] for name in os.listdir(folder / "fd"))
                assert held == ["/dev/null", "/dev/null", "/memfd", "socket"]
                assert b"TELEGLYPH_PASSWORD" not in (folder / "environ").read_bytes()
        assert decoding.processes == []

    asyncio.run(run())


@needs_confinement
def test_a_killed_process_is_restarted_and_everybody_continues_at_a_keyframe() -> None:
    async def run() -> None:
        async with opened() as decoding:
            assert isinstance(decoding, ConfinedDecoding)
            one, other = Sender(decoding), Sender(decoding)
            for sender in (one, other):
                sender.queue(*outputs(3))
            await until(lambda: one.counters.pictures_in == other.counters.pictures_in == 3)
            (process,) = decoding.processes
            os.kill(process, signal.SIGKILL)
            for sender in (one, other):
                sender.queue(outputs(4)[3])
            await until(lambda: one.lost > 0 and other.lost > 0)
            for sender in (one, other):
                sender.queue(*outputs(3))
            await until(lambda: one.counters.pictures_in == other.counters.pictures_in == 6)
            assert decoding.processes != [process]
            assert one.counters.decoder_deaths + other.counters.decoder_deaths <= 1
            for sender in (one, other):
                await sender.ingest.close()
            assert decoding.memory.held == 0

    asyncio.run(run())


@needs_confinement
def test_a_process_that_hangs_is_killed_and_the_third_time_its_sender_is_refused() -> None:
    # On a busy machine a first picture can cost more time than a sender may use, and the second would be skipped.
    unlimited = replace(LIMITS, decoder_burst=100.0, quick_decoder_burst=100.0)

    async def run() -> None:
        async with opened() as decoding:
            assert isinstance(decoding, ConfinedDecoding)
            guilty, innocent = Sender(decoding, unlimited), Sender(decoding, unlimited)
            innocent.queue(*outputs(2))
            for time in range(3):
                seen = guilty.counters.pictures_in
                guilty.queue(outputs(1)[0])
                await until(lambda seen=seen: guilty.counters.pictures_in > seen)  # type: ignore[misc]
                for process in decoding.processes:
                    os.kill(process, signal.SIGSTOP)
                guilty.queue(outputs(2)[1])
                await until(lambda time=time: guilty.counters.decoder_deaths == time + 1)  # type: ignore[misc]
            with pytest.raises(BadDataError, match="ended the decoder 3 times"):
                guilty.queue(outputs(1)[0])
            innocent.queue(outputs(3)[2])
            await until(lambda: innocent.lost > 0)
            innocent.queue(*outputs(2))
            await until(lambda: innocent.counters.pictures_in >= 4)
            assert innocent.counters.decoder_deaths == 0
            for sender in (guilty, innocent):
                await sender.ingest.close()

    asyncio.run(run())


@needs_confinement
@pytest.mark.parametrize(
    "answer", [b"\xff" * 17, b"\1" + b"\xff" * 8 + b"\0" * 8, b"\1" + b"\0" * 16, b"\3" + b"\0" * 16]
)
def test_a_compromised_process_is_not_trusted(answer: bytes) -> None:
    async def run() -> None:
        async with opened() as decoding:
            assert isinstance(decoding, ConfinedDecoding)
            stream, (first, second) = decoding.open_stream(HEVC, False), outputs(2)
            await decoding.decode(stream, first, None)
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            worker = decoding._workers[0]
            assert worker._socket is not None
            worker._socket.close()
            worker._socket = ours
            theirs.send(answer)
            with pytest.raises(DecoderDiedError):
                await decoding.decode(stream, second, None)
            theirs.close()
            assert (await decoding.decode(decoding.open_stream(HEVC, False), first, None)).picture is not None

    asyncio.run(run())


@both
def test_a_sender_that_uses_up_its_time_loses_frames_and_nobody_else_does(confined: bool) -> None:
    # No time at all beyond the first picture: how fast this machine is must not matter.
    poor, rich = replace(LIMITS, decoder_share=1e-9, decoder_burst=1e-9), LIMITS

    async def run() -> None:
        async with opened(confined=confined) as decoding:
            late, other = Sender(decoding, poor), Sender(decoding, rich)
            pictures = outputs(10)
            late.queue(*pictures)
            other.queue(*pictures)
            await until(lambda: other.counters.pictures_in == 10)
            await until(lambda: late.counters.pictures_in + late.counters.pictures_skipped == 10)
            assert late.counters.pictures_in == 1
            assert late.lost > 0
            late.queue(pictures[0])
            assert late.counters.pictures_skipped == 10, "a keyframe does not help without time"
            assert other.counters.pictures_skipped == 0
            assert other.counters.decode_seconds > 0
            for sender in (late, other):
                await sender.ingest.close()

    asyncio.run(run())


@needs_confinement
def test_nobody_waits_behind_a_sender_that_has_used_up_its_time() -> None:
    async def run() -> None:
        async with opened() as decoding:
            assert isinstance(decoding, ConfinedDecoding)
            slow, quick, pictures = (
                decoding.open_stream(HEVC, True),
                decoding.open_stream(HEVC, False),
                outputs(3),
            )
            await decoding.decode(slow, pictures[0], None)
            (process,) = decoding.processes
            os.kill(process, signal.SIGSTOP)
            waiting = asyncio.ensure_future(decoding.decode(slow, pictures[1], None))
            for picture in pictures:
                assert (await decoding.decode(quick, picture, None)).picture is not None
            os.kill(process, signal.SIGCONT)
            with contextlib.suppress(DecoderDiedError):
                await waiting

    asyncio.run(run())


@both
def test_a_hostile_stream_never_reaches_the_decoder(confined: bool) -> None:
    limits = replace(LIMITS, decoder_bytes_each=20 << 20)

    async def run() -> None:
        async with opened(limits, confined) as decoding:
            sender = Sender(decoding, limits)
            sender.queue(outputs(1, (1280, 720))[0])
            await until(lambda: sender.counters.pictures_undecodable == 1)
            assert decoding.memory.held == 0
            if isinstance(decoding, ConfinedDecoding):
                assert decoding.processes == [], "nothing was decoded"
            sender.queue(outputs(1)[0])
            await until(lambda: sender.counters.pictures_in == 1)
            assert 0 < decoding.memory.held <= 20 << 20
            await sender.ingest.close()
            assert decoding.memory.held == 0

    asyncio.run(run())


@both
def test_large_pictures_make_room_for_small_ones(confined: bool) -> None:
    limits = replace(LIMITS, decoder_bytes=50 << 20)

    async def run() -> None:
        async with opened(limits, confined) as decoding:
            large, small = Sender(decoding, limits), Sender(decoding, limits)
            large.queue(outputs(1, (1280, 720))[0])
            await until(lambda: large.counters.pictures_in == 1)
            small.queue(*outputs(1))
            small.queue(*outputs(1, (640, 360)))
            await until(lambda: small.counters.pictures_in == 2)
            assert large.lost > 0
            large.queue(outputs(1, (1280, 720))[0])
            await until(lambda: large.counters.pictures_undecodable == 1)
            assert small.counters.pictures_undecodable == 0
            for sender in (large, small):
                await sender.ingest.close()

    asyncio.run(run())


@needs_confinement
def test_a_costly_sender_moves_to_the_other_process_at_a_keyframe_without_a_loss() -> None:
    limits = replace(LIMITS, quick_decoder_share=1e-9, quick_decoder_burst=1e-9)

    async def run() -> None:
        async with opened(limits) as decoding:
            assert isinstance(decoding, ConfinedDecoding)
            costly, other = Sender(decoding, limits), Sender(decoding)
            for number in range(1, 4):
                costly.queue(*outputs(1))
                await until(lambda number=number: costly.counters.pictures_in == number)  # type: ignore[misc]
            assert len(decoding.processes) == 2
            quick, slow = decoding.processes
            assert os.getpriority(os.PRIO_PROCESS, slow) > os.getpriority(os.PRIO_PROCESS, quick)
            os.kill(slow, signal.SIGSTOP)
            costly.queue(*outputs(1))
            other.queue(*outputs(5))
            await until(lambda: other.counters.pictures_in == 5)
            os.kill(slow, signal.SIGCONT)
            await until(lambda: costly.counters.pictures_in + costly.counters.pictures_undecodable == 4)
            assert costly.counters.pictures_skipped == 0
            for sender in (costly, other):
                await sender.ingest.close()

    asyncio.run(run())


def test_the_budget_evicts_the_largest_only() -> None:
    memory, lost = DecoderMemory(100, 60), []
    for name, amount in (("a", 50), ("b", 30), ("c", 20)):
        memory.reserve(name, amount, lambda name=name: lost.append(name))  # type: ignore[misc]
    assert memory.held == 100
    with pytest.raises(MediaDecodeError):
        memory.reserve("d", 50, lambda: None)
    with pytest.raises(MediaDecodeError):
        memory.reserve("c", 61, lambda: None)
    assert (memory.held, lost) == (100, [])
    memory.reserve("d", 40, lambda: None)
    assert (memory.held, lost) == (90, ["a"])
    memory.release("d")
    memory.release("a")
    assert memory.held == 50


@both
def test_pictures_are_never_decoded_in_threads_that_draw(confined: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()
    decode = PictureDecoder.decode

    def noted(self: PictureDecoder, *arguments: object) -> object:
        threads.add(threading.current_thread().name)
        return decode(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PictureDecoder, "decode", noted)

    async def run() -> None:
        async with opened(confined=confined) as decoding:
            sender = Sender(decoding)
            sender.queue(*outputs(3))
            await until(lambda: sender.counters.pictures_in == 3)
            await sender.ingest.close()

    asyncio.run(run())
    assert threads == (set() if confined else {"decoder_0"})


def test_without_confinement_a_thread_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert isinstance(open_decoding(LIMITS), ThreadDecoding)
