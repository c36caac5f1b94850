"""The relay on real connections compared with a naive one made of lists: random events, then random filters.

``DIFFERENTIAL=SEED:EVENTS:FILTERS`` makes a longer run, for example ``DIFFERENTIAL=7:20000:3000``.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import ServerProcess
from nostr_peer import NostrPeer
from reference_relay import ReferenceRelay
from teleglyph.wire.nostr.event import NostrEvent, read_event, sign_event
from teleglyph.wire.nostr.filter import read_filter

SEED, EVENTS, FILTERS = map(int, os.environ.get("DIFFERENTIAL", "1:3000:250").split(":"))
BATCH = 200
"""Events that are published before their answers are read."""
DEFAULT_LIMIT, MAX_LIMIT = 500, 5000
SPAN = 60
"""Seconds over which the events spread; so few that many have the same time."""
KEYS = [bytes([number]) * 32 for number in range(1, 9)]
PUBKEYS = [sign_event(key, 1, 1).pubkey for key in KEYS]
REGULAR, REPLACEABLE, ADDRESSABLE, EPHEMERAL = (1, 6, 7, 1111, 9999), (0, 3, 10002, 19999), (30000, 30023, 39998), 20001
WORDS = [f"w{number}" for number in range(40)] + ["", "ü\u2028", "a:b", "x" * 300]
ANSWERS = {"duplicate": (True, "duplicate"), "older": (False, "replaced"), "deleted": (False, "blocked")}


class Generator:
    """Random events that refer to earlier ones, and filters that find some of them."""

    def __init__(self, chance: random.Random, begin: int) -> None:
        self.chance = chance
        self.begin = begin
        self.made = [sign_event(KEYS[0], begin, 1)]

    def time(self) -> int:
        return self.begin + self.chance.randrange(SPAN)

    def event(self) -> NostrEvent:
        chance = self.chance
        what = chance.random()
        if what < 0.05:
            return chance.choice(self.made)
        key = chance.randrange(len(KEYS))
        if what < 0.13:
            event = sign_event(KEYS[key], self.time(), 5, self.targets(PUBKEYS[key]), "gone")
        else:
            kinds = chance.choices([REGULAR, REPLACEABLE, ADDRESSABLE, (EPHEMERAL,)], [60, 15, 20, 5])[0]
            kind = chance.choice(kinds)
            # Only addressable events have at most one d tag; elsewhere it is a tag like any other.
            tags = [["d", chance.choice(WORDS[:6])]] if kind in ADDRESSABLE and chance.random() < 0.9 else []
            event = sign_event(KEYS[key], self.time(), kind, tags + self.tags(), str(chance.random()))
        self.made.append(event)
        return event

    def targets(self, pubkey: str) -> list[list[str]]:
        """Tags of a deletion: ids and addresses, mostly of the author's own events."""
        own = [event for event in self.made[-500:] if event.pubkey == pubkey]
        tags = []
        for event in self.chance.choices(own or self.made, k=2) + self.chance.choices(self.made, k=1):
            if event.address is not None and self.chance.random() < 0.7:
                tags.append(["a", f"{event.kind}:{event.pubkey}:{event.address}"])
            else:
                tags.append(["e", event.id])
        return tags

    def tags(self) -> list[list[str]]:
        chance = self.chance
        tags = [["t", chance.choice(WORDS)] for _ in range(chance.choice([0, 1, 1, 2, 5]))]
        tags += [["p", chance.choice(PUBKEYS)]] * (chance.random() < 0.3)
        tags += [["e", chance.choice(self.made).id]] * (chance.random() < 0.3)
        tags += [["T", "w1"], ["t"], ["long", "w2"]] * (chance.random() < 0.1)
        tags += [["expiration", str(self.begin + 10 * SPAN + 100_000)]] * (chance.random() < 0.05)
        chance.shuffle(tags)
        return tags

    def some(self, values: list[Any], maximum: int = 4) -> list[Any]:
        return self.chance.choices(values, k=self.chance.randint(1, maximum))

    def filter(self) -> dict[str, Any]:
        chance = self.chance
        wanted: dict[str, Any] = {}
        if chance.random() < 0.1:
            wanted["ids"] = self.some([event.id for event in self.made], 20) + ["ab" * 32]
        if chance.random() < 0.4:
            wanted["authors"] = self.some(PUBKEYS)
        if chance.random() < 0.5:
            wanted["kinds"] = self.some([*REGULAR, *REPLACEABLE, *ADDRESSABLE, EPHEMERAL, 5])
        for name, share, values in (
            ("#t", 0.35, WORDS),
            ("#p", 0.1, PUBKEYS),
            ("#d", 0.1, WORDS[:8]),
            ("#e", 0.05, [event.id for event in self.made]),
            ("#T", 0.03, WORDS[:3]),
        ):
            if chance.random() < share:
                wanted[name] = self.some(values)
        if chance.random() < 0.25:
            wanted["since"] = self.time()
        if chance.random() < 0.25:
            wanted["until"] = self.time()
        if chance.random() < 0.5:
            wanted["limit"] = chance.choice([0, 1, 2, 10, 100, 499, 501, 5000, 5001])
        return wanted

    def query(self) -> list[dict[str, Any]]:
        return [self.filter() for _ in range(self.chance.choice([1, 1, 1, 2, 3]))]


