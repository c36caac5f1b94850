"""A room's sound: everybody hears all others, and nobody waits for anybody.

Each voice has a jitter buffer.  Every 5 ms one block of each voice is mixed, and every listener's mix is encoded and
queued in the listener's outbox.  Decoding, mixing and encoding run in one thread per room.  A silent room costs
nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from teleglyph.media.jitter import JitterBuffer
from teleglyph.media.mixer import Mixer
from teleglyph.media.opus import SAMPLE_RATE, SILENT_PACKET, OpusEncoder, Samples
from teleglyph.net import Outbox
from teleglyph.wire.acip import AudioBatch, OpusBatch, encode

BLOCK = 240
"""Samples of one tick: 5 ms."""
TICK_SECONDS = BLOCK / SAMPLE_RATE
LONG_FRAME, SHORT_FRAME = 960, 480
"""Samples per packet: 20 ms for ascii-chat's client, 10 ms for ours."""
RAW_SOUND, OPUS_SOUND, SHORT_FRAMES = 0x01, 0x02, 0x100
"""Bits of CLIENT_CAPABILITIES.audio_codecs; by the last one our client asks for short packets."""
_MAX_TICKS = 8
"""Late ticks that are mixed at once; more are skipped, because listeners' buffers hide that better than a burst."""
_INBOX = 64
_FRAMES_PER_MESSAGE = 50
_QUIET_BLOCKS = 60
"""Silent blocks that are still encoded, so that the encoder itself signals the silence to the listener."""
_INT32_SCALE = 1 / 2**31
_FULL_SCALE = 2**31 - 1
_SPEECH_POWER = 10 ** (-42 / 10)
"""Mean square of a block that counts as speech: -42 dB of full scale."""
_SPEECH_SECONDS = 0.4
"""Pauses between words, up to this long, still count as speech."""


@dataclass(frozen=True, slots=True)
class SoundSettings:
    """How mixes are encoded for listeners.

    Attributes:
        bitrate: bits per second for each listener.
        complexity: of Opus, 0 to 10: more takes more CPU time and sounds better.
    """

    bitrate: int = 32_000
    complexity: int = 5


@dataclass(slots=True)
class SoundCounters:
    """Counters of one participant's sound, beside those of the jitter buffer."""

    packets_over_rate: int = 0
    packets_overflowed: int = 0
    """Messages that were dropped before the mixer read them."""
    packets_out: int = 0


@dataclass(slots=True, eq=False)
class Voice:
    """One participant in the mix.

    Attributes:
        outbox: receives its mix.
        frame: samples per packet of its mix.
        is_raw: its mix is sent as AUDIO_BATCH, because the listener has no Opus.
    """

    outbox: Outbox
    frame: int = LONG_FRAME
    is_raw: bool = False
    buffer: JitterBuffer = field(default_factory=JitterBuffer)
    counters: SoundCounters = field(default_factory=SoundCounters)
    inbox: deque[tuple[OpusBatch | AudioBatch, float]] = field(default_factory=deque)
    place: int = -1
    encoder: OpusEncoder | None = None
    mixed: list[Samples] = field(default_factory=list)
    quiet: int = _QUIET_BLOCKS
    was_silent: bool = True
    spoke_at: float = -_SPEECH_SECONDS

    def configure(self, audio_codecs: int) -> None:
        """Send the mix in a form that the listener understands: Opus, unless it has raw sound and nothing else.

        Args:
            audio_codecs: of CLIENT_CAPABILITIES.
        """
        self.frame = SHORT_FRAME if audio_codecs & SHORT_FRAMES else LONG_FRAME
        self.is_raw = audio_codecs & (RAW_SOUND | OPUS_SOUND) == RAW_SOUND

    @property
    def is_speaking(self) -> bool:
        """Whether the participant can be heard, now or a moment ago."""
        return time.monotonic() - self.spoke_at < _SPEECH_SECONDS

    def report(self) -> dict[str, float]:
        """Counters and states as plain values."""
        buffer, counters = self.buffer, self.counters
        return {
            "audio_in": buffer.counters.packets,
            "audio_undecodable": buffer.counters.undecodable,
            "audio_late": buffer.counters.late,
            "audio_dropped": buffer.counters.dropped + counters.packets_overflowed + counters.packets_over_rate,
            "audio_concealed_ms": round(1000 * buffer.counters.concealed_samples / SAMPLE_RATE),
            "audio_jitter_ms": round(1000 * buffer.jitter, 1),
            "audio_buffer_ms": round(1000 * buffer.level, 1),
            "audio_out": counters.packets_out,
            "audio_out_dropped": self.outbox.counters.audio_dropped,
        }


