"""A participant's sound, without a network."""

import time

import numpy as np
import pytest

from teleglyph.client.sound import LOUDEST, CallSound
from teleglyph.errors import SoundError
from teleglyph.media.opus import OpusEncoder
from teleglyph.media.soundcard import SoundCard, list_microphones, list_speakers
from teleglyph.wire import OpusBatch


def packets(count: int) -> OpusBatch:
    encoder = OpusEncoder(64_000)
    time_ = np.arange(480 * count) / 48_000
    sound = (0.25 * np.sin(2 * np.pi * 440 * time_)).astype(np.float32)
    return OpusBatch(
        48_000, 10, tuple(encoder.encode(sound[start : start + 480]) for start in range(0, len(sound), 480))
    )


def test_what_comes_is_played_at_the_chosen_volume() -> None:
    peaks = []
    for steps in (0, -5, 20):
        sound = CallSound()
        sound.change_volume(steps)
        sound.receive(packets(10))
        played = np.concatenate([sound.fill(480) for _ in range(10)])
        peaks.append(float(np.abs(played).max()))
    assert peaks[0] == pytest.approx(0.25, abs=0.05)
    assert peaks[1] == pytest.approx(peaks[0] / 2, rel=0.05)
    assert peaks[2] == pytest.approx(peaks[0] * LOUDEST, rel=0.05)


def test_nothing_comes_nothing_is_played() -> None:
    sound = CallSound()
    assert np.abs(sound.fill(480)).max() == 0
    assert len(sound.fill(123)) == 123


def test_the_status_tells_levels_mute_and_volume() -> None:
    sound = CallSound()
    assert sound.describe() == "mic ..... | room ..... | volume 100%"
    sound.captured(np.full(480, 0.9, np.float32))
    assert sound.describe().startswith("mic #####")
    sound.toggle_mute()
    sound.change_volume(-30)
    assert sound.describe() == "mic muted | room ..... | volume 0%"


def test_with_push_to_talk_the_microphone_is_off_until_the_key_is_pressed() -> None:
    sound = CallSound(push_to_talk=True)
    assert "hold space" in sound.describe()
    sound.talk()
    assert "hold space" not in sound.describe()


def test_a_machine_without_a_card_says_so_in_a_sentence() -> None:
    if list_speakers() or list_microphones():
        pytest.skip("this machine has a sound card")
    with pytest.raises(SoundError, match="No loudspeaker was found"):
        CallSound().open()
    with pytest.raises(SoundError, match="was found"):
        CallSound().open(microphone=3)


def test_a_card_that_is_only_a_clock_asks_for_samples_and_gives_silence() -> None:
    asked, heard = [], []

    def fill(count: int) -> np.ndarray:
        asked.append(count)
        return np.zeros(count, np.float32)

    card = SoundCard(heard.append, fill, silent=True)
    deadline = time.monotonic() + 20
    while (sum(asked) < 4800 or sum(map(len, heard)) < 4800) and time.monotonic() < deadline:
        time.sleep(0.01)
    card.close()
    assert sum(asked) >= 4800
    assert sum(map(len, heard)) >= 4800
    assert all(not np.any(samples) for samples in heard)
