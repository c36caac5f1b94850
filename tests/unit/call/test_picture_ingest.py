"""Senders with every codec: what is decoded, when codecs change, and what damage costs."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import numpy as np
import pytest

from coded_pictures import encode_pictures, moving, plain
from teleglyph.call.decoding import (
    ConfinedDecoding,
    Decoding,
    confinement_available,
    open_decoding,
)
from teleglyph.call.ingest import PictureIngest
from teleglyph.call.limits import CallLimits
from teleglyph.call.picture import PictureSlot
from teleglyph.call.statistics import SenderCounters
from teleglyph.media.picture_codec import PictureCodec

LIMITS = replace(CallLimits(), decoder_share=1.0, decoder_burst=100.0, quick_decoder_share=1.0, quick_decoder_burst=100)
"""Time for everything: how fast this machine is must not matter."""
RED, GREEN, BLUE = (200, 40, 30), (30, 180, 60), (40, 60, 210)
HEVC, VP8, VP9, AV1, H264, JPEG = PictureCodec


class Sender:
    """A participant's ingest with what it counts, and one decoding for it."""

    def __init__(self, decoding: Decoding, limits: CallLimits = LIMITS) -> None:
        self.decoding = decoding
        self.counters = SenderCounters()
        self.slot = PictureSlot()
        self.lost = 0
        self.ingest = PictureIngest(
            self.slot, self.counters, limits, decoding, lambda: None, lambda: None, self._on_lost
        )

    def _on_lost(self) -> None:
        self.lost += 1

    async def show(self, codec: PictureCodec, *bitstreams: bytes) -> None:
        """Queue pictures, and wait until each is decoded or dropped."""
        for bitstream in bitstreams:
            handled = self.handled
            self.ingest.queue(codec, bitstream)
            await until(lambda handled=handled: self.handled > handled)  # type: ignore[misc]

    @property
    def handled(self) -> int:
        counters = self.counters
        return counters.pictures_in + counters.pictures_undecodable + counters.pictures_skipped

    def has_color(self, color: tuple[int, int, int]) -> bool:
        pixels = self.slot.pixels
        return pixels is not None and bool(np.abs(pixels.reshape(-1, 3).astype(int) - color).max() <= 8)


@contextlib.asynccontextmanager
async def sender(confined: bool, limits: CallLimits = LIMITS) -> AsyncIterator[Sender]:
    decoding = open_decoding(limits, confined)
    opened = Sender(decoding, limits)
    try:
        yield opened
    finally:
        await opened.ingest.close()
        assert decoding.memory.held == 0
        await decoding.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def both(test: Callable[..., None]) -> Callable[..., None]:
    confined = pytest.mark.skipif(not confinement_available(), reason="this system cannot confine a process")
    marks = [pytest.param(True, id="process", marks=confined), pytest.param(False, id="thread")]
    return pytest.mark.parametrize("confined", marks)(test)  # type: ignore[no-any-return]


@both
def test_every_codec_is_decoded_with_its_colours(confined: bool) -> None:
    async def run() -> None:
        async with sender(confined) as one:
            for codec in PictureCodec:
                for number, color in enumerate((RED, GREEN, BLUE)):
                    outputs = encode_pictures(codec, [plain(color, (160, 96))] * 2)
                    await one.show(codec, *outputs)
                    assert one.has_color(color), (codec, number)
            assert one.counters.pictures_in == 6 * 3 * 2
            assert one.lost == 0
            assert 0 < one.decoding.memory.held < 20 << 20, "only the newest stream is open"

    asyncio.run(run())


@both
def test_the_codec_changes_only_at_a_keyframe(confined: bool) -> None:
    async def run() -> None:
        async with sender(confined) as one:
            vp8, vp9 = (encode_pictures(codec, moving(3)) for codec in (VP8, VP9))
            await one.show(VP8, *vp8[:2])
            await one.show(VP9, vp9[1])
            assert (one.counters.pictures_in, one.counters.pictures_skipped, one.lost) == (2, 1, 1)
            await one.show(VP8, vp8[2])
            assert one.counters.pictures_in == 3, "the old stream goes on"
            await one.show(VP9, *vp9)
            assert one.counters.pictures_in == 6
            await one.show(VP8, vp8[1])
            assert one.counters.pictures_in == 6, "the old stream is closed"
            assert one.counters.decoder_deaths == 0

    asyncio.run(run())


