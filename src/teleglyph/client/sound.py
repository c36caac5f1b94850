"""What is heard and said in a call: microphone to packets, packets to speakers."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable

import numpy as np

from teleglyph.errors import SoundError
from teleglyph.media.jitter import JitterBuffer
from teleglyph.media.opus import SAMPLE_RATE, SILENT_PACKET, OpusEncoder, Samples
from teleglyph.media.soundcard import SoundCard
from teleglyph.media.voice import VoiceProcessor
from teleglyph.net import Connection
from teleglyph.wire import AudioBatch, OpusBatch, StreamKind, StreamStart, encode

_log = logging.getLogger(__name__)

FRAME = 480
"""Samples of a packet that we send: 10 ms."""
VOLUME_STEP, LOUDEST = 0.1, 2.0
_TALK_SECONDS = 0.6
"""How long one press of the talk key lasts; holding it repeats it in time."""
_GATE_OPEN, _GATE_CLOSE = 10 ** (-48 / 20), 10 ** (-54 / 20)
_GATE_HOLD = 0.4
_METER_FALL = 0.85
_METER_FLOOR = -60.0


class CallSound:
    """The sound of one participant.

    The sound card's threads call :meth:`captured` and :meth:`fill`; the rest belongs to the event loop.

    Args:
        push_to_talk: nothing is said but while :meth:`talk` keeps being called.
        has_microphone: what is said comes from a microphone; False if a film's sound is handed to :meth:`captured`.
    """

    def __init__(self, *, push_to_talk: bool = False, has_microphone: bool = True) -> None:
        self._has_microphone = has_microphone
        self.is_muted = False
        self.volume = 1.0
        self._push_to_talk = push_to_talk
        self._talking_until = 0.0
        self._open_until = 0.0
        self._is_open = False
        self._encoder = OpusEncoder()
        self._was_silent = True
        self._rest: Samples = np.zeros(0, np.float32)
        self._voice: VoiceProcessor | None = None
        self._buffer = JitterBuffer()
        self._lock = threading.Lock()
        self._in_level = self._out_level = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None
        self._card: SoundCard | None = None

    # --- the event loop's side ------------------------------------------------------------------------

    def open(self, *, microphone: int | None = None, speakers: int | None = None, silent: bool = False) -> None:
        """Open the sound card; takes a moment, so call it in a thread.

        Raises:
            SoundError: there is none, or no such device.
        """
        try:
            captured = self.captured if self._has_microphone else None
            self._card = SoundCard(captured, self.fill, microphone=microphone, speakers=speakers, silent=silent)
        except SoundError as error:
            if microphone is not None or speakers is not None:
                raise
            # Many machines have only one of the two.
            self._card = self._half_a_card(error)

    def _half_a_card(self, error: SoundError) -> SoundCard:
        for captured, fill in ((None, self.fill), (self.captured, None))[: 1 + self._has_microphone]:
            try:
                return SoundCard(captured, fill)
            except SoundError:
                continue
        raise error

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
        card, self._card = self._card, None
        if card is not None:
            card.close()

    def start(self, connection: Connection) -> None:
        """Speak and listen over a connection from now on."""
        connection.outbox.put_control(encode(StreamStart(StreamKind.AUDIO)))
        self._loop = asyncio.get_running_loop()
        self._connection = connection

    def stop(self) -> None:
        """The connection is gone."""
        self._connection = None

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

    def change_volume(self, steps: int) -> None:
        """Play louder or more quietly."""
        self.volume = round(min(LOUDEST, max(0.0, self.volume + steps * VOLUME_STEP)), 2)

    def describe(self) -> str:
        """For the status line: whether we are heard, both levels in dB of full scale, and the volume."""
        if self.is_muted:
            mine = "mic muted"
        elif self._push_to_talk and not self._may_speak(time.monotonic()):
            mine = "mic off (hold space)"
        else:
            mine = f"mic {_meter(self._in_level)}"
        return f"{mine} | room {_meter(self._out_level)} | volume {self.volume:.0%}"

    # --- the sound card's side ------------------------------------------------------------------------

    def captured(self, samples: Samples) -> None:
        """Take what the microphone hears."""
        now = time.monotonic()
        peak = float(np.abs(samples).max(initial=0.0))
        self._in_level = max(peak, self._in_level * _METER_FALL)
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
        with self._lock:
            samples = self._buffer.pull(count)
        if samples is None:
            samples = np.zeros(count, np.float32)
        played: Samples = np.clip(samples * np.float32(self.volume), -1.0, 1.0).astype(np.float32)
        if self._voice is not None:
            self._voice.played(played)
        self._out_level = max(float(np.abs(played).max(initial=0.0)), self._out_level * _METER_FALL)
        return played

    def _may_speak(self, now: float) -> bool:
        return not self.is_muted and (not self._push_to_talk or now < self._talking_until)

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
        put: Callable[[bytes, float], None] = connection.outbox.put_audio
        try:
            loop.call_soon_threadsafe(put, message, FRAME / SAMPLE_RATE)
        except RuntimeError:  # the event loop is closed
            self._connection = None


def _meter(level: float) -> str:
    """A level as five cells."""
    decibels = 20 * math.log10(max(level, 1e-6))
    cells = round(5 * max(0.0, decibels - _METER_FLOOR) / -_METER_FLOOR)
    return "#" * cells + "." * (5 - cells)