class RoomSound:
    """The mix of one room.

    Args:
        settings: how mixes are encoded.
    """

    def __init__(self, settings: SoundSettings | None = None) -> None:
        self.ticks = 0
        self.skipped_ticks = 0
        self.mix_seconds = 0.0
        """Time spent on decoding, mixing and encoding."""
        self._settings = settings or SoundSettings()
        self._voices: list[Voice] = []
        self._mixer = Mixer(BLOCK)
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mixer")

    # --- on the event loop ----------------------------------------------------------------------------

    def join(self, voice: Voice) -> None:
        """Add a participant, which hears the others and is heard."""
        if voice not in self._voices:
            self._voices.append(voice)

    def leave(self, voice: Voice) -> None:
        """Remove a participant; it may join again."""
        if voice in self._voices:
            self._voices.remove(voice)

    def receive(self, voice: Voice, message: OpusBatch | AudioBatch) -> None:
        """Queue a message of a voice; if too many wait, the oldest is dropped."""
        if len(voice.inbox) >= _INBOX:
            voice.inbox.popleft()
            voice.counters.packets_overflowed += 1
        voice.inbox.append((message, time.monotonic()))
        self._wake.set()

    async def run(self) -> None:
        """Mix until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._wake.wait()
                due = time.monotonic()
                while not self._is_silent():
                    ticks = int((time.monotonic() - due) / TICK_SECONDS) + 1
                    if ticks > _MAX_TICKS:
                        self.skipped_ticks += ticks - _MAX_TICKS
                        due += (ticks - _MAX_TICKS) * TICK_SECONDS
                        ticks = _MAX_TICKS
                    due += ticks * TICK_SECONDS
                    packets = await loop.run_in_executor(self._thread, self._process, tuple(self._voices), ticks)
                    for voice, packet in packets:
                        voice.outbox.queue_audio(packet, voice.frame / SAMPLE_RATE)
                        voice.counters.packets_out += 1
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                self._wake.clear()
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _is_silent(self) -> bool:
        return all(
            not voice.inbox and voice.buffer.is_idle and voice.quiet >= _QUIET_BLOCKS and not voice.mixed
            for voice in self._voices
        )

    # --- in the mixer's thread ------------------------------------------------------------------------

    def _process(self, voices: Sequence[Voice], ticks: int) -> list[tuple[Voice, bytes]]:
        """Run some ticks for these voices, and return the packets for their listeners."""
        started = time.perf_counter()
        self._assign_places(voices)
        packets: list[tuple[Voice, bytes]] = []
        for voice in voices:
            _fill_buffer(voice)
        for _ in range(ticks):
            blocks = np.zeros((self._mixer.places, BLOCK), np.float32)
            for voice in voices:
                block = voice.buffer.pull(BLOCK)
                if block is not None:
                    blocks[voice.place] = block
                    if np.dot(block, block) > _SPEECH_POWER * BLOCK:
                        voice.spoke_at = time.monotonic()
            mixes = self._mixer.mix(blocks)
            for voice in voices:
                packet = self._encode(voice, mixes[voice.place])
                if packet is not None:
                    packets.append((voice, packet))
        self.ticks += ticks
        self.mix_seconds += time.perf_counter() - started
        return packets

    def _assign_places(self, voices: Sequence[Voice]) -> None:
        places = {voice.place for voice in voices}
        for place in self._mixer.used - places:
            self._mixer.remove(place)
        for voice in voices:
            if voice.place < 0 or voice.place not in self._mixer.used:
                voice.place = self._mixer.add()

    def _encode(self, voice: Voice, mix: Samples) -> bytes | None:
        """Add a block to a listener's packet; returns the packet when it is full and not silent."""
        voice.quiet = 0 if mix.any() else voice.quiet + 1
        if voice.quiet >= _QUIET_BLOCKS and not voice.mixed:
            return None
        voice.mixed.append(mix)
        blocks = voice.frame // BLOCK
        if len(voice.mixed) < blocks:
            return None
        # After a change to shorter packets there may be more than fit into one.
        samples = np.concatenate(voice.mixed[-blocks:])
        voice.mixed.clear()
        message: AudioBatch | OpusBatch
        was_silent = voice.was_silent
        if voice.is_raw:
            voice.was_silent = not samples.any()
            message = batch_of(samples)
        else:
            if voice.encoder is None:
                voice.encoder = OpusEncoder(self._settings.bitrate, self._settings.complexity)
            data = voice.encoder.encode(samples)
            voice.was_silent = len(data) <= SILENT_PACKET
            message = OpusBatch(SAMPLE_RATE, 1000 * len(samples) // SAMPLE_RATE, (data,))
        return None if was_silent and voice.was_silent else encode(message)


def _fill_buffer(voice: Voice) -> None:
    while voice.inbox:
        message, now = voice.inbox.popleft()
        if isinstance(message, OpusBatch):
            for frame in message.frames[:_FRAMES_PER_MESSAGE]:
                voice.buffer.push(frame, now)
        else:
            voice.buffer.push_samples(samples_of(message), now)


def batch_of(samples: Samples) -> AudioBatch:
    """Mono samples at 48 kHz as uncompressed sound; what is louder than full scale is clipped."""
    integers = np.clip(samples.astype(np.float64), -1, 1) * _FULL_SCALE
    return AudioBatch(SAMPLE_RATE, 1, integers.astype(">i4").tobytes())


def samples_of(message: AudioBatch) -> Samples:
    """Uncompressed sound as mono samples at 48 kHz, at most the last second of it."""
    frames = len(message.samples) // 4 // message.channels
    most = message.sample_rate
    whole = np.frombuffer(message.samples, ">i4", frames * message.channels).reshape(frames, message.channels)
    mono: Samples = (whole[-most:].mean(axis=1) * _INT32_SCALE).astype(np.float32)
    if message.sample_rate == SAMPLE_RATE or not len(mono):
        return mono
    places = np.arange(int(len(mono) * SAMPLE_RATE / message.sample_rate)) * (message.sample_rate / SAMPLE_RATE)
    resampled: Samples = np.interp(places, np.arange(len(mono)), mono).astype(np.float32)
    return resampled
