"""Events and filters: the canonical form, every check in its order, and hostile JSON."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.errors import EventRefusedError, InvalidMessageError
from teleglyph.wire.nostr.event import NostrEvent, event_id, parse_json, read_event, readable_id, sign_event
from teleglyph.wire.nostr.filter import Filter, read_filter
from teleglyph.wire.nostr.messages import (
    Authenticate,
    Close,
    Count,
    Publish,
    Request,
    SubscriptionRefusedError,
    closed,
    count,
    event_head,
    notice,
    ok,
    read_message,
)

KEY = bytes(range(1, 33))
HEX = "ab" * 32


def members(event: NostrEvent) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(event.text)
    return decoded


def test_an_event_signed_by_another_program_is_valid() -> None:
    """Signed by rust-nostr; the content has characters that JSON escapes, and others."""
    event = read_event(FOREIGN)
    event.check_id()
    event.check_signature()
    assert json.loads(event.text) == FOREIGN


FOREIGN: dict[str, Any] = {
    "id": "330fc5fdf896b863e97e275fde9e783d6f066e968b00476990419b100455caaa",
    "pubkey": "ebc4e039a6eb531b6521e6b5773744976a7590a2afdb666d7afae969bfb4b497",
    "created_at": 1700000000,
    "kind": 1,
    "tags": [["t", "a\nb"], ["e", "abababababababababababababababababababababababababababababababab"]],
    "content": 'quote " back \\ slash / tab\t nl\n cr\r bs\x08 ff\x0c nul\x00 us\x1f del\x7f ls\u2028 é 😀',
    "sig": "53a5b684f926069580d9c965dcf5a5f737f8fa36a169b9885424d8c3f9347a62"
    "cf3470f3598dd5c79367c3b31a2e357e557faa3b58750b78988c4b401fa86923",
}


def test_the_canonical_form_escapes_what_json_escapes_and_nothing_else() -> None:
    text = "".join(map(chr, range(32))) + '"\\/\x7f\u2028\u2029é😀'
    expected = (
        '[0,"'
        + HEX
        + '",7,1,[["t","'
        + "\\n"
        + '"]],"'
        + "\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f"
        + "".join(f"\\u{number:04x}" for number in range(16, 32))
        + '\\"\\\\/\x7f\u2028\u2029é😀"]'
    )
    assert event_id(HEX, 7, 1, [["t", "\n"]], text) == hashlib.sha256(expected.encode()).hexdigest()


def test_only_unchanged_signed_events_are_valid() -> None:
    event = sign_event(KEY, 1000, 1, [["e", HEX], ["x"]], "hello \U0001f600")
    read = read_event(members(event))
    assert read == event
    read.check_id()
    read.check_signature()
    for name, value in (("content", "hullo"), ("created_at", 1001), ("kind", 2), ("tags", []), ("pubkey", HEX)):
        with pytest.raises(EventRefusedError, match="invalid: the id"):
            read_event({**members(event), name: value}).check_id()
    other = sign_event(bytes(range(2, 34)), 1000, 1, [["e", HEX], ["x"]], "hello \U0001f600")
    for wrong in (
        {**members(event), "sig": other.sig},
        {**members(event), "sig": "00" * 64},
        {**members(event), "sig": "ff" * 64},
        {**members(event), "pubkey": "ff" * 32},
        {**members(event), "pubkey": "00" * 32},
    ):
        with pytest.raises(EventRefusedError, match="invalid: the signature"):
            read_event(wrong).check_signature()


def test_unknown_members_are_dropped() -> None:
    event = sign_event(KEY, 1, 1)
    assert read_event({**members(event), "more": [1]}).text == event.text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("pubkey", "AB" * 32, "pubkey"),
        ("pubkey", 7, "pubkey"),
        ("pubkey", "ab" * 31, "pubkey"),
        ("pubkey", "ab" * 32 + "\n", "pubkey"),
        ("sig", "ab" * 32, "sig"),
        ("sig", "AB" * 64, "sig"),
        ("sig", None, "sig"),
        ("created_at", True, "created_at"),
        ("created_at", 1.0, "created_at"),
        ("created_at", "1", "created_at"),
        ("created_at", -1, "created_at"),
        ("created_at", 2**64, "created_at"),
        ("kind", False, "kind"),
        ("kind", 1.0, "kind"),
        ("kind", "1", "kind"),
        ("kind", -1, "kind"),
        ("kind", 65536, "kind"),
        ("tags", {}, "tags"),
        ("tags", [[]], "tags"),
        ("tags", [["e", 1]], "tags"),
        ("tags", [["e", None]], "tags"),
        ("tags", ["e"], "tags"),
        ("tags", None, "tags"),
        ("content", 1, "content"),
        ("content", None, "content"),
        ("tags", [["t"]] * 11, "at most 10 tags, this one has 11"),
        ("content", "x" * 101, "content has at most 100 characters, this one has 101"),
    ],
)
def test_a_malformed_member_is_invalid(name: str, value: object, text: str) -> None:
    good = members(sign_event(KEY, 1, 1))
    with pytest.raises(EventRefusedError, match=f"invalid: .*{text}"):
        read_event({**good, name: value}, max_tags=10, max_content=100)


@pytest.mark.parametrize("name", ["pubkey", "created_at", "kind", "tags", "content", "sig"])
def test_a_missing_member_is_named(name: str) -> None:
    good = members(sign_event(KEY, 1, 1))
    del good[name]
    with pytest.raises(EventRefusedError, match=f"invalid: the event has no {name}"):
        read_event(good)


@pytest.mark.parametrize("number", ["AB" * 32, "ab" * 33, "x", "ab" * 64])
def test_the_error_for_a_wrong_id_has_that_id(number: str) -> None:
    with pytest.raises(EventRefusedError, match="invalid: id must have 64"):
        read_event({"id": number})
    assert readable_id({"id": number}) == number


@pytest.mark.parametrize("event", [None, [], "x", {}, {"id": 7}, {"id": None}, {"id": ""}, {"id": "a" * 129}])
def test_an_event_without_an_id_is_an_invalid_message(event: object) -> None:
    with pytest.raises(InvalidMessageError):
        read_event(event)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b'{"a":1,"a":2}',
        b'[{"id":"x","id":"y"}]',
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
        b'["\xff"]',
        b"\xed\xa0\x80",
        b'["\x01"]',
        b"[1] x",
    ],
)
def test_invalid_json_gives_one_sentence(data: bytes) -> None:
    with pytest.raises(InvalidMessageError, match="the message is"):
        parse_json(data)


def test_half_a_surrogate_pair_is_invalid_and_not_a_crash() -> None:
    decoded = parse_json(b'{"content":"\\ud800"}')
    with pytest.raises(EventRefusedError, match="surrogate"):
        event_id(HEX, 1, 1, [], decoded["content"])
    with pytest.raises(EventRefusedError, match="surrogate"):
        event_id(HEX, 1, 1, [["t", decoded["content"]]], "")
    assert notice("\ud800") == b'["NOTICE","?"]'
    assert closed("\ud800", "invalid: x") == b'["CLOSED","?","invalid: x"]'
    assert event_head("\ud800") == b'["EVENT","?",'


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidMessageError, SubscriptionRefusedError):
        read_message(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


@given(st.sampled_from(["EVENT", "REQ", "COUNT", "CLOSE", "AUTH", "x"]), st.lists(json_values, max_size=4))
def test_any_json_in_a_message_is_parsed_or_refused(verb: str, rest: list[Any]) -> None:
    try:
        message = read_message(json.dumps([verb, *rest]).encode())
        for members_ in getattr(message, "filters", []):
            read_filter(members_)
        if isinstance(message, Publish | Authenticate):
            read_event(message.members)
    except (InvalidMessageError, EventRefusedError):
        pass


@given(
    st.dictionaries(st.sampled_from(["id", "pubkey", "created_at", "kind", "tags", "content", "sig"]), json_values),
)
def test_damaged_events_are_parsed_or_refused(damage: dict[str, Any]) -> None:
    event = {**members(sign_event(KEY, 1, 1, [["t", "x"]], "y")), **damage}
    try:
        read = read_event(event)
        read.check_id()
        read.check_signature()
        assert read.expires_at is None
    except (InvalidMessageError, EventRefusedError):
        pass


# --- messages ---------------------------------------------------------------------------------------------------------


def test_messages_are_parsed() -> None:
    assert read_message(b'["EVENT",{"id":1}]') == Publish({"id": 1})
    assert read_message(b'["AUTH",{}]') == Authenticate({})
    assert read_message(b'["REQ","s",{},{"limit":1}]') == Request("s", [{}, {"limit": 1}])
    assert read_message(b'["COUNT","s",{}]') == Count("s", [{}])
    assert read_message(b'["CLOSE","s"]') == Close("s")


@pytest.mark.parametrize(
    "data",
    [b"{}", b"[]", b"[1]", b'["NOPE"]', b'["EVENT"]', b'["EVENT",1,2]', b'["REQ"]', b'["REQ",7,{}]', b'["CLOSE",null]'],
)
def test_malformed_and_unknown_messages_are_invalid(data: bytes) -> None:
    with pytest.raises(InvalidMessageError):
        read_message(data)


@pytest.mark.parametrize("data", [b'["REQ","",{}]', b'["REQ","%s",{}]' % (b"x" * 65), b'["REQ","s"]', b'["COUNT","s"]'])
def test_invalid_requests_are_refused(data: bytes) -> None:
    with pytest.raises(SubscriptionRefusedError, match=r"^invalid: "):
        read_message(data)


def test_answers_are_json() -> None:
    assert ok(HEX, True) == f'["OK","{HEX}",true,""]'.encode()
    assert count("s", 3, "00") == b'["COUNT","s",{"count":3,"hll":"00"}]'
    assert count("s", 3) == b'["COUNT","s",{"count":3}]'


# --- filters ----------------------------------------------------------------------------------------------------------


def test_filters_match_their_conditions() -> None:
    event = sign_event(KEY, 1000, 7, [["e", HEX, "relay"], ["t", "a"], ["t", "b"], ["E", "x"], ["long", "y"]], "z")
    matching: list[dict[str, Any]] = [
        {},
        {"ids": [HEX, event.id]},
        {"authors": [event.pubkey]},
        {"kinds": [1, 7]},
        {"#e": [HEX]},
        {"#t": ["b", "c"]},
        {"#t": ["a"], "#E": ["x"]},
        {"since": 1000, "until": 1000},
        {"limit": 0},
        {"search": "Z"},
    ]
    for members_ in matching:
        assert read_filter(members_).matches(event), members_
    others: list[dict[str, Any]] = [
        {"ids": [HEX]},
        {"authors": [HEX]},
        {"kinds": [1]},
        {"#e": ["cd" * 32]},
        {"#t": ["c"]},
        {"#t": ["relay"]},
        {"#t": ["a"], "#E": ["y"]},
        {"#x": ["a"]},
        {"since": 1001},
        {"until": 999},
        {"kinds": [7], "authors": [HEX]},
        {"search": "anything"},
    ]
    for members_ in others:
        assert not read_filter(members_).matches(event), members_


@pytest.mark.parametrize(
    ("members_", "text"),
    [
        ([], "invalid"),
        ({"ids": []}, "invalid: ids must be a list with at least one"),
        ({"ids": "x"}, "invalid"),
        ({"ids": ["ab"]}, "invalid: each value of ids must be 64 lower-case"),
        ({"authors": ["AB" * 32]}, "invalid"),
        ({"kinds": [True]}, "invalid: kinds"),
        ({"kinds": [1.0]}, "invalid: kinds"),
        ({"kinds": [65536]}, "invalid: kinds"),
        ({"kinds": []}, "invalid"),
        ({"#e": ["x"]}, "invalid"),
        ({"#p": ["AB" * 32]}, "invalid"),
        ({"#t": [1]}, "invalid: each value of #t must be a string"),
        ({"#t": []}, "invalid"),
        ({"since": "1"}, "invalid: since"),
        ({"until": -1}, "invalid: until"),
        ({"limit": 1.5}, "invalid: limit"),
        ({"limit": True}, "invalid: limit"),
        ({"search": 1}, "invalid: search"),
        ({"#tt": ["x"]}, 'unsupported: this relay does not know "#tt"'),
        ({"#1": ["x"]}, "unsupported"),
        ({"nope": 1}, 'unsupported: this relay does not know "nope"'),
        ({"kinds": list(range(11))}, "invalid: kinds has at most 10 values"),
    ],
)
def test_malformed_filters_are_refused(members_: Any, text: str) -> None:
    with pytest.raises(EventRefusedError, match=text):
        read_filter(members_, max_values=10)


def test_an_empty_filter_matches_everything() -> None:
    assert read_filter({}) == Filter()


# --- kinds ------------------------------------------------------------------------------------------------------------


def make(kind: int, created_at: int = 1, *tags: list[str]) -> NostrEvent:
    return sign_event(KEY, created_at, kind, tags)


@pytest.mark.parametrize(
    ("kind", "tags", "address", "ephemeral"),
    [
        (1, [], None, False),
        (0, [], "", False),
        (3, [["d", "x"]], "", False),
        (9999, [], None, False),
        (10000, [], "", False),
        (19999, [], "", False),
        (20000, [], None, True),
        (29999, [["d", "x"]], None, True),
        (30000, [["d", "x"], ["d", "y"]], "x", False),
        (39999, [], "", False),
        (30000, [["d"]], "", False),
        (40000, [], None, False),
        (45, [], None, False),
    ],
)
def test_kinds_decide_addresses_and_ephemerality(
    kind: int, tags: list[list[str]], address: str | None, ephemeral: bool
) -> None:
    event = make(kind, 1, *tags)
    assert (event.address, event.is_ephemeral) == (address, ephemeral)


def test_the_newer_version_wins_and_among_equals_the_lower_id() -> None:
    old, new = make(0, 1), make(0, 2)
    assert new.replaces(old)
    assert not old.replaces(new)
    one, two = sorted((make(0, 5), make(0, 5, ["x", "y"])), key=lambda event: event.id)
    assert one.replaces(two)
    assert not two.replaces(one)
    assert not one.replaces(one)


def test_expiration_protection_and_difficulty_are_read() -> None:
    assert make(1).expires_at is None
    assert make(1, 1, ["expiration", "77"]).expires_at == 77
    for wrong in ("soon", "", "-1", "1.5", "٣", "9" * 20):
        with pytest.raises(EventRefusedError, match="invalid: the expiration"):
            _ = make(1, 1, ["expiration", wrong]).expires_at
    assert make(1, 1, ["-"]).is_protected
    assert make(1, 1, ["-", "x"]).is_protected, "a reader of the name alone must reach the same decision"
    easy = make(1)
    easy.id = "000f" + "f" * 60
    assert easy.difficulty == 12
