"""What is heard and said in a call: microphone to packets, packets to speakers."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable

import numpy as np

from teleglyph.client.call.sound_device import DeviceState, WatchedDevice
from teleglyph.errors import SoundError
from teleglyph.media.jitter import JitterBuffer
from teleglyph.media.opus import SAMPLE_RATE, SILENT_PACKET, OpusEncoder, Samples
from teleglyph.media.soundcard import SoundCard, list_microphones, list_speakers
from teleglyph.media.voice import VoiceProcessor
from teleglyph.net import Connection
from teleglyph.wire.acip import AudioBatch, OpusBatch, StreamKind, StreamStart, encode

_log = logging.getLogger(__name__)

FRAME = 480
"""Samples of a packet that we send: 10 ms."""
VOLUME_STEP, LOUDEST = 0.1, 2.0
_TALK_SECONDS = 0.6
"""How long one press of the talk key lasts; holding it repeats it in time."""
_GATE_OPEN, _GATE_CLOSE = 10 ** (-48 / 20), 10 ** (-54 / 20)
_GATE_HOLD = 0.4
_METER_FALL, _METER_SECONDS = 0.85, 0.01
"""A meter falls to that part of its level in that time."""
_METER_FLOOR = -60.0
_WATCH_SECONDS, _STALL_SECONDS = 0.5, 2.0
_NO_MICROPHONE = "No microphone was found"


class CallSound:
    """The sound of one participant.

    The sound card's threads call :meth:`captured` and :meth:`fill`; the rest belongs to the event loop.

    Args:
        push_to_talk: nothing is said but while :meth:`talk` keeps being called.
        film: name of the film whose sound is handed to :meth:`captured` instead of a microphone's.

    Attributes:
        on_notice: gets a sentence when a device vanishes or is back, and when a film's sound begins.
    """

    def __init__(self, *, push_to_talk: bool = False, film: str = "") -> None:
        self.on_notice: Callable[[str], None] = _log.info
        self.is_muted = False
        self.volume = 1.0
        self.push_to_talk = push_to_talk
        self._film = film
        self._film_began = self._film_told = False
        self._silent_card = False
        self._microphone = WatchedDevice(self._open_microphone, list_microphones)
        self._speakers = WatchedDevice(self._open_speakers, list_speakers)
        self._talking_until = 0.0
        self._open_until = 0.0
        self._is_open = False
        self._encoder = OpusEncoder()
        self._was_silent = True
        self._rest: Samples = np.zeros(0, np.float32)
        self._voice: VoiceProcessor | None = None
        self._buffer = JitterBuffer()
        self._lock = threading.Lock()
        self._in_level, self._out_level = Meter(), Meter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None
        self._watcher: asyncio.Task[None] | None = None

    # --- the event loop's side ------------------------------------------------------------------------

    def open(self, *, microphone: int | None = None, speakers: int | None = None, silent: bool = False) -> str:
        """Open the sound card; takes a moment, so call it in a thread.

        Returns what is missing and what that means, as a sentence; empty if nothing is.

        Raises:
            SoundError: a device that was asked for is not there, or cannot be used.
        """
        self._silent_card = silent
        deaf = _try_open(self._speakers, speakers)
        if self._film:
            return f"{deaf}: the others hear the film, but you cannot hear them." if deaf else ""
        dumb = _try_open(self._microphone, microphone)
        if dumb and deaf:
            missing = "No microphone and no loudspeakers were found" if dumb == _NO_MICROPHONE else f"{dumb}; {deaf}"
            return f"{missing}: you can neither speak nor hear."
        if dumb:
            return f"{dumb}: you can hear but not speak."
        return f"{deaf}: you can speak but not hear." if deaf else ""

    @property
    def can_speak(self) -> bool:
        """There is something of us to be heard, muted or not."""
        return bool(self._film) or self._microphone.state not in (DeviceState.MISSING, DeviceState.GONE)

    @property
    def can_hear(self) -> bool:
        """There are loudspeakers."""
        return self._speakers.state not in (DeviceState.MISSING, DeviceState.GONE)

    def _open_microphone(self, index: int | None) -> SoundCard:
        return SoundCard(self.captured, None, microphone=index, silent=self._silent_card)

    def _open_speakers(self, index: int | None) -> SoundCard:
        return SoundCard(None, self.fill, speakers=index, silent=self._silent_card)

    def process_voice(self) -> bool:
        """Take echo and noise out of the microphone's sound; False if the optional extra for it is not installed.

        Call it before :meth:`open`.  Loading takes a moment, so call it in a thread.
        """
        try:
            self._voice = VoiceProcessor()
        except ImportError as error:
            _log.debug("No echo cancellation: %s", error)
            return False
        return True

    def close(self) -> None:
        """Close the sound card."""
        self.stop()
        self._microphone.close()
        self._speakers.close()

    def start(self, connection: Connection) -> None:
        """Speak and listen over a connection from now on."""
        connection.send(StreamStart(StreamKind.AUDIO))
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._watcher = self._loop.create_task(self._watch(), name="sound devices")

    def stop(self) -> None:
        """The connection is gone."""
        self._connection = None
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()

    async def _watch(self) -> None:
        """Say when devices vanish and come back, and when a film turns out to have sound."""
        looked_at = time.monotonic()
        devices = (
            (self._microphone, "The microphone is gone: the others cannot hear you.", "The microphone is back."),
            (self._speakers, "The loudspeakers are gone: you cannot hear the others.", "The loudspeakers are back."),
        )
        while True:
            if self._film_began and not self._film_told:
                self._film_told = True
                self.on_notice(f"The sound of {self._film} is sent instead of your microphone.")
            now = time.monotonic()
            for device, gone, back in devices:
                if now - looked_at > _STALL_SECONDS:
                    device.touch(now)  # it was us who stood still: the program was suspended
                if device.is_due(now) and await asyncio.to_thread(device.check, now):
                    self.on_notice(back if device.state is DeviceState.OPEN else gone)
            looked_at = time.monotonic()
            await asyncio.sleep(_WATCH_SECONDS)

    def receive(self, message: OpusBatch | AudioBatch) -> None:
        """Take what the others say."""
        if isinstance(message, OpusBatch):
            now = time.monotonic()
            with self._lock:
                for frame in message.frames:
                    self._buffer.push(frame, now)

    def toggle_mute(self) -> None:
        """Stop speaking, or speak again."""
        self.is_muted = not self.is_muted

    def talk(self) -> None:
        """The talk key is pressed (again)."""
        self._talking_until = time.monotonic() + _TALK_SECONDS

    def change_volume(self, steps: int) -> bool:
        """Play louder or more quietly; False if it is at that end already."""
        before = self.volume
        self.volume = round(min(LOUDEST, max(0.0, self.volume + steps * VOLUME_STEP)), 2)
        return self.volume != before

    def parts(self) -> tuple[str, ...]:
        """For the status line: whether we are heard and how loud (in dB of full scale), the same of the others, and
        the volume."""
        source = "film" if self._film else "mic"
        now = time.monotonic()
        if not self.can_speak:
            mine = "no microphone"
        elif self.is_muted:
            mine = f"{source} muted"
        elif self.push_to_talk and not self._may_speak(now):
            mine = f"{source} off (hold space)"
        else:
            mine = f"{source} {self._in_level.cells(now)}"
        if not self.can_hear:
            return (mine, "no loudspeakers")
        return (mine, f"room {self._out_level.cells(now)}", f"volume {self.volume:.0%}")

    def describe(self) -> str:
        """The parts of the status line in one."""
        return " | ".join(self.parts())

    # --- the sound card's side ------------------------------------------------------------------------

    def captured(self, samples: Samples) -> None:
        """Take what the microphone hears, or the film gives."""
        now = time.monotonic()
        self._microphone.touch(now)
        self._film_began = self._film_began or bool(self._film)
        self._in_level.hear(float(np.abs(samples).max(initial=0.0)), now)
        self._rest = np.concatenate((self._rest, samples))
        while len(self._rest) >= FRAME:
            frame, self._rest = self._rest[:FRAME], self._rest[FRAME:]
            if self._voice is not None:
                frame = self._voice.process(frame)
            if not (self._may_speak(now) and self._passes_gate(frame, now)):
                frame = np.zeros(FRAME, np.float32)
            packet = self._encoder.encode(frame)
            was_silent, self._was_silent = self._was_silent, len(packet) <= SILENT_PACKET
            if not (was_silent and self._was_silent):
                self._send(packet)

    def fill(self, count: int) -> Samples:
        """What the speakers are to play next."""
        self._speakers.touch(time.monotonic())
        with self._lock:
            samples = self._buffer.pull(count)
        if samples is None:
            samples = np.zeros(count, np.float32)
        played: Samples = np.clip(samples * np.float32(self.volume), -1.0, 1.0).astype(np.float32)
        if self._voice is not None:
            self._voice.played(played)
        self._out_level.hear(float(np.abs(played).max(initial=0.0)), time.monotonic())
        return played

    def _may_speak(self, now: float) -> bool:
        return not self.is_muted and (not self.push_to_talk or now < self._talking_until)

    def _passes_gate(self, frame: Samples, now: float) -> bool:
        """A room's noise is not sent; a voice opens the gate, and it stays open for the pauses between words."""
        peak = float(np.abs(frame).max())
        if peak > (_GATE_CLOSE if self._is_open else _GATE_OPEN):
            self._is_open, self._open_until = True, now + _GATE_HOLD
        elif now > self._open_until:
            self._is_open = False
        return self._is_open

    def _send(self, packet: bytes) -> None:
        loop, connection = self._loop, self._connection
        if loop is None or connection is None:
            return
        message = encode(OpusBatch(SAMPLE_RATE, 1000 * FRAME // SAMPLE_RATE, (packet,)))
        put: Callable[[bytes, float], None] = connection.outbox.queue_audio
        try:
            loop.call_soon_threadsafe(put, message, FRAME / SAMPLE_RATE)
        except RuntimeError:  # the event loop is closed
            self._connection = None


def _try_open(device: WatchedDevice, index: int | None) -> str:
    """Open a device, and say why it cannot be; empty if it is open.

    Raises:
        SoundError: it was asked for, and cannot be opened.
    """
    try:
        device.open(index, time.monotonic())
    except SoundError as error:
        if index is not None:
            raise
        return str(error).removesuffix(".")
    return ""


class Meter:
    """A level that rises at once and falls with time, also when nothing more comes."""

    def __init__(self) -> None:
        self._level = 0.0
        self._at = 0.0

    def hear(self, peak: float, now: float) -> None:
        """Take the peak of some samples, 1.0 at full scale, at a time in seconds."""
        self._level, self._at = max(peak, self.level(now)), now

    def level(self, now: float) -> float:
        """The level at a time."""
        return self._level * math.pow(_METER_FALL, max(0.0, now - self._at) / _METER_SECONDS)

    def cells(self, now: float) -> str:
        """The level at a time, as five cells."""
        decibels = 20 * math.log10(max(self.level(now), 1e-6))
        cells = round(5 * max(0.0, decibels - _METER_FLOOR) / -_METER_FLOOR)
        return "#" * cells + "." * (5 - cells)
