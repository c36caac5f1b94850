"""What the relay accepts, from whom, and from where: lists in memory, looked up once per event.

The database has the same lists (:mod:`teleglyph.store.moderation`).  No clock, no socket, no database here.
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
"""Setting: only keys on the allow list may publish, even if the last one of them was banned."""
_SUBSCRIBER = 64
"""Bits of an IPv6 address that name one subscriber; the rest is theirs to choose."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Policy:
    """The lists.

    Args:
        own_key: the relay's public key, which no list concerns; empty if it has none.

    Attributes:
        rules: text by value, by rule.
        vanished: by public key the time up to which nothing of it comes back.
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
        """Take over what was kept."""
        self.vanished = dict(record.vanished)
        self.install({rule: record.rules.get(rule, {}) for rule in Rule})

    def install(self, rules: Mapping[Rule, Mapping[str, str]]) -> None:
        """These hold from now on."""
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
        """Whether the lists let an event in.

        Raises:
            EventRefusedError: they do not.
        """
        if self.vanished:
            self._check_vanished(event)
        if not self._has_rules or event.pubkey == self._own_key:
            return
        if event.id in self.rules[Rule.BANNED_EVENT]:
            raise EventRefusedError("blocked: this event is banned here")
        if event.kind == VANISH:
            return  # honoured whoever asks (NIP-62)
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
        """Only some people, or only some kinds of events, are let in."""
        rules = self.rules
        return bool(rules[Rule.ALLOWED_KEY] or rules[Rule.ALLOWED_KIND] or ONLY_ALLOWED_KEYS in rules[Rule.SETTING])

    def vanish(self, request: NostrEvent) -> None:
        """A request to vanish is durable: it holds from now on."""
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
        """What the relay says of itself, with what the administrator has changed."""
        settings = self.rules[Rule.SETTING]
        changed = {name: settings[name] for name in ("name", "description", "icon") if name in settings}
        return replace(configured, **changed)


def read_network(text: str) -> Network:
    """An address or a network; an IPv4 address in IPv6 is read as IPv4.

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
