"""Management of the relay by its administrator's requests (NIP-86), each authenticated by an event (NIP-98).

A change applies in memory at once and is answered when it is durable.  If it cannot be stored, it is undone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from teleglyph.errors import EventRefusedError, InvalidMessageError, PeerError, StoreError
from teleglyph.events.http_auth import WINDOW, HttpRequest, check_http_authentication
from teleglyph.events.policy import ONLY_ALLOWED_KEYS, Policy, read_network
from teleglyph.net import TokenBucket
from teleglyph.store.moderation import ModerationStore, Rule, RuleChange
from teleglyph.wire.nostr.event import MAX_KIND, is_hex, parse_json, quoted

MAX_ENTRIES = 10_000
"""Limit per list."""
MAX_REASON = 200
"""Characters."""
_MIN_PREFIX = {4: 8, 6: 16}
"""Bits of the largest network that can be blocked."""
_RATE, _BURST = 10.0, 50.0
"""Requests of the administrator per second, and at once."""
_SETTINGS = {"name": 100, "description": 4000, "icon": 2000}
"""Characters that each may have."""


class ManagementRefusedError(PeerError):
    """A management request was refused; the message is for its sender.

    Attributes:
        status: of the HTTP response.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Method:
    call: Callable[..., Awaitable[Any]]
    min_params: int
    max_params: int


