"""The sound of one participant: microphone to packets, packets to speakers."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

import numpy as np

from teleglyph.client.call.level import LevelMeter, NoiseGate
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
"""Samples in a packet that we send: 10 ms."""
VOLUME_STEP, MAX_VOLUME = 0.1, 2.0
_TALK_SECONDS = 0.6
"""How long one press of the talk key lasts; a held key repeats sooner."""
_WATCH_SECONDS, _STALL_SECONDS = 0.5, 2.0
_NO_MICROPHONE = "No microphone was found"
"""The error of :mod:`teleglyph.media.soundcard` without its full stop."""


class CallSound:
    """The sound of one participant.

    The sound card's threads call :meth:`capture` and :meth:`fill`; everything else runs on the event loop.

    Args:
        push_to_talk: send sound only while :meth:`talk` is called again and again.
        film: name of the film whose sound is passed to :meth:`capture` instead of a microphone's.

    Attributes:
        on_notice: called with a sentence when a device vanishes or returns, and when a film's sound begins.
    """

    def __init__(self, *, push_to_talk: bool = False, film: str = "") -> None:
        self.on_notice: Callable[[str], None] = _log.info
        self.is_muted = False
        self.volume = 1.0
        self.push_to_talk = push_to_talk
        self._film = film
        self._film_began = self._film_announced = False
        self._silent_card = False
        self._microphone = WatchedDevice(self._open_microphone, list_microphones)
        self._speakers = WatchedDevice(self._open_speakers, list_speakers)
        self._talking_until = 0.0
        self._gate = NoiseGate()
        self._encoder = OpusEncoder()
        self._was_silent = True
        self._rest: Samples = np.zeros(0, np.float32)
        self._voice: VoiceProcessor | None = None
        self._buffer = JitterBuffer()
        self._lock = threading.Lock()
        self._in_level, self._out_level = LevelMeter(), LevelMeter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None
        self._watcher: asyncio.Task[None] | None = None

    # --- on the event loop ----------------------------------------------------------------------------

    def open(self, *, microphone: int | None = None, speakers: int | None = None, silent: bool = False) -> str:
        """Open the sound card; blocks for a moment, so call it in a thread.

        Args:
            microphone: number of the device; None for the system's choice.
            speakers: number of the device; None for the system's choice.
            silent: use a sound card that makes no sound.

        Returns:
            A sentence about missing devices and the consequences; empty if there are none.

        Raises:
            SoundError: a device given by number is missing or unusable.
        """
        self._silent_card = silent
        no_speakers = _try_open(self._speakers, speakers)
        if self._film:
            return f"{no_speakers}: the others hear the film, but you cannot hear them." if no_speakers else ""
        no_microphone = _try_open(self._microphone, microphone)
        if no_microphone and no_speakers:
            missing = "No microphone and no speakers were found"
            if no_microphone != _NO_MICROPHONE:
                missing = f"{no_microphone}; {no_speakers}"
            return f"{missing}: you can neither speak nor hear."
        if no_microphone:
            return f"{no_microphone}: you can hear but not speak."
        return f"{no_speakers}: you can speak but not hear." if no_speakers else ""

    @property
    def can_speak(self) -> bool:
        """Whether there is a microphone or a film, muted or not."""
        return bool(self._film) or self._microphone.state not in (DeviceState.MISSING, DeviceState.GONE)

    @property
    def can_hear(self) -> bool:
        """Whether there are speakers."""
        return self._speakers.state not in (DeviceState.MISSING, DeviceState.GONE)

    def _open_microphone(self, index: int | None) -> SoundCard:
        return SoundCard(self.capture, None, microphone=index, silent=self._silent_card)

    def _open_speakers(self, index: int | None) -> SoundCard:
        return SoundCard(None, self.fill, speakers=index, silent=self._silent_card)

    def process_voice(self) -> bool:
        """Remove echo and noise from the microphone's sound; False if the optional extra ``voice`` is not installed.

        Call it before :meth:`open`.  Loading blocks for a moment, so call it in a thread.
        """
        try:
            self._voice = VoiceProcessor()
        except ImportError as error:
            _log.debug("Echo cancellation is off: %s", error)
            return False
        return True

    def close(self) -> None:
        """Close the sound card."""
        self.stop()
        self._microphone.close()
        self._speakers.close()

    def start(self, connection: Connection) -> None:
        """Send and play sound over a connection."""
        connection.send(StreamStart(StreamKind.AUDIO))
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._watcher = self._loop.create_task(self._watch(), name="sound devices")

    def stop(self) -> None:
        """Stop: the connection has ended."""
        self._connection = None
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()

    async def _watch(self) -> None:
        """Report devices that vanish or return, and a film that turns out to have sound."""
        checked_at = time.monotonic()
        devices = (
            (self._microphone, "The microphone is gone: the others cannot hear you.", "The microphone is back."),
            (self._speakers, "The speakers are gone: you cannot hear the others.", "The speakers are back."),
        )
        while True:
            if self._film_began and not self._film_announced:
                self._film_announced = True
                self.on_notice(f"The sound of {self._film} is sent instead of your microphone.")
            now = time.monotonic()
            for device, gone, back in devices:
                if now - checked_at > _STALL_SECONDS:
                    device.touch(now)  # the program was suspended, not the device
                if device.is_due(now) and await asyncio.to_thread(device.check, now):
                    self.on_notice(back if device.state is DeviceState.OPEN else gone)
            checked_at = time.monotonic()
            await asyncio.sleep(_WATCH_SECONDS)

    def receive(self, message: OpusBatch | AudioBatch) -> None:
        """Queue sound from the others for playing."""
        if isinstance(message, OpusBatch):
            now = time.monotonic()
            with self._lock:
                for frame in message.frames:
                    self._buffer.push(frame, now)

    def toggle_mute(self) -> None:
        """Mute or unmute the microphone."""
        self.is_muted = not self.is_muted

    def talk(self) -> None:
        """Handle a press of the talk key."""
        self._talking_until = time.monotonic() + _TALK_SECONDS

    def change_volume(self, steps: int) -> bool:
        """Raise or lower the volume; False if it is at that limit already."""
        before = self.volume
        self.volume = round(min(MAX_VOLUME, max(0.0, self.volume + steps * VOLUME_STEP)), 2)
        return self.volume != before

    def status_fields(self) -> tuple[str, ...]:
        """Texts for the status line: our level, the others' level and the volume."""
        source = "film" if self._film else "mic"
        now = time.monotonic()
        if not self.can_speak:
            mine = "no microphone"
        elif self.is_muted:
            mine = f"{source} muted"
        elif self.push_to_talk and not self._may_speak(now):
            mine = f"{source} off (hold space)"
        else:
            mine = f"{source} {self._in_level.bar(now)}"
        if not self.can_hear:
            return (mine, "no speakers")
        return (mine, f"room {self._out_level.bar(now)}", f"volume {self.volume:.0%}")

    # --- in the sound card's threads ------------------------------------------------------------------

    def capture(self, samples: Samples) -> None:
        """Process samples from the microphone or the film."""
        now = time.monotonic()
        self._microphone.touch(now)
        self._film_began = self._film_began or bool(self._film)
        self._in_level.add(float(np.abs(samples).max(initial=0.0)), now)
        self._rest = np.concatenate((self._rest, samples))
        while len(self._rest) >= FRAME:
            frame, self._rest = self._rest[:FRAME], self._rest[FRAME:]
            if self._voice is not None:
                frame = self._voice.process(frame)
            if not (self._may_speak(now) and self._gate.passes(float(np.abs(frame).max()), now)):
                frame = np.zeros(FRAME, np.float32)
            packet = self._encoder.encode(frame)
            was_silent, self._was_silent = self._was_silent, len(packet) <= SILENT_PACKET
            if not (was_silent and self._was_silent):
                self._send(packet)

    def fill(self, count: int) -> Samples:
        """The next samples for the speakers."""
        self._speakers.touch(time.monotonic())
        with self._lock:
            samples = self._buffer.pull(count)
        if samples is None:
            samples = np.zeros(count, np.float32)
        played: Samples = np.clip(samples * np.float32(self.volume), -1.0, 1.0).astype(np.float32)
        if self._voice is not None:
            self._voice.played(played)
        self._out_level.add(float(np.abs(played).max(initial=0.0)), time.monotonic())
        return played

    def _may_speak(self, now: float) -> bool:
        return not self.is_muted and (not self.push_to_talk or now < self._talking_until)

    def _send(self, packet: bytes) -> None:
        loop, connection = self._loop, self._connection
        if loop is None or connection is None:
            return
        message = encode(OpusBatch(SAMPLE_RATE, 1000 * FRAME // SAMPLE_RATE, (packet,)))
        queue: Callable[[bytes, float], None] = connection.outbox.queue_audio
        try:
            loop.call_soon_threadsafe(queue, message, FRAME / SAMPLE_RATE)
        except RuntimeError:  # the event loop is closed
            self._connection = None


def _try_open(device: WatchedDevice, index: int | None) -> str:
    """Open a device; return the reason if that failed, without its full stop.

    Raises:
        SoundError: a device given by number cannot be opened.
    """
    try:
        device.open(index, time.monotonic())
    except SoundError as error:
        if index is not None:
            raise
        return str(error).removesuffix(".")
    return ""