def test_a_sender_that_changes_its_codec_with_every_picture_holds_one_decoder() -> None:
    async def run() -> None:
        async with sender(confinement_available()) as one:
            keyframes = [(codec, encode_pictures(codec, [plain(RED)])[0]) for codec in PictureCodec]
            for _ in range(10):
                for codec, keyframe in keyframes:
                    await one.show(codec, keyframe)
            assert one.counters.pictures_in == 60
            if isinstance(one.decoding, ConfinedDecoding):
                workers = one.decoding._workers
                await until(lambda: sum(len(worker._streams) for worker in workers) == 1)

    asyncio.run(run())


@both
@pytest.mark.parametrize("codec", PictureCodec)
def test_a_damaged_picture_is_forgotten_at_the_next_keyframe(codec: PictureCodec, confined: bool) -> None:
    async def run() -> None:
        async with sender(confined) as one:
            outputs = encode_pictures(codec, [plain(RED)] * 3)
            await one.show(codec, outputs[0])
            broken = bytearray(outputs[1] if codec is not JPEG else outputs[1][:-40])
            broken[:6] = b"\xff" * 6 if codec is not JPEG else broken[:6]
            one.ingest.queue(codec, bytes(broken))
            one.ingest.queue(codec, outputs[2])
            keyframe = encode_pictures(codec, [plain(BLUE)])[0]
            async with asyncio.timeout(60):
                while not one.has_color(BLUE):  # the first may have been dropped with the damaged one
                    one.ingest.queue(codec, keyframe)
                    await asyncio.sleep(0.05)
            assert one.counters.decoder_deaths == 0

    asyncio.run(run())


def test_a_jpeg_never_needs_a_keyframe() -> None:
    async def run() -> None:
        async with sender(confined=False) as one:
            good = encode_pictures(JPEG, [plain(RED)])[0]
            await one.show(JPEG, good, b"\xff\xd8\xff\xc2", b"no JPEG", good)
            one.ingest.record_loss()
            await one.show(JPEG, good)
            counters = one.counters
            assert (counters.pictures_in, counters.pictures_undecodable, counters.pictures_skipped) == (3, 1, 1)
            assert one.lost == 0
            await one.show(VP8, encode_pictures(VP8, [plain(RED)])[0])
            one.ingest.record_loss()
            assert one.lost == 1

    asyncio.run(run())


@pytest.mark.parametrize("codec", PictureCodec)
def test_a_stream_that_needs_too_much_memory_never_reaches_a_decoder(codec: PictureCodec) -> None:
    limits = replace(LIMITS, decoder_bytes_each=6 << 20)

    async def run() -> None:
        async with sender(confinement_available(), limits) as one:
            await one.show(codec, encode_pictures(codec, moving(1, (1280, 720)))[0])
            assert one.counters.pictures_undecodable == 1
            assert one.decoding.memory.held == 0
            if isinstance(one.decoding, ConfinedDecoding):
                assert one.decoding.processes == [], "nothing was decoded"

    asyncio.run(run())


@pytest.mark.skipif(not confinement_available(), reason="this system cannot confine a process")
def test_closed_streams_leave_no_memory_in_the_process() -> None:
    def held(process: int) -> int:
        with open(f"/proc/{process}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    async def run() -> None:
        async with sender(confined=True) as one:
            assert isinstance(one.decoding, ConfinedDecoding)
            keyframes = [(codec, encode_pictures(codec, moving(1, (640, 480)))[0]) for codec in PictureCodec]
            sizes = []
            for _ in range(12):
                for codec, keyframe in keyframes:
                    await one.show(codec, keyframe)
                (process,) = one.decoding.processes
                sizes.append(held(process))
            # One decoder that is not freed takes about 2 MiB.
            assert max(sizes[6:]) < max(sizes[:6]) + (6 << 20), sizes

    asyncio.run(run())


def test_a_codec_that_is_missing_is_an_undecodable_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PictureCodec.decoder.fget.__globals__["_DECODERS"], AV1, "no such decoder")  # type: ignore[attr-defined]

    async def run() -> None:
        async with sender(confined=False) as one:
            await one.show(AV1, encode_pictures(AV1, [plain(RED)])[0])
            assert one.counters.pictures_undecodable == 1

    asyncio.run(run())
