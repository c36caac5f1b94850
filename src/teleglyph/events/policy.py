"""The administrator's rules in memory: which authors, kinds, events and addresses the relay accepts.

The database has the same rules (:mod:`teleglyph.store.moderation`).  No clock, no socket, no database here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

from teleglyph.errors import EventRefusedError
from teleglyph.events.limits import RelayProfile
from teleglyph.store.moderation import ModerationRecord, Rule
from teleglyph.wire.nostr.event import GIFT_WRAP, VANISH, NostrEvent

ONLY_ALLOWED_KEYS = "only allowed keys"
"""Setting: only keys on the allow list may publish, even if that list is empty."""
_SUBSCRIBER = 64
"""Bits of an IPv6 address that identify a subscriber, who may choose the rest."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Policy:
    """The rules.

    Args:
        own_key: the relay's public key, to which no rule applies; empty if it has none.

    Attributes:
        rules: text by value, by rule.
        vanished: by public key, the time up to which its events are refused.
    """

    def __init__(self, own_key: str = "") -> None:
        self.rules: Mapping[Rule, Mapping[str, str]] = {rule: {} for rule in Rule}
        self.vanished: dict[str, int] = {}
        self._own_key = own_key
        self._blocked: dict[tuple[int, int], set[int]] = {}
        """Blocked networks by IP version and length of the prefix."""
        self._kinds: tuple[set[int], set[int]] = set(), set()
        """Allowed and disallowed ones."""
        self._has_rules = False

    def load(self, record: ModerationRecord) -> None:
        """Install stored rules."""
        self.vanished = dict(record.vanished)
        self.install({rule: record.rules.get(rule, {}) for rule in Rule})

    def install(self, rules: Mapping[Rule, Mapping[str, str]]) -> None:
        """Replace the rules."""
        self.rules = rules
        self._kinds = (
            {int(kind) for kind in rules[Rule.ALLOWED_KIND]},
            {int(kind) for kind in rules[Rule.DISALLOWED_KIND]},
        )
        self._blocked = {}
        for text in rules[Rule.BLOCKED_ADDRESS]:
            network = _as_counted(ipaddress.ip_network(text))
            key = network.version, network.prefixlen
            self._blocked.setdefault(key, set()).add(int(network.network_address))
        self._has_rules = any(
            rules[rule]
            for rule in (Rule.BANNED_KEY, Rule.ALLOWED_KEY, Rule.BANNED_EVENT, Rule.ALLOWED_KIND, Rule.DISALLOWED_KIND)
        ) or (ONLY_ALLOWED_KEYS in rules[Rule.SETTING])

    def check(self, event: NostrEvent) -> None:
        """Check an event against the rules.

        Raises:
            EventRefusedError: it breaks one.
        """
        if self.vanished:
            self._check_vanished(event)
        if not self._has_rules or event.pubkey == self._own_key:
            return
        if event.id in self.rules[Rule.BANNED_EVENT]:
            raise EventRefusedError("blocked: this event is banned here")
        if event.kind == VANISH:
            return  # accepted from every author (NIP-62)
        allowed = self.rules[Rule.ALLOWED_KEY]
        if event.pubkey in self.rules[Rule.BANNED_KEY]:
            raise EventRefusedError("blocked: this key is banned here")
        if event.pubkey not in allowed and (allowed or ONLY_ALLOWED_KEYS in self.rules[Rule.SETTING]):
            raise EventRefusedError("restricted: only keys on the relay's list may publish here")
        allowed_kinds, disallowed_kinds = self._kinds
        if event.kind in disallowed_kinds or (allowed_kinds and event.kind not in allowed_kinds):
            raise EventRefusedError(f"blocked: kind {event.kind} is not accepted here")

    def _check_vanished(self, event: NostrEvent) -> None:
        if event.created_at <= self.vanished.get(event.pubkey, -1):
            raise EventRefusedError("blocked: its author asked to vanish")
        if event.kind == GIFT_WRAP and any(event.created_at <= self.vanished.get(key, -1) for key in event.values("p")):
            raise EventRefusedError("blocked: its recipient asked to vanish")

    @property
    def restricts_writing(self) -> bool:
        """Whether only some authors or only some kinds of events are accepted."""
        rules = self.rules
        return bool(rules[Rule.ALLOWED_KEY] or rules[Rule.ALLOWED_KIND] or ONLY_ALLOWED_KEYS in rules[Rule.SETTING])

    def record_vanished(self, request: NostrEvent) -> None:
        """Apply a request to vanish that is durable."""
        self.vanished[request.pubkey] = max(request.created_at, self.vanished.get(request.pubkey, -1))

    def blocks(self, network: str) -> bool:
        """Whether an address, as limits count it (:func:`teleglyph.net.network_of`), may not connect."""
        if not self._blocked:
            return False
        try:
            parsed = ipaddress.ip_network(network)
        except ValueError:
            return False
        first, bits = int(parsed.network_address), parsed.max_prefixlen
        return any(
            version == parsed.version and first >> (bits - length) << (bits - length) in networks
            for (version, length), networks in self._blocked.items()
        )

    def profile(self, configured: RelayProfile) -> RelayProfile:
        """The relay's profile with the administrator's changes."""
        settings = self.rules[Rule.SETTING]
        changed = {name: settings[name] for name in ("name", "description", "icon") if name in settings}
        return replace(configured, **changed)


def read_network(text: str) -> Network:
    """Parse an address or a network; an IPv4 address in IPv6 becomes IPv4.

    Raises:
        ValueError: it is neither.
    """
    network = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96), strict=False)
    return network


def _as_counted(network: Network) -> Network:
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen > _SUBSCRIBER:
        return network.supernet(new_prefix=_SUBSCRIBER)
    return network
