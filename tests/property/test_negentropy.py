"""Set reconciliation with a side that shares no code with ours, and with hostile messages."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negentropy_initiator import Initiator, Parser, encode, reconcile, varint
from teleglyph.errors import EventRefusedError
from teleglyph.wire.nostr.negentropy import MIN_FRAME, Records, encode_varint, respond

Item = tuple[int, bytes]

close_ids = st.builds(
    lambda head, tail: bytes([head]) * 30 + bytes([0, tail]), st.sampled_from([0, 1, 255]), st.integers(0, 255)
)
items = st.tuples(st.integers(0, 3) | st.sampled_from([2**53 - 1]), st.binary(min_size=32, max_size=32) | close_ids)
sets = st.lists(items, max_size=80, unique_by=lambda item: item[1])


def many(count: int, seed: int, times: int) -> list[Item]:
    source = random.Random(seed)
    return [(source.randrange(times), source.randbytes(32)) for _ in range(count)]


def check(ours: list[Item], theirs: list[Item], frame: int, initiator: Initiator) -> int:
    records = Records(ours)

    def answered(message: bytes) -> bytes:
        answer = respond(records, message, frame)
        assert len(answer) <= frame
        return answer

    count = reconcile(initiator, answered)
    assert initiator.have == {number for _, number in theirs} - {number for _, number in ours}
    assert initiator.need == {number for _, number in ours} - {number for _, number in theirs}
    return count


@given(sets, sets, sets, st.sampled_from([2, 3, 16]))
def test_both_sides_learn_what_only_one_side_has(
    common: list[Item], ours: list[Item], theirs: list[Item], buckets: int
) -> None:
    times = {number: time for time, number in [*theirs, *ours, *common]}
    own, other = (
        [(times[number], number) for number in {one[1] for one in [*common, *part]}] for part in (ours, theirs)
    )
    check(own, other, 60_000, Initiator(other, buckets=buckets))


@settings(max_examples=20)
@given(
    st.integers(0, 1500),
    st.integers(0, 400),
    st.integers(0, 400),
    st.sampled_from([1, 7, 10**9]),
    st.sampled_from([MIN_FRAME, 5000, 60_000]),
    st.integers(0, 10),
)
def test_small_frames_take_more_rounds_and_lose_nothing(
    common: int, ours: int, theirs: int, times: int, frame: int, seed: int
) -> None:
    shared = many(common, seed, times)
    own, other = shared + many(ours, seed + 100, times), shared + many(theirs, seed + 200, times)
    check(own, other, frame, Initiator(other, max_bytes=frame))


def test_equal_sets_take_one_round_and_a_short_answer() -> None:
    items = many(20_000, 1, 10**9)
    assert check(items, items, 60_000, Initiator(items)) == 1
    assert respond(Records(items), Initiator(items).first(), 60_000) == b"\x61"


def test_one_missing_record_among_many_is_found_with_few_bytes() -> None:
    items = many(20_000, 2, 10**9)
    sent = 0
    records, initiator = Records(items), Initiator(items[1:])

    def answered(message: bytes) -> bytes:
        nonlocal sent
        answer = respond(records, message, 60_000)
        sent += len(answer) + len(message)
        return answer

    assert reconcile(initiator, answered) <= 6
    assert initiator.need == {items[0][1]}
    assert sent < 10_000


def test_an_unknown_version_is_answered_with_ours() -> None:
    for version in (0x60, 0x62, 0x6F):
        assert respond(Records([]), bytes([version]) + b"anything", 60_000) == b"\x61"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "version"),
        (b"\x00", "version"),
        (b"\x61\x00", "too early"),
        (b"\x61\x00\x00\x01" + bytes(15), "too early"),
        (b"\x61\x00\x00\x02\xff\xff\xff\x7f", "too early"),
        (b"\x61\x00\x00\x03", "unknown mode"),
        (b"\x61\x00\x21" + bytes(33) + b"\x00", "prefix of 33"),
        (b"\x61\x00\x00\x00\x00\x00\x00", "ascending"),
        (b"\x61\x05\x01\xff\x00\x01\x01\x01\x00", "ascending"),
        (b"\x61" + b"\xff" * 11, "64 bits"),
        (b"\x61" + b"\xff" * 9 + b"\x7f", "64 bits"),
    ],
)
def test_malformed_messages_are_refused(message: bytes, reason: str) -> None:
    with pytest.raises(EventRefusedError, match=f"^invalid: .*{reason}"):
        respond(Records(many(100, 3, 5)), message, 60_000)


@given(st.binary(max_size=200).map(lambda tail: b"\x61" + tail), st.integers(0, 200))
def test_any_bytes_are_answered_correctly_or_refused(message: bytes, count: int) -> None:
    try:
        answer = respond(Records(many(count, 4, 3)), message, MIN_FRAME)
    except EventRefusedError as error:
        assert str(error).startswith("invalid: ")
    else:
        assert len(answer) <= MIN_FRAME
        list(Parser(answer).ranges())


@given(
    st.lists(
        st.tuples(
            st.tuples(st.integers(0, 4), st.binary(max_size=2).map(lambda head: head.ljust(32, b"\0"))),
            st.sampled_from([0, 1, 2]),
            st.binary(min_size=16, max_size=16),
        ),
        max_size=300,
    ),
    st.integers(0, 400),
)
def test_ordered_ranges_get_an_ordered_answer(ranges: list[tuple[Item, int, bytes]], count: int) -> None:
    message = encode([(bound, mode, (b"", digest, b"\0")[mode]) for bound, mode, digest in sorted(ranges)])
    answer = respond(Records(many(count, 5, 5)), message, MIN_FRAME)
    assert len(answer) <= MIN_FRAME
    list(Parser(answer).ranges())


@given(st.integers(0, 2**64 - 1))
def test_both_sides_encode_numbers_alike(value: int) -> None:
    assert encode_varint(value) == varint(value)


def test_a_fingerprint_hashes_the_sum_of_the_ids_and_their_count() -> None:
    ids = [bytes([255]) * 32, bytes([2]) + bytes(31)]
    records = Records([(1, number) for number in ids])
    total = (2**256 - 1 + 2) % 2**256
    expected = hashlib.sha256(total.to_bytes(32, "little") + b"\x02").digest()[:16]
    assert records.fingerprint(0, 2) == expected
