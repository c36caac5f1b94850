"""The Nostr relay on real sockets: common mistakes, options, limits, and the order of messages."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from acip_peer import AcipPeer
from conftest import ServerProcess
from nostr_peer import ANN, BOB, NostrPeer, make
from teleglyph.wire.nostr.event import NostrEvent

StartServer = Callable[..., ServerProcess]
Join = Callable[..., NostrPeer]
FAST = ("--event-rate", "0")
OURS = {"authors": [make("", key).pubkey for key in (ANN, BOB)]}
"""Everything but what the relay itself says of its groups."""


@pytest.fixture
def events_server(start_server: StartServer, tmp_path: Path) -> Callable[..., ServerProcess]:
    def start(*options: str) -> ServerProcess:
        where = () if "--database" in options else ("--data-dir", str(tmp_path / "data"))
        server = start_server("--http", "--http-port", "0", "--events", *where, *options)
        server.wait_for_log("HTTP on port")
        return server

    return start


@pytest.fixture
def join() -> Iterator[Join]:
    opened: list[NostrPeer] = []

    def open_peer(server: ServerProcess, *args: Any, **kwargs: Any) -> NostrPeer:
        opened.append(NostrPeer(server, *args, **kwargs))
        return opened[-1]

    yield open_peer
    for peer in opened:
        peer.close()


def members(event: NostrEvent) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(event.text)
    return decoded


# --- common mistakes --------------------------------------------------------------------------------------------------


def test_a_duplicate_is_accepted_and_reported_as_duplicate(events_server: StartServer, join: Join) -> None:
    peer, event = join(events_server()), make("x")
    assert peer.publish(event) == [event.id, True, ""]
    assert peer.publish(event) == [event.id, True, "duplicate: this event is stored already"]
    assert peer.publish({**members(event), "content": "other"})[1:] == [True, "duplicate: this event is stored already"]
    assert peer.ask(OURS) == [members(event)]


def test_a_wrong_id_or_signature_is_refused(events_server: StartServer, join: Join) -> None:
    peer, event, other = join(events_server()), make("x"), make("y", BOB)
    assert peer.publish({**members(event), "content": "y"})[1:] == [
        False,
        "invalid: the id is not the hash of the event",
    ]
    assert peer.publish({**members(event), "sig": other.sig})[1:] == [
        False,
        "invalid: the signature is not the author's",
    ]
    assert peer.ask(OURS) == []


def test_an_invalid_message_gets_a_notice_and_the_connection_stays_open(events_server: StartServer, join: Join) -> None:
    peer = join(events_server())
    for junk in ("nonsense", "{}", '["NOPE"]', '["EVENT"]', "[" * 5000, '["REQ",1,{}]', '[{"a":1,"a":2}]', "[NaN]"):
        peer.socket.send(junk)
        assert peer.get()[0] == "NOTICE", junk
    assert peer.publish(make("x"))[1] is True


def test_events_are_counted(events_server: StartServer, join: Join) -> None:
    peer = join(events_server())
    for number in range(5):
        peer.publish(make(str(number), ANN, 1, ["p", "ab" * 32]))
    peer.publish(make("", BOB, 7, ["p", "ab" * 32]))
    assert peer.count(OURS) == {"count": 6}
    assert peer.count({"kinds": [1]}, {"kinds": [1, 7], "limit": 1}) == {"count": 6}
    counted = peer.count({"#p": ["ab" * 32]})
    assert counted["count"] == 6
    registers = bytes.fromhex(counted["hll"])
    assert len(registers) == 256
    offset = int(("ab" * 32)[32], 16) + 8
    for key in (ANN, BOB):
        pubkey = bytes.fromhex(make("", key).pubkey)
        rest = int.from_bytes(pubkey[offset + 1 :], "big")
        assert registers[pubkey[offset]] == 8 * len(pubkey[offset + 1 :]) - rest.bit_length() + 1
    assert sum(value > 0 for value in registers) == 2


def test_a_limit_of_0_gives_live_events_only(events_server: StartServer, join: Join) -> None:
    peer = join(events_server())
    peer.publish(make("old"))
    peer.say("REQ", "s", {"limit": 0})
    assert peer.get() == ["EOSE", "s"]
    new = make("new")
    assert peer.publish(new)[1] is True
    assert peer.get() == ["EVENT", "s", members(new)]


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_the_length_of_subscription_names_is_limited(shared_server: StartServer, join: Join, name: str) -> None:
    peer = join(shared_server())
    peer.say("REQ", name, {})
    verb, answered, text = peer.get()
    assert (verb, answered) == ("CLOSED", name)
    assert text.startswith("invalid: ")
    peer.say("REQ", "x" * 64, OURS)
    assert peer.get() == ["EOSE", "x" * 64]


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ([{"authors": ["AB" * 32]}], "invalid: "),
        ([{"ids": []}], "invalid: "),
        ([{"nope": 1}], "unsupported: "),
        ([], "invalid: "),
        ([{}] * 11, "invalid: at most 10 filters"),
        ([{"kinds": list(range(1001))}], "invalid: kinds has at most 1000 values"),
        (["x"], "invalid: "),
    ],
)
def test_invalid_filters_are_answered_with_closed(
    shared_server: StartServer, join: Join, filters: list[Any], text: str
) -> None:
    peer = join(shared_server())
    for verb in ("REQ", "COUNT"):
        peer.say(verb, "s", *filters)
        answer = peer.get()
        assert answer[:2] == ["CLOSED", "s"]
        assert answer[2].startswith(text)


def test_of_versions_with_equal_times_the_lowest_id_wins(events_server: StartServer, join: Join) -> None:
    peer = join(events_server())
    now = int(time.time())
    versions = sorted((make(str(number), ANN, 0, at=now) for number in range(4)), key=lambda event: event.id)
    assert peer.publish(versions[2])[1:] == [True, ""]
    assert peer.publish(versions[3])[1:] == [False, "replaced: a newer version is stored"]
    assert peer.publish(versions[0])[1:] == [True, ""]
    assert peer.publish(versions[1])[1:] == [False, "replaced: a newer version is stored"]
    assert peer.ask({"kinds": [0]}) == [members(versions[0])]


def test_an_older_version_is_neither_stored_nor_delivered(events_server: StartServer, join: Join) -> None:
    server = events_server()
    peer, reader = join(server), join(server)
    reader.say("REQ", "s", {"limit": 0})
    reader.get()
    now = int(time.time())
    new = make("new", ANN, 30000, ["d", "x"], at=now)
    peer.publish(new)
    assert peer.publish(make("old", ANN, 30000, ["d", "x"], at=now - 1))[1:] == [
        False,
        "replaced: a newer version is stored",
    ]
    other = make("other", ANN, 30000, ["d", "y"], at=now - 1)
    peer.publish(other)
    assert [reader.get()[2], reader.get()[2]] == [members(new), members(other)]
    assert peer.ask({"kinds": [30000]}) == [members(new), members(other)]


def test_events_with_equal_times_are_sorted_by_id(events_server: StartServer, join: Join) -> None:
    peer = join(events_server())
    now = int(time.time())
    events = [make(str(number), at=now) for number in range(6)]
    for event in events:
        peer.publish(event)
    ordered = [members(event) for event in sorted(events, key=lambda event: event.id)]
    assert peer.ask({**OURS, "limit": 3}) == ordered[:3]
    assert peer.ask({**OURS, "limit": 2}, {"ids": [ordered[5]["id"]]}) == [*ordered[:2], ordered[5]]
    assert peer.ask({**OURS, "limit": 5001}) == ordered


def test_a_deleted_event_is_refused(events_server: StartServer, join: Join) -> None:
    peer = join(events_server())
    event, early = make("x"), make("not yet there")
    peer.publish(event)
    foreign = make("", BOB, 5, ["e", event.id])
    assert peer.publish(foreign)[1] is True
    assert peer.count({"kinds": [1]})["count"] == 1, "somebody else's request changes nothing"
    request = make("", ANN, 5, ["e", event.id], ["e", early.id])
    peer.publish(request)
    for deleted in (event, early):
        assert peer.publish(deleted)[1:] == [False, "blocked: this event was deleted"]
    assert sorted(one["id"] for one in peer.ask(OURS)) == sorted([foreign.id, request.id])
    assert peer.publish(make("", ANN, 5, ["e", request.id]))[1] is True
    assert peer.count({"ids": [request.id]})["count"] == 1, "a request against a request has no effect"


def test_ephemeral_events_are_delivered_and_not_stored(events_server: StartServer, join: Join) -> None:
    peer = join(events_server())
    peer.say("REQ", "s", OURS)
    assert peer.get() == ["EOSE", "s"]
    event = make("typing", ANN, 20001)
    assert peer.publish(event) == [event.id, True, ""]
    assert peer.get() == ["EVENT", "s", members(event)]
    assert peer.ask(OURS) == []


def test_expired_events_are_refused_and_not_found(events_server: StartServer, join: Join) -> None:
    peer = join(events_server())
    now = int(time.time())
    assert peer.publish(make("", ANN, 1, ["expiration", str(now - 1)]))[1:] == [False, "invalid: the event has expired"]
    assert peer.publish(make("", ANN, 1, ["expiration", "soon"]))[1:] == [
        False,
        "invalid: the expiration is not a whole number of seconds",
    ]
    short = make("", ANN, 1, ["expiration", str(now + 2)])
    peer.publish(short)
    assert peer.ask(OURS) == [members(short)]
    time.sleep(2.1)
    assert peer.ask(OURS) == []
    assert peer.count(OURS) == {"count": 0}


def test_protected_events_are_accepted_from_their_authors_only(events_server: StartServer, join: Join) -> None:
    server = events_server()
    peer, event = join(server), make("mine", ANN, 1, ["-"])
    assert peer.publish(event)[2].startswith("auth-required: ")
    assert peer.authenticate(server, BOB)[1] is True
    assert peer.publish(event)[2].startswith("restricted: ")
    assert peer.authenticate(server, ANN)[1] is True
    assert peer.publish(event)[1:] == [True, ""]
    repost = make(event.text.decode(), ANN, 6, ["e", event.id])
    assert peer.publish(repost)[2] == "blocked: protected events may not be reposted"


def test_an_authentication_is_not_accepted_as_an_event(events_server: StartServer, join: Join) -> None:
    peer = join(events_server())
    assert peer.publish(make("", ANN, 22242))[2].startswith("invalid: ")
    assert peer.ask(OURS) == []


def test_an_authentication_is_valid_for_this_connection_and_relay_only(events_server: StartServer, join: Join) -> None:
    server = events_server()
    peer, other = join(server), join(server)
    assert peer.challenge != other.challenge
    for changes, text in (
        ({"challenge": other.challenge}, "not the challenge"),
        ({"relay": "wss://other.example/"}, "for another relay"),
        ({"relay": "::["}, "for another relay"),
        ({"kind": 1}, "kind 22242"),
        ({"at": int(time.time()) - 700}, "600 s from now"),
    ):
        number, accepted, reason = peer.authenticate(server, **changes)
        assert (len(number), accepted) == (64, False)
        assert reason.startswith("invalid: ")
        assert text in reason
    assert peer.authenticate(server)[1] is True


def test_a_date_far_in_the_future_is_refused(events_server: StartServer, join: Join) -> None:
    peer = join(events_server())
    now = int(time.time())
    assert peer.publish(make("", at=now + 31_000_000))[1:] == [
        False,
        "invalid: created_at is more than 900 s in the future",
    ]
    assert peer.publish(make("", at=now + 800))[1] is True
    assert peer.publish(make("", at=1))[1] is True


def test_ids_of_events_with_control_characters_match_other_implementations(
    events_server: StartServer, join: Join
) -> None:
    event = make("".join(map(chr, range(32))))
    peer = join(events_server())
    assert peer.publish(event)[1] is True
    assert peer.ask({"ids": [event.id]}) == [members(event)]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"created_at": True}, "created_at"),
        ({"created_at": 1.0}, "created_at"),
        ({"kind": "1"}, "kind"),
        ({"tags": [[]]}, "tags"),
        ({"content": "\ud800"}, "surrogate"),
        ({"tags": [["t", "\udfff"]]}, "surrogate"),
        ({"pubkey": "AB" * 32}, "pubkey"),
        ({"sig": None}, "sig"),
        ({"content": "x" * 65537}, "at most 65536 characters"),
        ({"tags": [["t", "x"]] * 2001}, "at most 2000 tags"),
    ],
)
def test_malformed_and_oversized_members_are_invalid(
    shared_server: StartServer, join: Join, change: dict[str, Any], text: str
) -> None:
    peer = join(shared_server())
    number, accepted, reason = peer.publish({**members(make("x")), **change})
    assert (len(number), accepted) == (64, False)
    assert reason.startswith("invalid: ")
    assert text in reason


# --- options and limits -----------------------------------------------------------------------------------------------


def test_clients_must_authenticate_if_the_option_is_set(events_server: StartServer, join: Join) -> None:
    server = events_server("--event-auth")
    peer = join(server)
    assert peer.publish(make("x"))[2].startswith("auth-required: ")
    peer.say("REQ", "s", OURS)
    assert peer.get()[2].startswith("auth-required: ")
    peer.say("COUNT", "s", OURS)
    assert peer.get()[2].startswith("auth-required: ")
    peer.authenticate(server)
    assert peer.publish(make("x", BOB))[1] is True
    assert len(peer.ask(OURS)) == 1


def test_too_little_proof_of_work_is_refused(events_server: StartServer, join: Join) -> None:
    peer = join(events_server("--event-work", "4"))
    now = int(time.time())
    worked = [make(str(number), at=now) for number in range(400)]
    easy = next(event for event in worked if event.difficulty == 0)
    hard = next(event for event in worked if event.difficulty >= 4)
    assert peer.publish(easy)[1:] == [False, "pow: difficulty 0 is less than 4"]
    assert peer.publish(hard)[1] is True
    modest = next(
        event
        for event in (make(str(number), ANN, 1, ["nonce", "1", "2"], at=now) for number in range(400))
        if event.difficulty >= 4
    )
    assert peer.publish(modest)[1:] == [False, "pow: target difficulty 2 is less than 4"]


def test_search_finds_words(events_server: StartServer, join: Join) -> None:
    peer = join(events_server())
    now = int(time.time())
    texts = ["the quick brown fox", "a fox, a fox, only a fox", "nothing of the kind", 'quoted "fox" OR -x*', "fo x"]
    for number, text in enumerate(texts):
        peer.publish(make(text, at=now - number))
    found = [event["content"] for event in peer.ask({"search": "fox"})]
    assert sorted(found) == sorted([texts[0], texts[1], texts[3]])
    assert found[0] == texts[1], "the best match comes first"
    assert [event["content"] for event in peer.ask({"search": "FOX quick language:en"})] == [texts[0]]
    assert peer.ask({"search": 'fox" OR "kind'}) == []
    assert len(peer.ask({"search": "fox", "limit": 1})) == 1
    assert peer.count({"search": "fox"}) == {"count": 3}
    assert len(peer.ask({**OURS, "search": ""})) == 5


def test_search_is_refused_if_disabled(events_server: StartServer, join: Join) -> None:
    peer = join(events_server("--no-event-search"))
    peer.say("REQ", "s", {"search": "fox"})
    assert peer.get() == ["CLOSED", "s", "unsupported: this relay has no search"]


def test_the_relay_publishes_the_limits_it_enforces(events_server: StartServer, join: Join) -> None:
    server = events_server("--relay-name", "Attic", "--relay-contact", "mailto:a@b.example", "--event-work", "1")
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http_port}/", headers={"Accept": "application/nostr+json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own server
        document = json.load(answer)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Content-Type"].startswith("application/nostr+json")
    assert (document["name"], document["contact"]) == ("Attic", "mailto:a@b.example")
    assert "description" not in document
    assert document["supported_nips"] == [1, 9, 11, 13, 29, 40, 42, 45, 50, 62, 70, 77]
    assert len(document["self"]) == 64
    assert document["pubkey"] == document["self"], "without an administrator"
    assert document["software"] == "teleglyph"
    assert document["version"]
    limits = document["limitation"]
    assert limits["min_pow_difficulty"] == 1
    options = urllib.request.Request(f"http://127.0.0.1:{server.http_port}/events", method="OPTIONS")
    with urllib.request.urlopen(options, timeout=10) as answer:  # noqa: S310 - our own server
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Methods"]
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/", timeout=10) as answer:
        assert answer.read().startswith(b"Teleglyph")
    peer = join(server)
    for number in range(limits["max_subscriptions"]):
        peer.say("REQ", str(number), {"limit": 0})
        assert peer.get() == ["EOSE", str(number)]
    peer.say("REQ", "one more", {})
    assert peer.get() == ["CLOSED", "one more", "rate-limited: at most 32 subscriptions"]
    peer.say("REQ", "7", {"limit": 0})
    assert peer.get() == ["EOSE", "7"], "an existing subscription may be replaced"
    padding = limits["max_message_length"] - len(b'["REQ","7",{"limit":0}]')
    peer.socket.send('["REQ","7",{"limit":0}]' + " " * padding)
    assert peer.get() == ["EOSE", "7"]
    peer.socket.send('["REQ","7",{"limit":0}]' + " " * (padding + 1))
    assert peer.close_code() == 1009


@pytest.mark.parametrize("verb", ["NEG-OPEN", "NEG-MSG"])
def test_a_sync_without_support_is_answered(events_server: StartServer, join: Join, verb: str) -> None:
    peer = join(events_server("--no-event-sync"))
    peer.say(verb, "n", {"kinds": [1]}, "6100")
    assert peer.get() == ["NEG-ERR", "n", "blocked: NIP-77 is disabled here, use REQ"]


@pytest.mark.parametrize("number", ["x", "AB" * 32, "ab" * 33, "\ud800"])
def test_the_answer_to_a_wrong_id_names_that_id(shared_server: StartServer, join: Join, number: str) -> None:
    peer = join(shared_server())
    for verb in ("EVENT", "AUTH"):
        peer.say(verb, {**members(make("x")), "id": number})
        answer = peer.get()
        assert answer[0] == "OK"
        assert answer[2:] == [False, "invalid: id must have 64 lower-case hexadecimal digits"]
        assert answer[1] == number.replace("\ud800", "?")


def test_a_client_over_the_rate_gets_a_reason(events_server: StartServer, join: Join) -> None:
    server = events_server("--event-rate", "10")
    peer, other = join(server), join(server)
    events = [make(str(number)) for number in range(200)]
    refused = [answer for answer in map(peer.publish, events) if not answer[1]]
    assert 1 <= len(refused) <= 150
    assert refused[0][2] == "rate-limited: at most 10 events per second"
    accepted = sum(other.publish(make(f"other {number}"))[1] for number in range(48))
    assert accepted < 40, "the connections of an address share one rate; otherwise all would be accepted"
    for _ in range(80):
        peer.say("COUNT", "c", {})
    answers = [peer.get() for _ in range(80)]
    assert len([answer for answer in answers if answer[0] == "COUNT"]) in range(50, 80)
    assert ["CLOSED", "c", "rate-limited: at most 20 requests per second"] in answers


@pytest.mark.parametrize(
    ("message", "code"),
    [(b"binary", 1003), ("not utf-8", 1007)],
)
def test_binary_and_non_utf_8_messages_close_the_connection(
    events_server: StartServer, join: Join, message: bytes | str, code: int
) -> None:
    peer = join(events_server())
    if isinstance(message, bytes):
        peer.socket.send(message)
    else:
        peer.socket.send(b'["CLOSE","\xff\xfe"]', text=True)
    assert peer.close_code() == code


def test_a_client_that_sends_only_nonsense_is_closed(events_server: StartServer, join: Join) -> None:
    server = events_server(*FAST)
    peer = join(server)
    for _ in range(20):
        peer.socket.send("nonsense")
    assert peer.close_code() == 1008
    forger, event = join(server), members(make("x"))
    for number in range(20):
        forger.say("EVENT", {**event, "content": str(number)})
    assert forger.close_code() == 1008


# --- order (docs/protocol/nostr.md#order) -----------------------------------------------------------------------------


def test_rapid_events_arrive_in_order_on_one_connection(events_server: StartServer, join: Join) -> None:
    server = events_server(*FAST)
    writer, reader = join(server), join(server)
    reader.say("REQ", "s", OURS)
    reader.get()
    events = [make(str(number)) for number in range(1000)]
    for event in events:
        writer.say("EVENT", members(event))
    assert [writer.get() for _ in events] == [["OK", event.id, True, ""] for event in events]
    assert [reader.get() for _ in events] == [["EVENT", "s", members(event)] for event in events]


def test_answers_keep_the_order_of_the_requests(events_server: StartServer, join: Join) -> None:
    peer = join(events_server(*FAST))
    good = [make(str(number)) for number in range(18)]
    expected = []
    for number, event in enumerate(good):
        broken = {**members(event), "id": f"{number:064x}", "kind": "x"}
        forged = {**members(event), "content": "forged"}
        ephemeral = make(str(number), ANN, 20000)
        for one, accepted in ((broken, False), (forged, False), (members(event), True), (members(ephemeral), True)):
            peer.say("EVENT", one)
            expected.append((one["id"], accepted))
    assert [tuple(peer.get()[1:3]) for _ in expected] == expected


def test_an_ok_comes_before_the_event_itself(events_server: StartServer, join: Join) -> None:
    peer = join(events_server(*FAST))
    peer.say("REQ", "s", OURS)
    peer.get()
    for number in range(50):
        event = make(str(number))
        peer.say("EVENT", members(event))
        assert [peer.get()[0], peer.get()[0]] == ["OK", "EVENT"]


def test_no_event_is_lost_or_doubled_between_stored_and_live_events(events_server: StartServer, join: Join) -> None:
    server = events_server(*FAST)
    writer = join(server)
    total, readers = 2000, 6
    events = [make(str(number)) for number in range(total)]
    seen: list[list[str]] = [[] for _ in range(readers)]

    def read(number: int) -> None:
        time.sleep(0.25 * number)
        peer = NostrPeer(server)
        peer.say("REQ", "s", {**OURS, "limit": 5000})
        while len(seen[number]) < total:
            message = peer.get(20)
            if message[0] == "EVENT":
                seen[number].append(message[2]["id"])
        peer.close()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(readers)]
    for thread in threads:
        thread.start()
    for event in events:
        writer.say("EVENT", members(event))
        time.sleep(0.001)
    for thread in threads:
        thread.join(40)
    expected = {event.id for event in events}
    for ids in seen:
        assert len(ids) == total
        assert set(ids) == expected


def test_a_subscription_is_replaced_at_once(events_server: StartServer, join: Join) -> None:
    server = events_server(*FAST)
    writer, reader = join(server), join(server)
    for number in range(600):
        writer.say("EVENT", members(make("x" * 2000, ANN, 1, ["t", str(number)])))
    for _ in range(600):
        writer.get()
    reader.say("REQ", "s", {"kinds": [1]})
    reader.say("REQ", "s", {"kinds": [7]})
    time.sleep(0.5)
    like = make("", ANN, 7)
    writer.publish(like)
    messages: list[Any] = []
    while messages[-1:] != [["EVENT", "s", members(like)]]:
        messages.append(reader.get())
    ends = [number for number, message in enumerate(messages) if message[0] == "EOSE"]
    assert len(ends) == 1, "the first one never finished, so it gets no EOSE"
    assert all(message[2]["kind"] == 1 for message in messages[: ends[0]])
    assert len(messages) == ends[0] + 2
    reader.say("CLOSE", "s")
    reader.say("COUNT", "c", {"kinds": [7]})
    assert reader.get()[0] == "COUNT"
    writer.publish(make("again", ANN, 7))
    with pytest.raises(TimeoutError):
        reader.get(0.3)


@pytest.mark.parametrize("size", [4096, 60_000, 65_536])
def test_large_events_stay_whole_among_small_ones(events_server: StartServer, join: Join, size: int) -> None:
    server = events_server(*FAST)
    writer, reader = join(server), join(server)
    reader.say("REQ", "s", OURS)
    reader.get()
    events = []
    for number in range(9):
        letter, length = "é" if number % 2 else "x", size if number % 3 == 0 else 5
        events.append(make(letter * length, BOB, 1, ["t", str(number)]))
    for event in events:
        if len(event.text) + 12 <= 128 << 10:
            assert writer.publish(event)[1:] == [True, ""]
            assert reader.get() == ["EVENT", "s", members(event)]


def memory_mib(server: ServerProcess) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def test_ten_stalled_readers_do_not_affect_ninety_others(events_server: StartServer, join: Join) -> None:
    server = events_server(*FAST)
    readers = [join(server) for _ in range(90)]
    stalled = [join(server, max_queue=1) for _ in range(10)]
    for peer in (*readers, *stalled):
        peer.say("REQ", "s", {"limit": 0})
        assert peer.get() == ["EOSE", "s"]
    before = memory_mib(server)
    for peer in stalled:
        peer.socket.socket.setsockopt(1, 8, 4096)  # SO_RCVBUF
    writer = join(server)
    events = [make("x" * 50_000 + str(number)) for number in range(100)]
    got: list[list[str]] = [[] for _ in readers]

    def read(number: int) -> None:
        while len(got[number]) < len(events):
            got[number].append(readers[number].get(30)[2]["id"])

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(readers))]
    for thread in threads:
        thread.start()
    for event in events:
        assert writer.publish(event)[1] is True
    for thread in threads:
        thread.join(60)
    assert got == [[event.id for event in events]] * len(readers), "everything, in order"
    assert memory_mib(server) < before + 60, "each of the ten may queue 1 MiB, and payloads are shared"
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/statistics", timeout=10) as answer:
        counters = json.load(answer)["events"]
    assert counters["subscriptions_ended"] == 10
    assert counters["events_purged"] > 0


def test_a_stalled_reader_learns_which_subscriptions_ended(events_server: StartServer, join: Join) -> None:
    server = events_server(*FAST)
    slow, writer = join(server, max_queue=1), join(server)
    slow.say("REQ", "s", {"limit": 0})
    slow.get()
    events = [make("x" * 60_000 + str(number)) for number in range(120)]
    for event in events:
        writer.publish(event)
    texts = []
    while True:
        message = slow.get()
        if message[0] == "CLOSED":
            assert message == ["CLOSED", "s", "error: too slow, subscription ended"]
            break
        texts.append(message[2]["id"])
    assert texts == [event.id for event in events][: len(texts)], (
        "the received events are whole, in order, and without a gap"
    )
    assert len(texts) < len(events)
    slow.say("REQ", "again", {"limit": 0})
    assert slow.get() == ["EOSE", "again"]


@pytest.mark.parametrize("name", ["short", "x" * 1000], ids=["stored events", "refusals"])
def test_a_client_that_never_reads_uses_bounded_memory_and_is_closed(
    events_server: StartServer, join: Join, name: str
) -> None:
    server = events_server(*FAST)
    writer = join(server)
    for number in range(300):
        writer.say("EVENT", members(make("x" * 20_000, ANN, 1, ["t", str(number)])))
    for _ in range(300):
        writer.get()
    before = memory_mib(server)
    greedy = join(server, max_queue=1)

    def flood() -> None:
        try:
            for number in range(20_000):
                greedy.say("REQ", f"{name}{number % 30}", {})
        except (ConnectionClosed, OSError):
            pass

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    time.sleep(3)
    assert memory_mib(server) < before + 40
    assert writer.publish(make("still"))[1] is True

    def clients() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/statistics", timeout=10) as answer:
            return int(json.load(answer)["events"]["clients"])

    assert clients() == 2
    deadline = time.monotonic() + 25
    while clients() > 1 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert clients() == 1, "a client that does not read for ten seconds is closed"
    greedy.socket.socket.close()


def test_all_clients_are_notified_of_a_shutdown(events_server: StartServer, join: Join) -> None:
    server = events_server()
    peer = join(server)
    server.process.send_signal(signal.SIGTERM)
    assert peer.close_code() == 1001
    assert server.process.wait(10) == 0


def test_disconnected_clients_leave_no_state(events_server: StartServer, join: Join) -> None:
    server = events_server(*FAST)

    def figures() -> tuple[int, int]:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/statistics", timeout=10) as answer:
            content = json.load(answer)
        return content["tasks"], content["events"]["clients"]

    before = figures()
    for number in range(30):
        peer = NostrPeer(server)
        peer.say("REQ", "s", OURS)
        peer.say("COUNT", "c", {})
        if number % 2:
            peer.socket.socket.close()
        peer.close()
    deadline = time.monotonic() + 10
    while figures() != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert figures() == before


def test_without_the_option_there_is_no_relay(start_server: StartServer) -> None:
    server = start_server("--http", "--http-port", "0")
    server.wait_for_log("HTTP on port")
    with pytest.raises(InvalidStatus) as refused:
        NostrPeer(server)
    assert refused.value.response.status_code == 404


def test_pages_of_any_origin_may_connect(events_server: StartServer, join: Join) -> None:
    peer = join(events_server(), "/events", additional_headers={"Origin": "https://elsewhere.example"})
    assert peer.publish(make("x"))[1] is True


def test_a_call_is_announced_until_it_ends(
    events_server: StartServer, join: Join, connect: Callable[[ServerProcess], AcipPeer]
) -> None:
    server = events_server("--announce", "calls.example")
    peer = join(server)
    peer.say("REQ", "s", {"kinds": [30311]})

    def announced() -> dict[str, str]:
        while True:
            message = peer.get(20)
            if message[0] == "EVENT":
                return {tag[0]: tag[1] for tag in message[2]["tags"]}

    def status() -> tuple[str, str]:
        tags = announced()
        return tags["status"], tags["current_participants"]

    assert status() == ("planned", "0")
    caller = connect(server)
    caller.join()
    assert status() == ("live", "1")
    caller.close()
    ended = announced()
    assert (ended["status"], ended["current_participants"]) == ("ended", "0")
    assert int(ended["starts"]) <= int(ended["ends"]) <= time.time() + 5


def test_a_stopping_server_ends_its_announced_call(
    events_server: StartServer, join: Join, connect: Callable[[ServerProcess], AcipPeer]
) -> None:
    server = events_server("--announce", "calls.example")
    caller = connect(server)
    caller.join()
    peer = join(server)
    peer.say("REQ", "s", {"kinds": [30311]})
    statuses: list[str] = []
    while statuses[-1:] != ["live"]:
        message = peer.get(20)
        statuses += [tag[1] for tag in message[2]["tags"] if tag[0] == "status"] if message[0] == "EVENT" else []
    assert server.stop() == 0
    assert {tag[0]: tag[1] for tag in peer.get()[2]["tags"]}["status"] == "ended", "subscribers get it at once"
    assert peer.close_code() == 1001
    again = join(events_server())
    (stored,) = again.ask({"kinds": [30311]})
    tags = {tag[0]: tag[1] for tag in stored["tags"]}
    assert (tags["status"], tags["current_participants"]) == ("ended", "0")
    assert int(tags["starts"]) <= int(tags["ends"])


def test_the_relay_says_who_is_live_in_a_group(events_server: StartServer, join: Join) -> None:
    server = events_server(*FAST)
    peer, reader = join(server), join(server)
    reader.say("REQ", "s", {"kinds": [39004], "#d": ["lobby"]})
    assert reader.get() == ["EOSE", "s"]
    ann = make("", ANN).pubkey
    soon = int(time.time()) + 4
    assert peer.publish(make("", ANN, 10312, ["h", "lobby"], ["expiration", str(soon)]))[1] is True
    assert [tag for tag in reader.get()[2]["tags"] if tag[0] == "participant"] == [["participant", ann]]
    assert reader.get()[2]["tags"] == [["d", "lobby"]], "and when nobody is live"


@pytest.mark.parametrize("bits", [None, 8, 9, 10, 14, 15])
def test_events_are_compressed_with_the_negotiated_window(
    events_server: StartServer, join: Join, bits: int | None
) -> None:
    server = events_server("--event-compression")
    offer = ClientPerMessageDeflateFactory(server_max_window_bits=bits)
    reader, writer = join(server, compression=None, extensions=[offer]), join(server)
    reader.say("REQ", "s", {"limit": 0})
    assert reader.get() == ["EOSE", "s"]
    # It repeats text from further back than a small window reaches.
    noise = "".join(random.Random(1).choices("abcdefghijklmnop", k=20_000))
    event = make(noise * 2)
    assert writer.publish(event)[1] is True
    assert reader.get() == ["EVENT", "s", members(event)]


@pytest.mark.parametrize("wanted", ["deflate", None])
def test_events_are_compressed_on_request(events_server: StartServer, join: Join, wanted: str | None) -> None:
    server = events_server("--event-compression")
    peer = join(server, compression=wanted)
    assert bool(peer.socket.protocol.extensions) is (wanted is not None)
    peer.say("REQ", "s", OURS)
    assert peer.get() == ["EOSE", "s"]
    for content in ("x" * 5000, "short", "é😀" * 3000):
        event = make(content)
        assert peer.publish(event)[1] is True
        assert peer.get() == ["EVENT", "s", members(event)]
    bomb = '["REQ","s",{}' + " " * 20_000_000 + "]"
    peer.socket.send(bomb)
    assert peer.close_code() == 1009


def test_acknowledged_events_survive_a_kill(start_server: StartServer, database_place: str, tmp_path: Path) -> None:
    where = (
        ("--database", database_place)
        if database_place.startswith("postgresql")
        else ("--data-dir", str(tmp_path / "data"))
    )
    acknowledged: set[str] = set()
    for round_number in range(4):
        server = start_server("--http", "--http-port", "0", "--events", *FAST, *where)
        server.wait_for_log("HTTP on port")
        peer = NostrPeer(server)
        found = {event["id"] for event in peer.ask({**OURS, "limit": 5000})}
        assert acknowledged <= found
        killer = threading.Timer(0.15 + 0.1 * round_number, server.process.kill)
        killer.start()
        try:
            for number in range(10_000):
                peer.say("EVENT", members(make(f"{round_number} {number}")))
                if number % 20 == 19:
                    for _ in range(20):
                        _, event_id, accepted, _ = peer.get()
                        assert accepted
                        acknowledged.add(event_id)
        except (ConnectionClosed, OSError):
            pass
        killer.join()
        server.process.wait()
        peer.close()
    assert len(acknowledged) > 100
