"""The relay's lists: whom they admit and whom they refuse."""

from __future__ import annotations

import pytest

from teleglyph.errors import EventRefusedError
from teleglyph.events.limits import RelayProfile
from teleglyph.events.policy import ONLY_ALLOWED_KEYS, Policy, read_network
from teleglyph.net import network_of
from teleglyph.store.moderation import ModerationRecord, Rule
from teleglyph.wire.nostr.event import NostrEvent, sign_event

ANN, BOB, RELAY = (bytes([number]) * 32 for number in (1, 2, 9))


def make(key: bytes = ANN, kind: int = 1, at: int = 100, *tags: list[str]) -> NostrEvent:
    return sign_event(key, at, kind, tags)


def policy(**rules: list[str]) -> Policy:
    made = Policy(make(RELAY).pubkey)
    made.install({rule: dict.fromkeys(rules.get(rule.name, []), "") for rule in Rule})
    return made


def is_admitted(lists: Policy, event: NostrEvent) -> bool:
    try:
        lists.check(event)
    except EventRefusedError as error:
        assert str(error).split(":")[0] in ("blocked", "restricted")
        return False
    return True


ANNS, BOBS = make(ANN).pubkey, make(BOB).pubkey


@pytest.mark.parametrize(
    ("rules", "ann", "bob", "other_kind"),
    [
        ({}, True, True, True),
        ({"BANNED_KEY": [ANNS]}, False, True, False),
        ({"ALLOWED_KEY": [ANNS]}, True, False, True),
        ({"SETTING": [ONLY_ALLOWED_KEYS]}, False, False, False),
        ({"BANNED_EVENT": [make().id]}, False, True, True),
        ({"ALLOWED_KIND": ["1"]}, True, True, False),
        ({"DISALLOWED_KIND": ["1"]}, False, False, True),
        ({"ALLOWED_KIND": ["1", "7"], "DISALLOWED_KIND": ["7"]}, True, True, False),
        ({"ALLOWED_KEY": [ANNS], "ALLOWED_KIND": ["7"]}, False, False, True),
    ],
)
def test_lists_admit_and_refuse(rules: dict[str, list[str]], ann: bool, bob: bool, other_kind: bool) -> None:
    lists = policy(**rules)
    assert is_admitted(lists, make(ANN)) is ann
    assert is_admitted(lists, make(BOB)) is bob
    assert is_admitted(lists, make(ANN, 7)) is other_kind
    assert is_admitted(lists, make(RELAY)), "the relay's own events are never kept out"


def test_anyones_request_to_vanish_is_honoured() -> None:
    for rules in (
        {"BANNED_KEY": [ANNS]},
        {"ALLOWED_KEY": [BOBS]},
        {"ALLOWED_KIND": ["1"]},
        {"DISALLOWED_KIND": ["62"]},
    ):
        assert is_admitted(policy(**rules), make(ANN, 62))
    assert not is_admitted(policy(BANNED_EVENT=[make(ANN, 62).id]), make(ANN, 62))


def test_events_from_before_a_request_to_vanish_are_refused() -> None:
    lists = policy()
    lists.load(ModerationRecord(vanished={ANNS: 100}))
    assert not is_admitted(lists, make(ANN, 1, 100))
    assert not is_admitted(lists, make(ANN, 62, 99))
    assert is_admitted(lists, make(ANN, 1, 101))
    assert not is_admitted(lists, make(BOB, 1059, 100, ["p", BOBS], ["p", ANNS]))
    assert is_admitted(lists, make(BOB, 1059, 101, ["p", ANNS]))
    assert is_admitted(lists, make(BOB, 1, 50, ["p", ANNS]))
    lists.record_vanished(make(ANN, 62, 150))
    lists.record_vanished(make(ANN, 62, 120))
    assert not is_admitted(lists, make(ANN, 1, 150))


@pytest.mark.parametrize(
    ("blocked", "address", "is_blocked"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.0/24", "192.0.2.200", True),
        ("192.0.2.77/24", "192.0.2.200", True),
        ("192.0.2.0/24", "192.0.3.1", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("::ffff:192.0.2.0/120", "192.0.2.9", True),
        ("2001:db8::1", "2001:db8::1", True),
        ("2001:db8::1", "2001:db8::2", True),  # one subscriber has the whole /64
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("2001:db8::/48", "2001:db8:0:1::1", True),
        ("2001:db8::/80", "2001:db8::1", True),
        ("192.0.2.7", "2001:db8::1", False),
        ("0.0.0.0/8", "::", False),
        ("192.0.2.7", "somewhere", False),
    ],
)
def test_addresses_are_blocked_as_limits_count_them(blocked: str, address: str, is_blocked: bool) -> None:
    lists = policy(BLOCKED_ADDRESS=["10.0.0.0/8", str(read_network(blocked))])
    assert lists.blocks(network_of(address)) is is_blocked


def test_the_administrators_changes_replace_the_configuration() -> None:
    lists = policy()
    configured = RelayProfile("Attic", "old", "mailto:a@b.example", "ab" * 32, "https://x/y")
    lists.load(ModerationRecord({Rule.SETTING: {"name": "Cellar", ONLY_ALLOWED_KEYS: "1"}}))
    assert lists.profile(configured) == RelayProfile("Cellar", "old", "mailto:a@b.example", "ab" * 32, "https://x/y")
