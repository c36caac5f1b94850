"""Outsiders, members, moderators and admins try everything on a real relay; each sees what the model says."""

from __future__ import annotations

import contextlib
import itertools
import random
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conftest import ServerProcess
from nostr_peer import NostrPeer, make
from reference_groups import FLAGS, ReferenceGroup, Said
from teleglyph.wire.nostr.event import NostrEvent

StartServer = Callable[..., ServerProcess]
_rounds = itertools.count()
_OPENING = {"private": ["public"], "hidden": ["hidden", "false"], "restricted": ["unrestricted"], "closed": ["open"]}


class Play:
    """Four people and an onlooker around one group."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self.random = random.Random(seed)
        self.name = f"g{seed}x{next(_rounds)}"
        self.keys = {key: make("", bytes.fromhex(key)).pubkey for key in (secrets.token_hex(32) for _ in range(4))}
        self.group = ReferenceGroup()
        self.trail: list[str] = []
        self.expected: dict[str | None, list[str]] = {}
        self.peers: dict[str | None, NostrPeer] = {None: NostrPeer(server)}
        for key, pubkey in self.keys.items():
            self.peers[pubkey] = NostrPeer(server)
            assert self.peers[pubkey].authenticate(server, bytes.fromhex(key))[1] is True
        self.writer = NostrPeer(server)
        for reader, peer in self.peers.items():
            self.expected[reader] = []
            peer.say("REQ", "live", {"authors": list(self.keys.values()), "limit": 0})
            assert peer.get() == ["EOSE", "live"]

    def close(self) -> None:
        for peer in (*self.peers.values(), self.writer):
            peer.close()

    # --- what they do ---------------------------------------------------------------------------------

    def step(self) -> None:
        choose = self.random.choice
        key = choose(list(self.keys))
        kind = choose([9, 9, 9, 9000, 9001, 9002, 9002, 9005, 9007, 9009, 9021, 9021, 9022, 5, 9010, "two"])
        tags: list[list[str]] = [["h", self.name]]
        roles: list[str] = []
        opened: list[str] = []
        known = [one.id for one in self.group.said] or ["ab" * 32]
        if kind == 9000:
            roles = choose([[], ["admin"], ["moderator"], ["cook"]])
            tags.append(["p", choose(list(self.keys.values())), *roles])
        elif kind == 9001:
            tags.append(["p", choose(list(self.keys.values()))])
        elif kind == 9002:
            tags += [[flag] for flag in FLAGS if self.random.random() < 0.3]
            opened = [flag for flag in FLAGS if self.random.random() < 0.2]
            tags += [_OPENING[flag] for flag in opened]
        elif kind in (9005, 5):
            tags.append(["e", choose(known)])
        elif kind in (9009, 9021):
            tags += [["code", choose(["one", "two"])]] if kind == 9009 or self.random.random() < 0.5 else []
        elif kind == "two":
            tags.insert(self.random.randint(0, 1), ["h", choose(["lobby", self.name])])
        number = 9 if kind == "two" else int(str(kind))
        self.publish(key, number, tags, roles, opened, has_two_groups=kind == "two")

    def publish(
        self,
        key: str,
        kind: int,
        tags: list[list[str]],
        roles: list[str],
        opened: list[str],
        *,
        has_two_groups: bool = False,
    ) -> None:
        event = make(f"word{self.name} {secrets.token_hex(4)}", bytes.fromhex(key), kind, *tags)
        by_name: dict[str, list[str]] = {}
        for tag in tags:
            by_name.setdefault(tag[0], []).extend(tag[1:2])
        wanted = not has_two_groups and self.group.accepts(event.pubkey, kind, by_name)
        answer = self.writer.publish(event)
        self.trail.append(f"{list(self.keys).index(key)} {kind} {tags} {answer[1:]}")
        assert answer[1] is wanted, "\n".join(self.trail)
        if wanted:
            said = Said(event.id, event.pubkey, kind)
            by_name.update(closed=[tag[0] for tag in tags if len(tag) == 1], opened=opened)
            self.group.take(said, by_name, roles)
            for reader, expected in self.expected.items():
                if self.group.sees(reader, said) or (event.pubkey == reader):
                    expected.append(event.id)

    # --- what they see --------------------------------------------------------------------------------

    def check(self) -> None:
        everything: dict[str, Any] = {"authors": list(self.keys.values())}
        for reader, peer in self.peers.items():
            seen = {one.id for one in self.group.said if self.group.sees(reader, one)}
            context = f"{reader}\n" + "\n".join(self.trail)
            assert self.ids(peer, everything) == seen, context
            assert peer.count(everything)["count"] == len(seen), context
            assert self.ids(peer, {**everything, "limit": 3}) <= seen, context
            assert len(self.ids(peer, {**everything, "limit": 3})) == min(3, len(seen)), context
            assert self.ids(peer, {"search": f"word{self.name}"}) == seen, context
            assert peer.count({"search": f"word{self.name}"})["count"] == len(seen), context
            numbers = [one.id for one in self.group.said] or ["ab" * 32]
            assert self.ids(peer, {"ids": numbers}) == seen, context
            self.check_named(peer, reader, {**everything, "#h": [self.name]}, seen, context)

    def check_named(self, peer: NostrPeer, reader: str | None, wanted: Any, seen: set[str], context: str) -> None:
        is_refused = self.group.exists and "private" in self.group.flags and reader not in self.group.roles
        for verb in ("REQ", "COUNT"):
            peer.say(verb, "n", wanted)
            messages = [self.next(peer, "n")]
            while messages[-1][0] == "EVENT":
                messages.append(self.next(peer, "n"))
            if is_refused:
                assert [message[0] for message in messages] == ["CLOSED"], context
            elif verb == "COUNT":
                assert messages[0][2]["count"] == len(seen), context
            else:
                assert {message[2]["id"] for message in messages[:-1]} == seen, context
                peer.say("CLOSE", "n")

    def ids(self, peer: NostrPeer, wanted: Any) -> set[str]:
        return {event["id"] for event in peer.ask(wanted)}

    @staticmethod
    def next(peer: NostrPeer, name: str) -> Any:
        message = peer.get()
        assert message[1] == name
        return message

    def check_live(self) -> None:
        """Last, because the other answers come over the same connections."""
        sentinel: NostrEvent = make("end", bytes.fromhex(next(iter(self.keys))), 20001)
        assert self.writer.publish(sentinel)[1] is True
        for reader, peer in self.peers.items():
            received = []
            while (message := peer.get())[2]["id"] != sentinel.id:
                assert message[:2] == ["EVENT", "live"]
                received.append(message[2]["id"])
            assert received == self.expected[reader], f"{reader}\n" + "\n".join(self.trail)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def relay(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data = tmp_path_factory.mktemp("groups")
    options = ["--http-port", "0", "--http", "--events", "--event-rate", "0", "--data-dir", str(data)]
    if request.param == "postgresql":
        options += ["--database", request.getfixturevalue("postgresql")]
    server = ServerProcess(*options)
    server.wait_for_log("HTTP on port")
    yield server
    assert server.stop() == 0
    assert "Traceback" not in "".join(server.log)


@contextlib.contextmanager
def playing(server: ServerProcess, seed: int) -> Iterator[Play]:
    play = Play(server, seed)
    try:
        yield play
    finally:
        play.close()


@pytest.mark.parametrize("seed", range(12))
def test_everybody_sees_what_the_model_says(relay: ServerProcess, seed: int) -> None:
    with playing(relay, seed) as play:
        play.publish(next(iter(play.keys)), 9007, [["h", play.name]], [], [])
        for _ in range(40):
            play.step()
        play.check_live()
        play.check()


@pytest.mark.parametrize("seed", range(100, 104))
def test_everybody_sees_what_the_model_says_in_a_long_run(relay: ServerProcess, seed: int) -> None:
    with playing(relay, seed) as play:
        for peer in play.peers.values():
            peer.say("CLOSE", "live")
        for _ in range(12):
            play.step()
            play.check()
