"""The queue in front of a connection's writer."""

import pytest

from teleglyph.net.outbox import Outbox, OutboxLimits, Outgoing


def sealed(data: bytes) -> Outgoing:
    return Outgoing(data, raw=False)


def test_a_batch_holds_sound_then_control_then_one_frame() -> None:
    outbox = Outbox()
    outbox.put_video(b"frame")
    outbox.put_control(b"first")
    outbox.put_control(b"second")
    outbox.put_audio(b"sound", 0.02)
    assert outbox.take() == [sealed(b"sound"), sealed(b"first"), sealed(b"second"), sealed(b"frame")]
    assert outbox.idle


def test_raw_bytes_keep_their_place_among_control_packets() -> None:
    outbox = Outbox()
    outbox.put_raw(b"handshake")
    outbox.put_control(b"packet")
    assert outbox.take() == [Outgoing(b"handshake", raw=True), sealed(b"packet")]


def test_a_newer_frame_replaces_the_waiting_one_and_the_drop_is_counted() -> None:
    outbox = Outbox()
    for number in range(5):
        outbox.put_video(b"%d" % number)
    assert outbox.take() == [sealed(b"4")]
    assert outbox.counters.video_dropped == 4
    assert outbox.counters.video_frames == 1


def test_the_prefix_of_a_dropped_frame_goes_out_before_the_newer_one() -> None:
    outbox = Outbox()
    outbox.put_video(b"old", prefix=b"clear")
    outbox.put_video(b"new")
    assert outbox.take() == [sealed(b"clear"), sealed(b"new")]


def test_the_prefix_is_sent_once() -> None:
    outbox = Outbox()
    outbox.put_video(b"one", prefix=b"clear")
    outbox.take()
    outbox.put_video(b"two")
    assert outbox.take() == [sealed(b"two")]


def test_the_oldest_sound_goes_when_more_than_the_bound_waits() -> None:
    outbox = Outbox(OutboxLimits(audio_seconds=0.1))
    for number in range(8):
        outbox.put_audio(b"%d" % number, 0.02)
    assert outbox.take() == [sealed(b"%d" % number) for number in range(3, 8)]
    assert outbox.counters.audio_dropped == 3


def test_one_sound_packet_longer_than_the_bound_is_still_sent() -> None:
    outbox = Outbox(OutboxLimits(audio_seconds=0.1))
    outbox.put_audio(b"long", 0.5)
    assert outbox.take() == [sealed(b"long")]


def test_control_over_its_bound_reports_the_peer_as_too_slow_once_and_drops_nothing() -> None:
    reports: list[str] = []
    outbox = Outbox(OutboxLimits(control_bytes=10), on_overflow=lambda: reports.append("slow"))
    for _ in range(4):
        outbox.put_control(b"12345")
    assert reports == ["slow"]
    assert outbox.take() == [sealed(b"12345")] * 4


def test_a_batch_stays_within_its_budget_and_leaves_the_frame_for_later() -> None:
    outbox = Outbox(OutboxLimits(batch_bytes=10))
    for number in range(3):
        outbox.put_control(b"%09d" % number)
    outbox.put_video(b"frame")
    assert outbox.take() == [sealed(b"%09d" % 0), sealed(b"%09d" % 1)]
    assert outbox.take() == [sealed(b"%09d" % 2), sealed(b"frame")]


def test_closing_keeps_control_and_drops_media() -> None:
    outbox = Outbox()
    outbox.put_control(b"farewell")
    outbox.put_video(b"frame")
    outbox.put_audio(b"sound", 0.02)
    outbox.close()
    outbox.put_control(b"too late")
    assert not outbox.finished
    assert outbox.take() == [sealed(b"farewell")]
    assert outbox.finished


@pytest.mark.parametrize("action", ["put_control", "put_video", "close"])
def test_the_writer_is_told(action: str) -> None:
    outbox = Outbox()
    told: list[bool] = []
    outbox.on_ready = lambda: told.append(outbox.idle)
    getattr(outbox, action)(*([b"x"] if action != "close" else []))
    assert told == [action == "close"]


def test_queued_bytes_count_every_lane() -> None:
    outbox = Outbox()
    outbox.put_control(b"123")
    outbox.put_audio(b"12", 0.02)
    outbox.put_video(b"1234")
    assert outbox.queued_bytes == 9
    outbox.take()
    assert outbox.queued_bytes == 0
