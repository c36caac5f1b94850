"""The queue in front of a connection's writer."""

import asyncio

import pytest

from teleglyph.net.outbox import Outbox, OutboxBudget, OutboxLimits, Outgoing


def sealed(data: bytes) -> Outgoing:
    return Outgoing(data, raw=False)


def test_a_batch_holds_sound_then_control_then_one_frame() -> None:
    outbox = Outbox()
    outbox.queue_frame(b"frame")
    outbox.queue_control(b"first")
    outbox.queue_control(b"second")
    outbox.queue_audio(b"sound", 0.02)
    assert outbox.next_batch() == [sealed(b"sound"), sealed(b"first"), sealed(b"second"), sealed(b"frame")]
    assert outbox.idle


def test_raw_bytes_keep_their_place_among_control_packets() -> None:
    outbox = Outbox()
    outbox.queue_raw(b"handshake")
    outbox.queue_control(b"packet")
    assert outbox.next_batch() == [Outgoing(b"handshake", raw=True), sealed(b"packet")]


def test_a_newer_frame_replaces_the_waiting_one_and_the_drop_is_counted() -> None:
    outbox = Outbox()
    for number in range(5):
        outbox.queue_frame(b"%d" % number)
    assert outbox.next_batch() == [sealed(b"4")]
    assert outbox.counters.video_dropped == 4
    assert outbox.counters.video_frames == 1


def test_the_prefix_of_a_dropped_frame_is_sent_before_the_newer_frame() -> None:
    outbox = Outbox()
    outbox.queue_frame(b"old", prefix=b"clear")
    outbox.queue_frame(b"new")
    assert outbox.next_batch() == [sealed(b"clear"), sealed(b"new")]


def test_the_prefix_is_sent_once() -> None:
    outbox = Outbox()
    outbox.queue_frame(b"one", prefix=b"clear")
    outbox.next_batch()
    outbox.queue_frame(b"two")
    assert outbox.next_batch() == [sealed(b"two")]


def test_the_oldest_sound_is_dropped_over_the_limit() -> None:
    outbox = Outbox(OutboxLimits(audio_seconds=0.1))
    for number in range(8):
        outbox.queue_audio(b"%d" % number, 0.02)
    assert outbox.next_batch() == [sealed(b"%d" % number) for number in range(3, 8)]
    assert outbox.counters.audio_dropped == 3


def test_one_sound_packet_over_the_limit_is_still_sent() -> None:
    outbox = Outbox(OutboxLimits(audio_seconds=0.1))
    outbox.queue_audio(b"long", 0.5)
    assert outbox.next_batch() == [sealed(b"long")]


def test_control_over_its_limit_reports_a_slow_peer_once_and_drops_nothing() -> None:
    reports: list[str] = []
    outbox = Outbox(OutboxLimits(control_bytes=10), on_overflow=lambda: reports.append("slow"))
    for _ in range(4):
        outbox.queue_control(b"12345")
    assert reports == ["slow"]
    assert outbox.next_batch() == [sealed(b"12345")] * 4


def test_a_batch_stays_within_its_budget_and_leaves_the_frame_for_later() -> None:
    outbox = Outbox(OutboxLimits(batch_bytes=10))
    for number in range(3):
        outbox.queue_control(b"%09d" % number)
    outbox.queue_frame(b"frame")
    assert outbox.next_batch() == [sealed(b"%09d" % 0), sealed(b"%09d" % 1)]
    assert outbox.next_batch() == [sealed(b"%09d" % 2), sealed(b"frame")]


def test_closing_keeps_control_and_drops_media() -> None:
    outbox = Outbox()
    outbox.queue_control(b"farewell")
    outbox.queue_frame(b"frame")
    outbox.queue_audio(b"sound", 0.02)
    outbox.close()
    outbox.queue_control(b"too late")
    assert not outbox.finished
    assert outbox.next_batch() == [sealed(b"farewell")]
    assert outbox.finished


@pytest.mark.parametrize("action", ["queue_control", "queue_frame", "close"])
def test_the_writer_is_called(action: str) -> None:
    outbox = Outbox()
    calls: list[bool] = []
    outbox.on_ready = lambda: calls.append(outbox.idle)
    getattr(outbox, action)(*([b"x"] if action != "close" else []))
    assert calls == [action == "close"]


