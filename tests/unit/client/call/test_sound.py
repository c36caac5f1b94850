"""A participant's sound, without a network."""

import time
from typing import Any

import numpy as np
import pytest

from teleglyph.client.call.sound import MAX_VOLUME, CallSound
from teleglyph.errors import SoundError
from teleglyph.media.opus import OpusEncoder, Samples
from teleglyph.media.soundcard import SoundCard, list_microphones, list_speakers, require_devices
from teleglyph.wire.acip import OpusBatch


def packets(count: int) -> OpusBatch:
    encoder = OpusEncoder(64_000)
    time_ = np.arange(480 * count) / 48_000
    sound = (0.25 * np.sin(2 * np.pi * 440 * time_)).astype(np.float32)
    return OpusBatch(
        48_000, 10, tuple(encoder.encode(sound[start : start + 480]) for start in range(0, len(sound), 480))
    )


def status(sound: CallSound) -> str:
    return " | ".join(sound.status_fields())


def test_received_sound_is_played_at_the_chosen_volume() -> None:
    peaks = []
    for steps in (0, -5, 20):
        sound = CallSound()
        sound.change_volume(steps)
        sound.receive(packets(10))
        played = np.concatenate([sound.fill(480) for _ in range(10)])
        peaks.append(float(np.abs(played).max()))
    assert peaks[0] == pytest.approx(0.25, abs=0.05)
    assert peaks[1] == pytest.approx(peaks[0] / 2, rel=0.05)
    assert peaks[2] == pytest.approx(peaks[0] * MAX_VOLUME, rel=0.05)


def test_without_received_sound_there_is_silence() -> None:
    sound = CallSound()
    assert np.abs(sound.fill(480)).max() == 0
    assert len(sound.fill(123)) == 123


def test_the_status_shows_levels_mute_and_volume() -> None:
    sound = CallSound()
    assert status(sound) == "mic ..... | room ..... | volume 100%"
    sound.capture(np.full(480, 0.9, np.float32))
    assert status(sound).startswith("mic #####")
    sound.toggle_mute()
    sound.change_volume(-30)
    assert status(sound) == "mic muted | room ..... | volume 0%"


def test_with_push_to_talk_the_microphone_is_off_until_the_key_is_pressed() -> None:
    sound = CallSound(push_to_talk=True)
    assert "hold space" in status(sound)
    sound.talk()
    assert "hold space" not in status(sound)


without_card = pytest.mark.skipif(bool(list_speakers() or list_microphones()), reason="this machine has a sound card")


@without_card
def test_without_a_sound_card_a_notice_says_what_is_missing() -> None:
    sound = CallSound()
    assert sound.open() == "No microphone and no speakers were found: you can neither speak nor hear."
    assert (sound.can_speak, sound.can_hear) == (False, False)
    assert status(sound) == "no microphone | no speakers"


@without_card
def test_a_film_is_heard_by_the_others_even_without_speakers() -> None:
    sound = CallSound(film="holiday.mp4")
    assert sound.open() == "No speakers were found: the others hear the film, but you cannot hear them."
    assert (sound.can_speak, sound.can_hear) == (True, False)
    sound.capture(np.full(480, 0.9, np.float32))
    assert status(sound) == "film ##### | no speakers"


@without_card
@pytest.mark.parametrize("choice", [{"microphone": 3}, {"speakers": 0}, {"microphone": 0, "speakers": 0}])
def test_a_chosen_device_that_is_missing_is_an_error(choice: dict[str, Any]) -> None:
    for attempt in (
        CallSound().open,
        lambda **choice: require_devices(**{"microphone": None, "speakers": None, **choice}),
    ):
        with pytest.raises(SoundError, match=r"^There is no (microphone|speaker) \d\. No .* found\. Leave --(mic|spe)"):
            attempt(**choice)


def test_a_card_with_microphone_and_speakers_needs_no_notice() -> None:
    sound = CallSound()
    assert sound.open(silent=True) == ""
    assert (sound.can_speak, sound.can_hear) == (True, True)
    sound.close()


def test_the_volume_reports_its_limits() -> None:
    sound = CallSound()
    assert sound.change_volume(1)
    assert sound.change_volume(30)
    assert not sound.change_volume(1)
    assert sound.volume == MAX_VOLUME
    assert sound.change_volume(-30)
    assert not sound.change_volume(-1)


def test_a_simulated_card_pulls_samples_and_records_silence() -> None:
    asked: list[int] = []
    heard: list[Samples] = []

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