class Management:
    """Handles the administrator's requests.

    Args:
        store: stores changes.
        policy: applies them.
        admins: public keys of the administrators.
        protected: public keys that cannot be banned.
        on_change: called with each change that is durable.
    """

    def __init__(
        self,
        store: ModerationStore,
        policy: Policy,
        admins: frozenset[str],
        protected: frozenset[str],
        on_change: Callable[[RuleChange], None],
    ) -> None:
        self._store = store
        self._policy = policy
        self._admins = admins
        self._protected = admins | protected
        self._on_change = on_change
        self._rate = TokenBucket(_RATE, _BURST)
        self._turn = asyncio.Lock()
        self._methods: Mapping[str, _Method] = {
            "supportedmethods": _Method(self._supported, 0, 0),
            "banpubkey": _Method(self._ban_key, 1, 2),
            "unbanpubkey": _Method(self._unban_key, 1, 2),
            "listbannedpubkeys": self._listing(Rule.BANNED_KEY, "pubkey"),
            "allowpubkey": _Method(self._allow_key, 1, 2),
            "unallowpubkey": _Method(self._unallow_key, 1, 2),
            "listallowedpubkeys": self._listing(Rule.ALLOWED_KEY, "pubkey"),
            "banevent": _Method(self._ban_event, 1, 2),
            "unbanevent": _Method(self._unban_event, 1, 2),
            "allowevent": _Method(self._unban_event, 1, 2),
            "listbannedevents": self._listing(Rule.BANNED_EVENT, "id"),
            "changerelayname": self._setting("name"),
            "changerelaydescription": self._setting("description"),
            "changerelayicon": self._setting("icon"),
            "allowkind": _Method(self._allow_kind, 1, 1),
            "disallowkind": _Method(self._disallow_kind, 1, 1),
            "listallowedkinds": self._kinds(Rule.ALLOWED_KIND),
            "listdisallowedkinds": self._kinds(Rule.DISALLOWED_KIND),
            "blockip": _Method(self._block, 1, 2),
            "unblockip": _Method(self._unblock, 1, 2),
            "listblockedips": self._listing(Rule.BLOCKED_ADDRESS, "ip"),
        }

    async def answer(self, request: HttpRequest, now: float, uptime: float) -> Any:
        """The result of a request.

        Args:
            request: a call of a method (NIP-86), with its authentication.
            now: Unix seconds.
            uptime: on the monotonic clock.

        Raises:
            ManagementRefusedError: the request was refused.
        """
        try:
            event = check_http_authentication(request, now)
        except EventRefusedError as error:
            raise ManagementRefusedError(str(error), 401) from None
        if event.pubkey not in self._admins:
            raise ManagementRefusedError("Only the relay's administrator may manage it.", 403)
        if not self._rate.allow(uptime):
            raise ManagementRefusedError(f"At most {_RATE:g} requests per second are accepted; try again later.", 429)
        try:
            is_new = await asyncio.wrap_future(self._store.use_once(event.sig, event.created_at + WINDOW, now))
            if not is_new:
                raise ManagementRefusedError("This authentication was used before; sign a new one.", 401)
            return await self._call(request.body)
        except StoreError:
            raise ManagementRefusedError("The database cannot be used now; try again later.", 503) from None

    async def _call(self, body: bytes) -> Any:
        try:
            message = parse_json(body)
        except InvalidMessageError:
            raise ManagementRefusedError("The body is not valid JSON.") from None
        if type(message) is not dict or type(message.get("method")) is not str:
            raise ManagementRefusedError("The body is not an object with a method and params.")
        name, params = message["method"], message.get("params", [])
        method = self._methods.get(name)
        if method is None:
            raise ManagementRefusedError(
                f"The method {quoted(name)} is not supported; supportedmethods lists those that are."
            )
        if type(params) is not list or not method.min_params <= len(params) <= method.max_params:
            number = (
                f"{method.min_params} to {method.max_params}"
                if method.min_params < method.max_params
                else f"{method.min_params}"
            )
            raise ManagementRefusedError(f"The method {name} takes a list of {number} params.")
        return await method.call(*params)

    async def _change(self, change: RuleChange) -> bool:
        async with self._turn:
            before = self._policy.rules
            rules = {rule: dict(entries) for rule, entries in before.items()}
            for rule, value in change.removed:
                rules[rule].pop(value, None)
            for rule, value, text in change.added:
                rules[rule][value] = text
            self._policy.install(rules)
            try:
                await asyncio.wrap_future(self._store.write(change))
            except StoreError:
                self._policy.install(before)
                raise
        self._on_change(change)
        return True

    def _check_space(self, rule: Rule, value: str) -> None:
        entries = self._policy.rules[rule]
        if value not in entries and len(entries) >= MAX_ENTRIES:
            raise ManagementRefusedError(f"The list is full: it has {MAX_ENTRIES} entries. Remove some first.")

    # --- methods --------------------------------------------------------------------------------------

    async def _supported(self) -> list[str]:
        return [name for name in self._methods if name != "supportedmethods"]

    def _listing(self, rule: Rule, member: str) -> _Method:
        async def listed() -> list[dict[str, str]]:
            entries = self._policy.rules[rule].items()
            return [{member: value, **({"reason": text} if text else {})} for value, text in entries]

        return _Method(listed, 0, 0)

    def _kinds(self, rule: Rule) -> _Method:
        async def listed() -> list[int]:
            return sorted(int(kind) for kind in self._policy.rules[rule])

        return _Method(listed, 0, 0)

    async def _ban_key(self, key: object, reason: object = "") -> bool:
        pubkey, text = _hex_id(key, "public key"), _text(reason, "reason", MAX_REASON)
        if pubkey in self._protected:
            raise ManagementRefusedError("The administrator and the relay itself cannot be banned.")
        self._check_space(Rule.BANNED_KEY, pubkey)
        removed = [(Rule.ALLOWED_KEY, pubkey)]
        return await self._change(RuleChange([(Rule.BANNED_KEY, pubkey, text)], removed, banned=pubkey))

    async def _unban_key(self, key: object, _reason: object = "") -> bool:
        pubkey = _hex_id(key, "public key")
        return await self._change(RuleChange(removed=[(Rule.BANNED_KEY, pubkey)], unbanned=pubkey))

    async def _allow_key(self, key: object, reason: object = "") -> bool:
        pubkey, text = _hex_id(key, "public key"), _text(reason, "reason", MAX_REASON)
        self._check_space(Rule.ALLOWED_KEY, pubkey)
        added = [(Rule.ALLOWED_KEY, pubkey, text), (Rule.SETTING, ONLY_ALLOWED_KEYS, "1")]
        return await self._change(RuleChange(added, [(Rule.BANNED_KEY, pubkey)], unbanned=pubkey))

    async def _unallow_key(self, key: object, _reason: object = "") -> bool:
        pubkey = _hex_id(key, "public key")
        removed = [(Rule.ALLOWED_KEY, pubkey)]
        if set(self._policy.rules[Rule.ALLOWED_KEY]) <= {pubkey}:
            removed.append((Rule.SETTING, ONLY_ALLOWED_KEYS))
        return await self._change(RuleChange(removed=removed))

    async def _ban_event(self, event_id: object, reason: object = "") -> bool:
        event, text = _hex_id(event_id, "event id"), _text(reason, "reason", MAX_REASON)
        self._check_space(Rule.BANNED_EVENT, event)
        return await self._change(RuleChange([(Rule.BANNED_EVENT, event, text)], erased=[event]))

    async def _unban_event(self, event_id: object, _reason: object = "") -> bool:
        return await self._change(RuleChange(removed=[(Rule.BANNED_EVENT, _hex_id(event_id, "event id"))]))

    def _setting(self, name: str) -> _Method:
        async def change(value: object) -> bool:
            text = _text(value, name, _SETTINGS[name], lines=name == "description")
            if name == "icon" and text:
                _check_url(text)
            if not text:
                return await self._change(RuleChange(removed=[(Rule.SETTING, name)]))
            return await self._change(RuleChange([(Rule.SETTING, name, text)]))

        return _Method(change, 1, 1)

    async def _allow_kind(self, kind: object) -> bool:
        value = _kind(kind)
        return await self._change(RuleChange([(Rule.ALLOWED_KIND, value, "")], [(Rule.DISALLOWED_KIND, value)]))

    async def _disallow_kind(self, kind: object) -> bool:
        value = _kind(kind)
        return await self._change(RuleChange([(Rule.DISALLOWED_KIND, value, "")], [(Rule.ALLOWED_KIND, value)]))

    async def _block(self, address: object, reason: object = "") -> bool:
        value, text = _network(address), _text(reason, "reason", MAX_REASON)
        self._check_space(Rule.BLOCKED_ADDRESS, value)
        return await self._change(RuleChange([(Rule.BLOCKED_ADDRESS, value, text)]))

    async def _unblock(self, address: object, _reason: object = "") -> bool:
        return await self._change(RuleChange(removed=[(Rule.BLOCKED_ADDRESS, _network(address))]))


