"""The effect of WebRTC's audio processing on a microphone.  Levels are those of signals, not of settings."""

import builtins
import sys
from typing import Any

import numpy as np
import pytest

from teleglyph.client.call.sound import CallSound
from teleglyph.media.opus import Samples
from teleglyph.media.voice import BLOCK, VoiceProcessor, voice_available

RATE = 48_000
DELAY = 4 * BLOCK


def level(samples: np.ndarray) -> float:
    """In dB of full scale."""
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def syllables(seconds: float, seed: int, pitch: float) -> np.ndarray:
    """Something with the ups and downs and the harmonics of speech, at about -20 dB."""
    places = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(places)) * 0.03
    voice = sum(np.sin(2 * np.pi * pitch * number * places + number) / number for number in range(1, 12))
    loudness = np.clip(np.sin(2 * np.pi * 2.3 * places + seed), 0, 1)
    return ((0.1 * voice + noise) * loudness).astype(np.float32)  # type: ignore[no-any-return]


def run(far: np.ndarray, near: np.ndarray) -> np.ndarray:
    processor = VoiceProcessor()
    heard = []
    for start in range(0, len(far) - BLOCK + 1, BLOCK):
        processor.played(far[start : start + BLOCK])
        heard.append(processor.process(near[start : start + BLOCK]))
    return np.concatenate(heard)


def delayed(samples: np.ndarray, by: int, gain: float) -> np.ndarray:
    return np.concatenate((np.zeros(by, np.float32), gain * samples[: len(samples) - by])).astype(np.float32)


def test_the_extra_is_installed_for_the_tests() -> None:
    assert voice_available()


def test_the_echo_of_the_speakers_is_removed_and_the_voice_stays() -> None:
    far, near = syllables(8, 1, 150), syllables(8, 2, 220)
    echo = delayed(far, DELAY, 0.3)
    tail = slice(4 * RATE, None)
    cleaned = run(far, echo)
    assert level(cleaned[tail]) < level(echo[tail]) - 30
    quiet = np.zeros_like(far)
    voice = run(quiet, near)
    assert level(voice[tail]) > level(near[tail]) - 6


def test_steady_noise_is_suppressed() -> None:
    noise = (0.01 * np.random.default_rng(3).standard_normal(6 * RATE)).astype(np.float32)
    cleaned = run(np.zeros_like(noise), noise)
    assert level(cleaned[3 * RATE :]) < level(noise) - 6


def test_blocks_of_any_length_are_played_but_only_whole_ones_processed() -> None:
    processor = VoiceProcessor()
    for length in (1, 479, 480, 1000, 0, 7):
        processor.played(np.zeros(length, np.float32))
    with pytest.raises(ValueError, match="480"):
        processor.process(np.zeros(479, np.float32))


def test_invalid_samples_do_no_harm() -> None:
    processor = VoiceProcessor()
    for value in (np.nan, np.inf, -np.inf, 1e30):
        processor.played(np.full(BLOCK, value, np.float32))
        assert np.isfinite(processor.process(np.full(BLOCK, value, np.float32))).all()


def test_without_the_extra_a_participant_has_the_gate_only(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> object:
        if name.startswith("livekit"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for module in [name for name in sys.modules if name.startswith("livekit")]:
        monkeypatch.delitem(sys.modules, module)
    sound = CallSound()
    assert sound.process_voice() is False
    sound.capture(np.zeros(BLOCK, np.float32))


def test_a_participants_own_speakers_are_not_sent_back() -> None:
    """The microphone picks up what the speakers play; hardly any of it passes."""
    sound = CallSound()
    assert sound.process_voice() is True
    sent: list[np.ndarray] = []
    encode = sound._encoder.encode

    def note(samples: Samples) -> bytes:
        sent.append(samples)
        return encode(samples)

    sound._encoder.encode = note  # type: ignore[method-assign]
    far = syllables(8, 1, 150)
    echo = delayed(far, DELAY, 0.3)
    for start in range(0, len(far) - BLOCK + 1, BLOCK):
        sound._voice.played(far[start : start + BLOCK])  # type: ignore[union-attr]
        sound.capture(echo[start : start + BLOCK])
    tail = np.concatenate(sent)[4 * RATE :]
    assert level(tail) < level(echo[4 * RATE :]) - 30