def published(writer: NostrPeer, events: list[NostrEvent]) -> list[tuple[bool, str]]:
    """The answers, without the words after the prefix."""
    for event in events:
        writer.socket.send('["EVENT",' + event.text.decode() + "]")
    answers = []
    for event in events:
        verb, number, accepted, text = writer.get()
        assert (verb, number) == ("OK", event.id)
        answers.append((accepted, text.partition(":")[0]))
    return answers


def live_until_now(reader: NostrPeer) -> list[tuple[str, str]]:
    """Subscription names and event ids that arrived."""
    reader.say("COUNT", "now", {"ids": ["ab" * 32]})
    came = []
    while (message := reader.get())[0] != "COUNT":
        assert message[0] == "EVENT", message
        came.append((message[1], message[2]["id"]))
    return came


@pytest.mark.timeout(170 + (EVENTS + FILTERS) // 20)
@pytest.mark.parametrize(
    "database_place", ["sqlite", pytest.param("postgresql", marks=pytest.mark.thorough)], indirect=True
)
def test_random_events_and_filters_get_the_same_answers_as_from_the_reference(
    start_server: Callable[..., ServerProcess], database_place: str, tmp_path: Path
) -> None:
    directory = ["--data-dir", str(tmp_path)]
    place = ["--database", database_place] if "://" in database_place else []
    unlimited = ["--event-rate", "0", "--address-load", "0"]
    server = start_server("--http", "--http-port", "0", "--events", *unlimited, *directory, *place)
    chance, now = random.Random(SEED), time.time()
    generator, reference = Generator(chance, int(now) - SPAN - 1000), ReferenceRelay()
    with contextlib.closing(NostrPeer(server)) as writer, contextlib.closing(NostrPeer(server)) as reader:
        assert published(writer, generator.made) == [(True, "")]
        for known in writer.ask({}):  # including the relay's own events about the group
            reference.put(read_event(known))
        live = {}
        for number in range(6):
            query = [{**wanted, "limit": 0} for wanted in generator.query()]
            live[f"live {number}"] = [read_filter(wanted) for wanted in query]
            reader.say("REQ", f"live {number}", *query)
            assert reader.get() == ["EOSE", f"live {number}"]
        outcomes: Counter[str] = Counter()
        delivered = 0
        for _ in range(0, EVENTS, BATCH):
            batch = [generator.event() for _ in range(BATCH)]
            kept = ["passed on" if event.is_ephemeral else reference.put(event) for event in batch]
            assert published(writer, batch) == [ANSWERS.get(outcome, (True, "")) for outcome in kept]
            outcomes.update(kept)
            expected = [
                (name, event.id)
                for event, outcome in zip(batch, kept, strict=True)
                if outcome in ("stored", "passed on")
                for name, filters in live.items()
                if any(wanted.matches(event) for wanted in filters)
            ]
            came = live_until_now(reader)
            for name in live:  # The order among subscriptions is free.
                assert [one for one in came if one[0] == name] == [one for one in expected if one[0] == name]
            delivered += len(came)
        assert min(outcomes[name] for name in ("stored", "duplicate", "older", "deleted", "passed on")) > 0
        assert delivered > EVENTS / 20
        bodies = {event.id: json.loads(event.text) for event in reference.events}
        found = 0
        for number in range(FILTERS):
            query = generator.query()
            filters = [read_filter(wanted) for wanted in query]
            ids = reference.find(filters, DEFAULT_LIMIT, MAX_LIMIT, now)
            assert writer.ask(*query, name=f"q{number}") == [bodies[one] for one in ids], query
            assert writer.count(*query)["count"] == reference.count(filters, now), query
            found += bool(ids)
        assert FILTERS / 3 < found < FILTERS, "some filters find something, and some do not"
