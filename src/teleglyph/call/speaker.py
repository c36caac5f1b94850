"""The sound that one participant sends, up to the room's mixer."""

from __future__ import annotations

import time

from teleglyph.call.limits import CallLimits
from teleglyph.call.sound import RoomSound, Voice
from teleglyph.errors import BadDataError
from teleglyph.net import Outbox, TokenBucket
from teleglyph.wire.acip import AudioBatch, OpusBatch


class Speaker:
    """Receives one participant's sound.

    Args:
        outbox: of the participant, for the sound of the others.
        sound: the room's mix.
    """

    def __init__(self, outbox: Outbox, sound: RoomSound, limits: CallLimits) -> None:
        self.voice = Voice(outbox)
        self._sound = sound
        self._is_on = False
        self._rate = TokenBucket(limits.audio_packets_per_second, limits.audio_packets_per_second / 2)

    @property
    def is_on(self) -> bool:
        """Whether the participant hears the others and may be heard."""
        return self._is_on

    def start(self) -> None:
        """Turn sound on: the participant hears the others and is heard."""
        self._is_on = True
        self._sound.join(self.voice)

    def stop(self) -> None:
        """Turn sound off."""
        self._is_on = False
        self._sound.leave(self.voice)

    def receive_opus(self, message: OpusBatch) -> None:
        """Mix Opus packets.

        Raises:
            BadDataError: sound is off.
        """
        if not self._is_on:
            raise BadDataError("AUDIO_OPUS_BATCH received before audio stream enabled")
        self._mix(message)

    def receive_audio(self, message: AudioBatch) -> None:
        """Mix uncompressed sound, if sound is on."""
        if self._is_on:
            self._mix(message)

    def _mix(self, message: OpusBatch | AudioBatch) -> None:
        if self._rate.allow(time.monotonic()):
            self._sound.receive(self.voice, message)
        else:
            self.voice.counters.packets_over_rate += 1