def _hex_id(value: object, name: str) -> str:
    if not is_hex(value):
        raise ManagementRefusedError(f"The {name} does not have 64 lower-case hexadecimal digits.")
    return str(value)


def _kind(value: object) -> str:
    if type(value) is not int or not 0 <= value <= MAX_KIND:
        raise ManagementRefusedError(f"A kind is a number from 0 to {MAX_KIND}.")
    return str(value)


def _text(value: object, name: str, maximum: int, *, lines: bool = False) -> str:
    text = "" if value is None else value
    if type(text) is not str or len(text) > maximum:
        raise ManagementRefusedError(f"The {name} is not a text of at most {maximum} characters.")
    if not (text.replace("\n", "") if lines else text).isprintable():
        raise ManagementRefusedError(f"The {name} has characters that cannot be shown.")
    return text


def _network(value: object) -> str:
    try:
        network = read_network(value if type(value) is str and len(value) <= 64 else "")
    except ValueError:
        raise ManagementRefusedError(
            "The address is neither an IP address nor a network such as 192.0.2.0/24."
        ) from None
    minimum = _MIN_PREFIX[network.version]
    if network.prefixlen < minimum:
        raise ManagementRefusedError(f"The network is too large to be blocked; its prefix has at least {minimum} bits.")
    is_single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if is_single else str(network)


def _check_url(text: str) -> None:
    try:
        parts = urlsplit(text)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_right = False
    if not is_right:
        raise ManagementRefusedError("The icon is not a URL that begins with http:// or https://.")
