"""Checks events and authentications (NIP-13, 40, 42, 70).

No clock: the time is an argument.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Set

from teleglyph.errors import EventRefusedError
from teleglyph.events.kinds import AFTER_ADDRESSABLE, EventKind
from teleglyph.events.limits import EventLimits
from teleglyph.net import OwnNames
from teleglyph.wire.nostr.event import AUTHENTICATION, FIRST_ADDRESSABLE, VANISH, NostrEvent

_REPOSTS = (EventKind.REPOST, EventKind.GENERIC_REPOST)
_ALL_RELAYS = "ALL_RELAYS"


def check_admission(event: NostrEvent, limits: EventLimits, now: float, authenticated: Set[str]) -> None:
    """Check whether an event may be stored, apart from rates and its signature.

    Args:
        event: well-formed.
        limits: the relay's limits.
        now: Unix seconds.
        authenticated: public keys that the connection has proved.

    Raises:
        EventRefusedError: it may not.
    """
    if event.kind == AUTHENTICATION:
        raise EventRefusedError(f"invalid: kind {AUTHENTICATION} is for AUTH, not for EVENT")
    _check_unique(event, "expiration", *(["d"] if FIRST_ADDRESSABLE <= event.kind < AFTER_ADDRESSABLE else []))
    if event.created_at > now + limits.created_at_ahead:
        raise EventRefusedError(f"invalid: created_at is more than {limits.created_at_ahead} s in the future")
    if limits.created_at_back is not None and event.created_at < now - limits.created_at_back:
        raise EventRefusedError(f"invalid: created_at is more than {limits.created_at_back} s ago")
    if event.expires_at is not None and event.expires_at <= now:
        raise EventRefusedError("invalid: the event has expired")
    _check_work(event, limits.min_pow_difficulty)
    if limits.auth_required and not authenticated and event.kind != VANISH:
        raise EventRefusedError("auth-required: authenticate to publish here")
    if event.is_protected and event.pubkey not in authenticated:
        if not authenticated:
            raise EventRefusedError("auth-required: only its author may publish a protected event")
        raise EventRefusedError("restricted: only its author may publish a protected event")
    if event.kind in _REPOSTS and _embeds_protected(event.content):
        raise EventRefusedError("blocked: protected events may not be reposted")


def check_vanish(event: NostrEvent, is_own_url: Callable[[str], bool]) -> None:
    """Check that a request to vanish (NIP-62) is for this relay.

    Args:
        event: the request, well-formed.
        is_own_url: whether a URL is one of this relay's.

    Raises:
        EventRefusedError: it is not.
    """
    relays = event.values("relay")
    if _ALL_RELAYS not in relays and not any(map(is_own_url, relays)):
        raise EventRefusedError(
            f"invalid: a request to vanish must have a tag relay with this relay's URL or {_ALL_RELAYS}"
        )


def is_for_all_relays(event: NostrEvent) -> bool:
    """Whether a request to vanish is for every relay."""
    return _ALL_RELAYS in event.values("relay")


def _check_unique(event: NostrEvent, *names: str) -> None:
    """Check that tags are unique, because other programs may use another of several values."""
    for name in names:
        if sum(tag[0] == name for tag in event.tags) > 1:
            raise EventRefusedError(f"invalid: the event has more than one tag {name}")


def _check_work(event: NostrEvent, minimum: int) -> None:
    if not minimum:
        return
    if event.difficulty < minimum:
        raise EventRefusedError(f"pow: difficulty {event.difficulty} is less than {minimum}")
    for tag in event.tags:
        if tag[0] != "nonce" or len(tag) < 3 or not (tag[2].isascii() and tag[2].isdecimal()):
            continue
        target = tag[2].lstrip("0")[:9] or "0"
        if int(target) < minimum:
            raise EventRefusedError(f"pow: target difficulty {target} is less than {minimum}")


def _embeds_protected(content: str) -> bool:
    try:
        tags = json.loads(content).get("tags")
    except (ValueError, RecursionError, AttributeError):
        return False
    return isinstance(tags, list) and any(isinstance(tag, list) and tag[:1] == ["-"] for tag in tags)


def check_authentication(event: NostrEvent, challenge: str, own: OwnNames, limits: EventLimits, now: float) -> None:
    """Check that an event authenticates its author on this connection (NIP-42).

    Args:
        event: well-formed.
        challenge: that was sent last.
        own: the server's names on this connection; never a name that only the client gave.
        limits: the relay's limits.
        now: Unix seconds.

    Raises:
        EventRefusedError: it does not.
    """
    if event.kind != AUTHENTICATION:
        raise EventRefusedError(f"invalid: an authentication must have the kind {AUTHENTICATION}")
    _check_unique(event, "relay", "challenge")
    if abs(event.created_at - now) > limits.auth_window:
        raise EventRefusedError(f"invalid: created_at is more than {limits.auth_window} s from now")
    if event.first("challenge") != challenge:
        raise EventRefusedError("invalid: this is not the challenge that was sent")
    if not own.is_own_url(event.first("relay") or ""):
        raise EventRefusedError(f"invalid: this authentication is for another relay; {own}")
    event.check_proof()
