"""A participant's sound, without a network."""

import time
from typing import Any

import numpy as np
import pytest

from teleglyph.client.call.sound import LOUDEST, CallSound, Meter
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


def test_a_meter_falls_to_dark_by_itself_when_nothing_more_comes() -> None:
    meter = Meter()
    assert meter.cells(5.0) == "....."
    meter.hear(1.0, 10.0)
    assert meter.cells(10.0) == "#####"
    falling = [meter.cells(10.0 + number * 0.02).count("#") for number in range(40)]
    assert falling == sorted(falling, reverse=True)
    assert meter.cells(11.0) == "....."


def test_a_meter_falls_alike_in_small_and_in_large_steps() -> None:
    often, rarely = Meter(), Meter()
    for meter, step in ((often, 1), (rarely, 5)):
        meter.hear(1.0, 0.0)
        for number in range(step, 21, step):
            meter.hear(0.0, number * 0.01)
    assert often.level(0.2) == pytest.approx(rarely.level(0.2))


def test_with_push_to_talk_the_microphone_is_off_until_the_key_is_pressed() -> None:
    sound = CallSound(push_to_talk=True)
    assert "hold space" in sound.describe()
    sound.talk()
    assert "hold space" not in sound.describe()


without_card = pytest.mark.skipif(bool(list_speakers() or list_microphones()), reason="this machine has a sound card")


@without_card
def test_a_machine_without_a_card_says_what_is_missing_and_what_that_means() -> None:
    sound = CallSound()
    assert sound.open() == "No microphone and no loudspeakers were found: you can neither speak nor hear."
    assert (sound.can_speak, sound.can_hear) == (False, False)
    assert sound.describe() == "no microphone | no loudspeakers"


@without_card
def test_a_film_is_heard_by_the_others_even_without_loudspeakers() -> None:
    sound = CallSound(film="holiday.mp4")
    assert sound.open() == "No loudspeakers were found: the others hear the film, but you cannot hear them."
    assert (sound.can_speak, sound.can_hear) == (True, False)
    sound.captured(np.full(480, 0.9, np.float32))
    assert sound.describe() == "film ##### | no loudspeakers"


@without_card
@pytest.mark.parametrize("choice", [{"microphone": 3}, {"speakers": 0}, {"microphone": 0, "speakers": 0}])
def test_a_device_that_was_asked_for_and_is_not_there_is_an_error(choice: dict[str, Any]) -> None:
    for attempt in (
        CallSound().open,
        lambda **choice: require_devices(**{"microphone": None, "speakers": None, **choice}),
    ):
        with pytest.raises(
            SoundError, match=r"^There is no (microphone|loudspeaker) \d\. No .* found\. Leave --(mic|spe)"
        ):
            attempt(**choice)


def test_a_card_of_both_kinds_is_nothing_to_speak_of() -> None:
    sound = CallSound()
    assert sound.open(silent=True) == ""
    assert (sound.can_speak, sound.can_hear) == (True, True)
    sound.close()


def test_the_volume_says_when_it_is_at_its_end() -> None:
    sound = CallSound()
    assert sound.change_volume(1)
    assert sound.change_volume(30)
    assert not sound.change_volume(1)
    assert sound.volume == LOUDEST
    assert sound.change_volume(-30)
    assert not sound.change_volume(-1)


def test_a_card_that_is_only_a_clock_asks_for_samples_and_gives_silence() -> None:
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
