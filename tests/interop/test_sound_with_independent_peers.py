"""Tones through a real server: peers written from the specification alone hear exactly the others."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import acip_peer as acip
from acip_peer import AcipPeer
from conftest import ServerProcess
from films import make_film_with_sound
from talker import (
    AUDIO_BATCH,
    AUDIO_OPUS_BATCH,
    FRAME,
    RATE,
    STREAM_AUDIO,
    Talker,
    level_of,
    middle,
    opus_batch,
    talk,
    tone,
)
from teleglyph.media.opus import OpusDecoder, OpusEncoder

Connect = Callable[[ServerProcess], AcipPeer]
TONES = (440.0, 660.0, 880.0)
COMMAND = [sys.executable, "-m", "teleglyph", "client"]
EXPECTED = 20 * np.log10(0.2 / np.sqrt(3))
"""Three voices speak at once: each is scaled by 1/sqrt(3); the two that are heard stay below the compressor."""


@pytest.mark.alone
def test_three_tones_each_listener_hears_the_two_others_and_not_its_own(
    server: ServerProcess, connect: Connect
) -> None:
    peers = [connect(server).join(video=False) for _ in TONES]
    talkers = talk(peers, [tone(frequency, 3.0) for frequency in TONES])
    for listener, own in zip(talkers, TONES, strict=True):
        sound = middle(listener.sound)
        for frequency in TONES:
            level = level_of(sound, frequency)
            if frequency == own:
                assert level < EXPECTED - 40, f"{own} Hz hears itself at {level:.1f} dB"
            else:
                assert abs(level - EXPECTED) < 3, f"{frequency} Hz is heard at {level:.1f} dB"


@pytest.mark.alone
def test_a_leading_voice_ducks_the_others(server: ServerProcess, connect: Connect) -> None:
    peers = [connect(server).join(video=False) for _ in TONES]
    loud, quiet = tone(TONES[0], 3.0, 0.4), tone(TONES[1], 3.0, 0.05)
    listener = talk(peers, [loud, quiet, np.zeros(3 * RATE, np.float32)])[2]
    sound = middle(listener.sound)
    # The quiet voice is 18 dB below the loud one, and ducked by 6 dB.
    difference = level_of(sound, TONES[0]) - level_of(sound, TONES[1])
    assert 21 < difference < 27, f"{difference:.1f} dB"


def test_noise_below_the_gate_is_not_heard(server: ServerProcess, connect: Connect) -> None:
    peers = [connect(server).join(video=False) for _ in range(2)]
    faint = tone(440, 2.0, 0.001)
    listener = talk(peers, [faint, np.zeros(2 * RATE, np.float32)])[1]
    assert not listener.heard or np.abs(listener.sound).max() < 0.001


@pytest.mark.alone
@pytest.mark.parametrize("clock", [0.98, pytest.param(1.02, marks=pytest.mark.thorough)])
def test_a_wrong_clock_does_not_spoil_the_sound(server: ServerProcess, connect: Connect, clock: float) -> None:
    peers = [connect(server).join(video=False) for _ in TONES]
    talkers = talk(peers, [tone(frequency, 3.0) for frequency in TONES], [clock, 1.0, 1.0])
    good = middle(talkers[2].sound)
    assert abs(level_of(good, TONES[1]) - EXPECTED) < 3
    assert level_of(good, TONES[2]) < EXPECTED - 40


def test_a_silent_room_sends_nothing(server: ServerProcess, connect: Connect) -> None:
    peers = [connect(server).join(video=False) for _ in range(2)]
    for peer in peers:
        peer.send(acip.STREAM_START, struct.pack(">I", STREAM_AUDIO))
    assert not [kind for kind, _ in peers[0].packets(1.0) if kind == AUDIO_OPUS_BATCH]


def test_uncompressed_sound_is_heard_too(server: ServerProcess, connect: Connect) -> None:
    peers = [connect(server).join(video=False) for _ in range(2)]
    listener = Talker(peers[1], np.zeros(3 * RATE, np.float32))
    listener.start()
    peers[0].send(acip.STREAM_START, struct.pack(">I", STREAM_AUDIO))
    sound, started = tone(440, 3.0)[::3], time.monotonic()  # 16 kHz
    for number, start in enumerate(range(0, len(sound), 320)):
        time.sleep(max(0.0, started + number * 0.02 - time.monotonic()))
        samples = (sound[start : start + 320] * (2**31 - 1)).astype(">i4").tobytes()
        peers[0].send(AUDIO_BATCH, struct.pack(">IIII", 1, len(samples) // 4, 16_000, 1) + samples)
    listener.join(60)
    assert abs(level_of(middle(listener.sound), 440) - 20 * np.log10(0.2 / np.sqrt(1))) < 3


def test_sound_before_its_stream_is_started_is_refused_with_the_reason(server: ServerProcess, connect: Connect) -> None:
    peer = connect(server).join()
    peer.send(AUDIO_OPUS_BATCH, opus_batch(OpusEncoder().encode(np.zeros(FRAME, np.float32))))
    farewell = peer.wait_closed()
    assert any(b"before audio stream enabled" in payload for _, payload in farewell)


@pytest.mark.alone
def test_a_films_flash_and_click_arrive_together(server: ServerProcess, connect: Connect, tmp_path: Path) -> None:
    film = make_film_with_sound(tmp_path / "film.mkv", 7.0)
    viewer = connect(server).join(video=False, columns=40, rows=20)
    viewer.send(acip.STREAM_START, struct.pack(">I", STREAM_AUDIO))
    decoder = OpusDecoder()
    flashes: list[float] = []
    clicks: list[float] = []
    with subprocess.Popen(
        [*COMMAND, f"127.0.0.1:{server.port}", "--name", "film", "--file", str(film)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    ) as client:
        was_bright = was_loud = False
        pinged = deadline = time.monotonic()
        deadline += 30
        while (len(flashes) < 5 or len(clicks) < 5) and time.monotonic() < deadline:
            for kind, payload in viewer.packets(0.2):
                now = time.monotonic()
                if kind == acip.ASCII_FRAME:
                    shades = [int(shade) for shade in re.findall(r"38;2;(\d+);", acip.frame_text(payload))]
                    is_bright = bool(shades) and max(shades) > 200
                    flashes += [now] if is_bright and not was_bright else []
                    was_bright = is_bright
                elif kind == AUDIO_OPUS_BATCH:
                    (count,) = struct.unpack_from(">I", payload, 8)
                    is_loud = bool(np.abs(decoder.decode(payload[16 + 2 * count :])).max() > 0.1)
                    clicks += [now] if is_loud and not was_loud else []
                    was_loud = is_loud
                if now - pinged > 0.4:
                    pinged = now
                    viewer.send(acip.PING)
        client.terminate()
        assert client.wait(10) == 0
    distances = [min(abs(flash - click) for click in clicks) for flash in flashes[:5]]
    assert len(distances) == 5
    # On a busy machine the film's sound arrives unevenly, and the server holds it back for as long as it does.
    report = server.wait_for_log(r"film.* audio_jitter_ms=")
    uneven = float(report.split("audio_jitter_ms=")[1].split()[0]) / 1000
    assert sorted(distances)[2] < 0.06 + 0.02 + uneven, "a packet of 20 ms plays for 20 ms"