def test_queued_bytes_count_every_lane() -> None:
    outbox = Outbox()
    outbox.queue_control(b"123")
    outbox.queue_audio(b"12", 0.02)
    outbox.queue_frame(b"1234")
    assert outbox.queued_bytes == 9
    outbox.next_batch()
    assert outbox.queued_bytes == 0


def test_queued_packets_of_a_group_can_be_purged() -> None:
    budget = OutboxBudget(1000)
    outbox, other = Outbox(budget=budget), Outbox(budget=budget)
    one, two, body = object(), object(), b"b" * 50
    outbox.queue_control(b"answer")
    for group in (one, two, one):
        outbox.queue_shared(b"head", body, group)
    other.queue_shared(b"head", body, one)
    assert (budget.used, outbox.queued_messages) == (6 + 4 * 54, 4)
    assert outbox.purge(one) == 2
    assert outbox.purge(one) == 0
    assert (budget.used, outbox.counters.purged) == (6 + 2 * 54, 2)
    batch = outbox.next_batch()
    assert batch == [sealed(b"answer"), Outgoing(b"head", True, body, two)]
    assert batch[1].body is body, "by reference"
    other.discard()
    assert budget.used == 0


def test_an_outbox_is_congested_above_its_soft_limits_and_overflows_above_its_hard_ones() -> None:
    overflows: list[bool] = []
    limits = OutboxLimits(soft_bytes=100, soft_messages=3, control_bytes=200, control_messages=5)
    by_size = Outbox(limits, on_overflow=lambda: overflows.append(True))
    by_size.queue_shared(b"", bytes(100), None)
    assert not by_size.is_congested
    by_size.queue_control(b"x")
    assert by_size.is_congested
    assert not overflows
    by_size.queue_control(bytes(100))
    assert overflows == [True]
    by_number = Outbox(limits, on_overflow=lambda: overflows.append(False))
    for _ in range(4):
        by_number.queue_control(b"x")
    assert by_number.is_congested
    for _ in range(2):
        by_number.queue_control(b"x")
    assert overflows == [True, False]
    assert by_number.counters.peak_control_messages == 6


def test_bytes_that_the_transport_holds_count() -> None:
    outbox = Outbox(OutboxLimits(soft_bytes=100))
    outbox.in_flight = 101
    assert outbox.is_congested
    outbox.in_flight = 0
    assert not outbox.is_congested


def test_an_exhausted_budget_congests_outboxes_with_queued_packets() -> None:
    budget = OutboxBudget(100)
    slow, quick = Outbox(budget=budget), Outbox(budget=budget)
    slow.queue_control(bytes(101))
    assert slow.is_congested
    assert not quick.is_congested, "nothing waits for this one"
    slow.next_batch()
    assert not slow.is_congested


def test_wait_until_below_ends_when_the_writer_took_enough_or_the_connection_closes() -> None:
    async def run() -> None:
        outbox = Outbox(OutboxLimits(batch_bytes=10))
        for _ in range(3):
            outbox.queue_control(bytes(10))
        async with asyncio.timeout(1):
            await outbox.wait_until_below(30, 3)
        waiting = asyncio.create_task(outbox.wait_until_below(15, 3))
        few = asyncio.create_task(outbox.wait_until_below(100, 0))
        await asyncio.sleep(0)
        outbox.next_batch()
        await asyncio.sleep(0)
        assert not waiting.done()
        outbox.next_batch()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert waiting.done()
        assert not few.done()
        outbox.release()
        async with asyncio.timeout(1):
            await few
        outbox.queue_control(bytes(10))
        async with asyncio.timeout(1):
            await outbox.wait_until_below(0, 0)

    asyncio.run(run())


def test_raw_bytes_go_to_the_writer_at_once_only_when_nothing_waits() -> None:
    taken: list[bytes] = []

    def take(data: bytes) -> bool:
        taken.append(data)
        return is_free

    outbox = Outbox()
    outbox.try_write = take
    is_free = True
    outbox.queue_raw(b"1")
    outbox.queue_control(b"2")
    outbox.queue_raw(b"3")
    assert taken == [b"1"]
    assert outbox.next_batch() == [sealed(b"2"), Outgoing(b"3", raw=True)]
    is_free = False
    outbox.queue_raw(b"4")
    assert outbox.next_batch() == [Outgoing(b"4", raw=True)]
    outbox.close()
    outbox.queue_raw(b"5")
    assert taken == [b"1", b"4"]
