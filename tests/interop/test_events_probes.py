"""A table of what testers of public relays check: each probe is a few messages and the answers they must get."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count as numbers
from pathlib import Path
from typing import Any

import pytest

from conftest import ServerProcess
from nostr_peer import NostrPeer
from teleglyph.wire.nostr.event import NostrEvent, sign_event

_numbers = numbers(1)


@dataclass
class World:
    """One probe's connection, people and events; its keys are its own."""

    server: ServerProcess
    peer: NostrPeer
    now: int = field(default_factory=lambda: int(time.time()) - 500)
    events: dict[str, NostrEvent] = field(default_factory=dict)
    keys: dict[str, bytes] = field(
        default_factory=lambda: {
            name: (1000 * next(_numbers) + 7).to_bytes(32, "big") for name in ("ann", "bob", "carol")
        }
    )

    def pubkey(self, name: str) -> str:
        return sign_event(self.keys[name], 1, 1).pubkey

    def named(self, name: str) -> str:
        return self.events[name].id if name in self.events else self.pubkey(name)

    def filled(self, value: Any) -> Any:
        """With ``$x`` replaced by the id of event x or the public key of x, and ``@5`` by a time."""
        if isinstance(value, dict):
            return {name: self.filled(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.filled(one) for one in value]
        if isinstance(value, str) and value.startswith("@"):
            return self.now + int(value[1:])
        if isinstance(value, str):
            return re.sub(r"\$(\w+)", lambda found: self.named(found[1]), value)
        return value

    def filters(self, filters: tuple[Any, ...]) -> list[Any]:
        """Filters about this probe's people, unless they say otherwise."""
        ours = {"authors": ["$ann", "$bob"]}
        return self.filled([wanted if wanted.keys() & {"ids", "authors"} else ours | wanted for wanted in filters])  # type: ignore[no-any-return]


Step = Callable[[World], None]


def put(
    name: str, kind: int = 1, *tags: list[str], by: str = "ann", at: int = 0, content: str | None = None, says: str = ""
) -> Step:
    """Publish an event; ``says`` is how the refusal begins."""

    def step(world: World) -> None:
        text = name if content is None else content
        filled = [[str(value) for value in world.filled(tag)] for tag in tags]
        event = world.events[name] = sign_event(world.keys[by], world.now + at, kind, filled, text)
        number, accepted, reason = world.peer.publish(event)
        assert number == event.id
        assert (accepted, reason) == (True, "") if not says else (not accepted and reason.startswith(says)), reason

    return step


def again(name: str, says: str = "", accepted: bool = True) -> Step:
    """Publish an event of this probe once more."""

    def step(world: World) -> None:
        answer = world.peer.publish(world.events[name])
        assert answer[1] is accepted
        assert answer[2].startswith(says)

    return step


def ask(*filters: dict[str, Any], finds: str) -> Step:
    """Send REQ; ``finds`` names the events in the expected order."""

    def step(world: World) -> None:
        found = world.peer.ask(*world.filters(filters))
        names = {event.id: name for name, event in world.events.items()}
        assert [names[event["id"]] for event in found] == finds.split()
        assert found == [json.loads(world.events[names[event["id"]]].text) for event in found], "nothing is changed"

    return step


def count(*filters: dict[str, Any], is_: int) -> Step:
    """COUNT."""

    def step(world: World) -> None:
        assert world.peer.count(*world.filters(filters))["count"] == is_

    return step


def refused(*filters: dict[str, Any], says: str) -> Step:
    """Send a REQ that is answered with CLOSED."""

    def step(world: World) -> None:
        world.peer.say("REQ", "r", *world.filled(filters))
        verb, name, reason = world.peer.get()
        assert (verb, name) == ("CLOSED", "r")
        assert reason.startswith(says)

    return step


def authenticate(name: str) -> Step:
    """AUTH."""

    def step(world: World) -> None:
        assert world.peer.authenticate(world.server, world.keys[name])[1:] == [True, ""]

    return step


A, B = ["t", "a"], ["t", "b"]
THREE = (put("one", at=1), put("two", at=2), put("three", at=3))
PROBES: dict[str, tuple[Step, ...]] = {
    "01 ids are found by the whole id": (*THREE, ask({"ids": ["$one", "$three"]}, finds="three one")),
    "01 a part of an id is invalid": (refused({"ids": ["ab" * 16]}, says="invalid:"),),
    "01 a part of an author is invalid": (refused({"authors": ["ab" * 16]}, says="invalid:"),),
    "01 authors are told apart": (put("a"), put("b", by="bob"), ask({"authors": ["$bob"]}, finds="b")),
    "01 kinds are any of them": (
        *(put(f"k{kind}", kind, at=kind) for kind in (1, 6, 7)),
        ask({"kinds": [1, 7]}, finds="k7 k1"),
    ),
    "01 the newest come first": (*THREE, ask({}, finds="three two one")),
    "01 limit takes the newest": (*THREE, ask({"limit": 2}, finds="three two")),
    "01 limit counts for each filter": (
        *THREE,
        put("like", 7),
        ask({"kinds": [1], "limit": 1}, {"kinds": [7], "limit": 1}, finds="three like"),
    ),
    "01 since is included": (*THREE, ask({"since": "@2"}, finds="three two")),
    "01 until is included": (*THREE, ask({"until": "@2"}, finds="two one")),
    "01 since and until may be one moment": (*THREE, ask({"since": "@2", "until": "@2"}, finds="two")),
    "01 since after until finds nothing": (*THREE, ask({"since": "@3", "until": "@1"}, finds="")),
    "01 limit and until go backwards": (*THREE, ask({"until": "@2", "limit": 1}, finds="two")),
    "01 a tag's values are any of them": (
        put("a", 1, A, at=3),
        put("b", 1, B, at=2),
        put("c", 1, ["t", "c"], at=1),
        ask({"#t": ["a", "b"]}, finds="a b"),
    ),
    "01 several tags are all of them": (
        put("a", 1, A),
        put("both", 1, A, ["r", "x"]),
        ask({"#t": ["a"], "#r": ["x"]}, finds="both"),
    ),
    "01 only a tag's first value counts": (put("a", 1, ["t", "a", "b"]), ask({"#t": ["b"]}, finds="")),
    "01 every tag of a name counts": (put("a", 1, A, B), ask({"#t": ["b"]}, finds="a")),
    "01 letters' case is told apart": (
        put("lower", 1, A),
        put("upper", 1, ["T", "a"], at=1),
        ask({"#T": ["a"]}, finds="upper"),
        ask({"#t": ["a"]}, finds="lower"),
    ),
    "01 values' case is told apart": (put("a", 1, A), ask({"#t": ["A"]}, finds="")),
    "01 references are found": (
        put("root"),
        put("reply", 1, ["e", "$root", "", "root"], ["p", "$ann"], by="bob", at=1),
        ask({"#e": ["$root"]}, finds="reply"),
        ask({"#p": ["$ann"]}, finds="reply"),
    ),
    "01 longer names of tags cannot be asked for": (refused({"#long": ["x"]}, says="unsupported:"),),
    "01 an event comes once although two filters want it": (*THREE, ask({}, {"ids": ["$two"]}, finds="three two one")),
    "01 all members of a filter have to match": (
        put("a", 1, A),
        put("b", 7, A),
        ask({"kinds": [7], "#t": ["a"]}, finds="b"),
    ),
    "01 texts come back as they were": (
        put("odd", content='"\\/\b\f\n\r\t\x00\x7f\u2028\ufeff é 😀'),
        put("none", content="", at=1),
        put("tags", 1, ["t", "\n\u0001"], ["x"], ["y", "", "z"], at=2),
        ask({}, finds="tags none odd"),
    ),
    "01 a duplicate is accepted": (put("a"), again("a", "duplicate:"), ask({}, finds="a")),
    **{
        f"01 of kind {kind} the newest is kept": (
            put("old", kind),
            put("new", kind, at=1),
            ask({"kinds": [kind]}, finds="new"),
            put("older", kind, at=-1, says="replaced:"),
            put("other", kind, by="bob", at=-5),
            ask({"kinds": [kind]}, finds="new other"),
        )
        for kind in (0, 3, 10000, 19999, 30000, 39999)
    },
    **{
        f"01 of kind {kind} all are kept": (
            put("old", kind),
            put("new", kind, at=1),
            ask({"kinds": [kind]}, finds="new old"),
        )
        for kind in (2, 44, 1000, 9999, 40000, 65535)
    },
    **{
        f"01 of kind {kind} nothing is kept": (
            put("a", kind),
            ask({"kinds": [kind]}, finds=""),
            count({"kinds": [kind]}, is_=0),
        )
        for kind in (20000, 29999)
    },
    "01 of addressable events one is kept for each d": (
        put("x1", 30023, ["d", "x"]),
        put("y", 30023, ["d", "y"], at=1),
        put("x2", 30023, ["d", "x"], at=2),
        put("x0", 30023, ["d", "x"], at=-1, says="replaced:"),
        ask({"kinds": [30023]}, finds="x2 y"),
        ask({"#d": ["x"]}, finds="x2"),
    ),
    "01 no d is an empty d": (
        put("none", 30023),
        put("bare", 30023, ["d"], at=1),
        put("empty", 30023, ["d", ""], at=2),
        ask({"kinds": [30023]}, finds="empty"),
    ),
    "01 an address is of one kind": (
        put("a", 30023, ["d", "x"]),
        put("b", 30024, ["d", "x"], at=1),
        ask({}, finds="b a"),
    ),
    "09 a deletion removes its author's event": (
        *THREE,
        put("gone", 5, ["e", "$two"], ["k", "1"], at=4),
        ask({"kinds": [1]}, finds="three one"),
        again("two", "blocked:", accepted=False),
    ),
    "09 a deletion is served itself": (put("a"), put("gone", 5, ["e", "$a"], at=1), ask({}, finds="gone")),
    "09 others' events stay": (put("a"), put("no", 5, ["e", "$a"], by="bob"), ask({"kinds": [1]}, finds="a")),
    "09 a deletion cannot be deleted": (
        put("a"),
        put("gone", 5, ["e", "$a"], at=1),
        put("back", 5, ["e", "$gone"], at=2),
        ask({}, finds="back gone"),
        again("a", "blocked:", accepted=False),
    ),
    "09 an address is deleted up to the time of the request": (
        put("old", 30023, ["d", "x"]),
        put("gone", 5, ["a", "30023:$ann:x"], at=5),
        ask({"kinds": [30023]}, finds=""),
        put("older", 30023, ["d", "x"], at=4, says="blocked:"),
        put("new", 30023, ["d", "x"], at=6),
        ask({"kinds": [30023]}, finds="new"),
    ),
    "09 others' addresses stay": (
        put("a", 30023, ["d", "x"]),
        put("no", 5, ["a", "30023:$ann:x"], by="bob", at=5),
        ask({"kinds": [30023]}, finds="a"),
    ),
    "09 a replaceable event is deleted by its address": (
        put("profile", 0),
        put("gone", 5, ["a", "0:$ann:"], at=1),
        ask({"kinds": [0]}, finds=""),
    ),
    "09 several are deleted at once": (
        *THREE,
        put("gone", 5, ["e", "$one"], ["e", "$three"], at=4),
        ask({"kinds": [1]}, finds="two"),
    ),
    "40 what will expire is served until then": (
        put("a", 1, ["expiration", "@5000"]),
        ask({}, finds="a"),
        count({}, is_=1),
    ),
    "40 what has expired is refused": (put("a", 1, ["expiration", "@1"], says="invalid:"), ask({}, finds="")),
    "42 several keys may authenticate": (
        authenticate("ann"),
        authenticate("bob"),
        put("a", 1, ["-"]),
        put("b", 1, ["-"], by="bob", at=1),
        ask({}, finds="b a"),
    ),
    "42 messages for somebody are read by those they name": (
        put("wrap", 1059, ["p", "$bob"]),
        refused({"kinds": [1059]}, says="auth-required:"),
        authenticate("carol"),
        ask({"#p": ["$bob"]}, finds=""),
        authenticate("bob"),
        ask({"kinds": [1059], "#p": ["$bob"]}, finds="wrap"),
        count({"kinds": [1059], "#p": ["$bob"]}, is_=1),
    ),
    "42 an authentication is not published": (put("a", 22242, says="invalid:"),),
    "45 a count is of all filters together": (
        *THREE,
        count({}, is_=3),
        count({"since": "@2"}, {"until": "@2"}, is_=3),
        count({"limit": 1}, is_=3),
        count({"kinds": [7]}, is_=0),
    ),
    "45 what was deleted or replaced is not counted": (
        *THREE,
        put("gone", 5, ["e", "$one"], at=4),
        put("p1", 0),
        put("p2", 0, at=1),
        count({"kinds": [0, 1]}, is_=3),
    ),
    "50 all words have to be there": (
        put("fox", content="the quick brown fox"),
        put("dog", content="the lazy dog", at=1),
        ask({"search": "the quick"}, finds="fox"),
        ask({"search": "LAZY"}, finds="dog"),
        ask({"search": "cat"}, finds=""),
        ask({"search": "lazy", "kinds": [7]}, finds=""),
    ),
    "50 a search sees what was deleted no more": (
        put("fox", content="vixen"),
        put("gone", 5, ["e", "$fox"], at=1, content="done"),
        ask({"search": "vixen"}, finds=""),
    ),
    "70 a protected event needs its author's authentication": (
        put("a", 1, ["-"], says="auth-required:"),
        authenticate("bob"),
        again("a", "restricted:", accepted=False),
        authenticate("ann"),
        again("a"),
        ask({}, finds="a"),
    ),
    "70 a protected event is not reposted": (
        authenticate("ann"),
        put("a", 1, ["-"]),
        put("repost", 6, content='{"tags":[["-"]]}', says="blocked:"),
    ),
}


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory: Path = tmp_path_factory.mktemp("probes")
    options = ("--http", "--http-port", "0", "--events", "--event-rate", "0", "--data-dir", str(directory))
    server = ServerProcess(*options)
    server.wait_for_log("HTTP on port")
    yield server
    assert server.stop() == 0
    assert "Traceback" not in "".join(server.log)


@pytest.mark.parametrize("steps", PROBES.values(), ids=PROBES)
def test_a_probe_of_the_relay(relay: ServerProcess, steps: tuple[Step, ...]) -> None:
    with contextlib.closing(NostrPeer(relay)) as peer:
        world = World(relay, peer)
        for step in steps:
            step(world)
