"""What listeners get of a room's mix."""

import asyncio

import numpy as np
import pytest

from teleglyph.call.sound import BLOCK, LONG_FRAME, SHORT_FRAME, RoomSound, Voice, batch_of, samples_of
from teleglyph.media.opus import SAMPLE_RATE
from teleglyph.net import Outbox
from teleglyph.wire.acip import AudioBatch, OpusBatch
from teleglyph.wire.acip.packet import parse_packet
from teleglyph.wire.acip.packet_type import PacketType

RAW, OPUS, SHORT = 0x01, 0x02, 0x100


@pytest.mark.parametrize(
    ("codecs", "is_raw", "frame"),
    [
        (0, False, LONG_FRAME),
        (RAW, True, LONG_FRAME),
        (OPUS, False, LONG_FRAME),
        (RAW | OPUS, False, LONG_FRAME),
        (RAW | SHORT, True, SHORT_FRAME),
        (RAW | OPUS | SHORT, False, SHORT_FRAME),
        (0x0300_0000, False, LONG_FRAME),  # the byte order of a client's machine
        (0xFFFF_FFFC, False, SHORT_FRAME),
    ],
)
def test_only_clients_with_raw_sound_and_nothing_else_get_it(codecs: int, is_raw: bool, frame: int) -> None:
    voice = Voice(Outbox())
    voice.configure(codecs)
    assert (voice.is_raw, voice.frame) == (is_raw, frame)


def test_samples_survive_as_uncompressed_sound() -> None:
    samples = np.array([0, 0.5, -0.5, 1, -1, 3, -3, 1e-6], np.float32)
    back = samples_of(AudioBatch.decode_payload(batch_of(samples).encode_payload()))
    assert np.allclose(back, np.clip(samples, -1, 1), atol=1e-7)


def mix(seconds: float) -> tuple[list[bytes], list[bytes], Voice]:
    """The packets for a listener with raw sound and one with Opus while somebody else speaks, then is silent."""
    room, speaker, raw, opus = RoomSound(), Voice(Outbox()), Voice(Outbox()), Voice(Outbox())
    raw.configure(RAW)
    voices = (speaker, raw, opus)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE // 50) / SAMPLE_RATE).astype(np.float32)
    packets: dict[int, list[bytes]] = {id(voice): [] for voice in voices}
    for number in range(round(3 * seconds * 50)):
        if number < seconds * 50:
            speaker.inbox.append((batch_of(tone), number * 0.02))
        for voice, packet in room._process(voices, SAMPLE_RATE // 50 // BLOCK):
            packets[id(voice)].append(packet)
    return packets[id(raw)], packets[id(opus)], raw


def test_a_listener_without_opus_hears_the_mix_and_nothing_of_silence() -> None:
    async def run() -> None:
        raw, opus, _ = mix(1.0)
        heard = []
        for data in raw:
            packet = parse_packet(data)
            assert packet.type == PacketType.AUDIO_BATCH
            message = AudioBatch.decode_payload(packet.payload)
            assert (message.sample_rate, message.channels, len(message.samples)) == (48_000, 1, 4 * LONG_FRAME)
            heard.append(samples_of(message))
        assert 40 <= len(raw) <= 75, "silence is not sent"
        assert np.sqrt(np.mean(np.concatenate(heard[10:40]) ** 2)) > 0.02
        assert not heard[-1].any(), "the first packet of a pause says that it is one"
        assert {parse_packet(data).type for data in opus} == {PacketType.AUDIO_OPUS_BATCH}
        assert OpusBatch.decode_payload(parse_packet(opus[0]).payload).frame_duration == 20

    asyncio.run(run())


def test_raw_sound_that_cannot_leave_is_dropped_like_opus() -> None:
    async def run() -> None:
        raw, _, voice = mix(1.0)
        for packet in raw:
            voice.outbox.queue_audio(packet, voice.frame / SAMPLE_RATE)
        waiting = [item.data for item in voice.outbox.next_batch()]
        assert len(waiting) <= 10
        assert waiting[-1] == raw[-1]
        assert voice.outbox.counters.audio_dropped == len(raw) - len(waiting)

    asyncio.run(run())


@pytest.mark.parametrize("codecs", [OPUS, RAW])
def test_packets_may_become_shorter_at_any_time(codecs: int) -> None:
    async def run() -> None:
        for before in range(LONG_FRAME // BLOCK):
            room, listener, speaker = RoomSound(), Voice(Outbox()), Voice(Outbox())
            listener.configure(codecs)
            speaker.inbox.append((batch_of(np.full(SAMPLE_RATE // 5, 0.3, np.float32)), 0.0))
            room._process((listener, speaker), 4 + before)
            listener.configure(codecs | SHORT)
            packets = [packet for voice, packet in room._process((listener, speaker), 8) if voice is listener]
            assert 3 <= len(packets) <= 5, before

    asyncio.run(run())
