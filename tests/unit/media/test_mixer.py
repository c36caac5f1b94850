"""The mixes, by their signals."""

import numpy as np
import pytest

from teleglyph.media.mixer import Mixer, MixerSettings
from teleglyph.media.opus import SAMPLE_RATE

BLOCK = 240


def mixer_for(voices: int, **settings: float) -> Mixer:
    mixer = Mixer(BLOCK, MixerSettings(**settings))
    assert [mixer.add() for _ in range(voices)] == list(range(voices))
    return mixer


def tones(*voices: tuple[float, float], seconds: float = 1.0) -> np.ndarray:
    """A row for each pair of frequency and level."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.stack([level * np.sin(2 * np.pi * frequency * time) for frequency, level in voices]).astype(np.float32)


def mixed(mixer: Mixer, sound: np.ndarray) -> np.ndarray:
    blocks = range(0, sound.shape[1] - BLOCK + 1, BLOCK)
    return np.concatenate([mixer.mix(sound[:, start : start + BLOCK]) for start in blocks], axis=1)


def level(sound: np.ndarray, frequency: float) -> float:
    """Amplitude of a tone in the last half second."""
    part = sound[-SAMPLE_RATE // 2 :]
    window = np.hanning(len(part))
    spectrum = np.abs(np.fft.rfft(part * window)) / (window.sum() / 2)
    return float(spectrum[round(frequency / 2)])


def test_everybody_hears_exactly_the_others() -> None:
    frequencies = (440, 660, 880, 1100)
    heard = mixed(mixer_for(4), tones(*((frequency, 0.1) for frequency in frequencies)))
    for listener in range(4):
        for voice, frequency in enumerate(frequencies):
            expected = 0.0 if voice == listener else 0.1 / np.sqrt(4)
            assert level(heard[listener], frequency) == pytest.approx(expected, abs=0.002)


def test_voices_much_quieter_than_the_leader_are_ducked() -> None:
    heard = mixed(mixer_for(3), tones((440, 0.3), (660, 0.1), (880, 0.0)))[2]
    assert level(heard, 440) / level(heard, 660) == pytest.approx(3 * 10 ** (6 / 20), rel=0.05)
    equals = mixed(mixer_for(3), tones((440, 0.2), (660, 0.15), (880, 0.0)))[2]
    assert level(equals, 440) / level(equals, 660) == pytest.approx(0.2 / 0.15, rel=0.05)


def test_noise_is_gated_and_a_voice_opens_the_gate() -> None:
    faint, audible = 10 ** (-52 / 20), 10 ** (-40 / 20)
    assert level(mixed(mixer_for(2), tones((440, faint), (660, 0.0)))[1], 440) < faint / 100
    assert level(mixed(mixer_for(2), tones((440, audible), (660, 0.0)))[1], 440) == pytest.approx(audible, rel=0.1)


def test_a_loud_mix_is_compressed_with_the_stated_ratio() -> None:
    heard = mixed(mixer_for(2), tones((440, 0.9), (660, 0.0)))[1]
    over = 20 * np.log10(0.9) + 10
    assert 20 * np.log10(level(heard, 440)) == pytest.approx(-10 + over / 4, abs=0.7)


def test_nothing_exceeds_full_scale_and_everything_stays_finite() -> None:
    mixer = mixer_for(8)
    square = np.sign(tones(*((100 + 10 * voice, 1.0) for voice in range(8))))
    assert np.abs(mixed(mixer, square)).max() <= 1.0
    for value in (np.nan, np.inf, -np.inf, 1e30, -1e30):
        assert np.isfinite(mixer.mix(np.full((8, BLOCK), value, np.float32))).all()
    assert np.abs(mixed(mixer, tones(*((440, 0.1) for _ in range(8))))).max() <= 1.0


def test_gains_glide_instead_of_jumping() -> None:
    sound = tones((440, 0.0), (660, 0.1), (880, 0.0), seconds=1.0)
    sound[0, SAMPLE_RATE // 2 :] = tones((440, 0.5))[0, : SAMPLE_RATE // 2]
    heard = mixed(mixer_for(3), sound)[2]
    largest = 2 * np.pi * (0.5 * 440 + 0.1 * 660) / SAMPLE_RATE
    assert np.abs(np.diff(heard)).max() < 1.2 * largest


def test_reused_places_have_no_trace_of_earlier_participants() -> None:
    mixer = mixer_for(3)
    mixed(mixer, np.sign(tones((100, 1.0), (100, 1.0), (100, 1.0))))
    mixer.remove(1)
    assert mixer.add() == 1
    assert mixer.places == 3
    heard = mixed(mixer, tones((440, 0.0), (660, 0.1), (880, 0.0), seconds=4.0))
    assert level(heard[0], 660) == pytest.approx(0.1, rel=0.05)


def test_a_mix_without_participants_is_empty() -> None:
    assert Mixer(BLOCK).mix(np.zeros((0, BLOCK), np.float32)).shape == (0, BLOCK)
