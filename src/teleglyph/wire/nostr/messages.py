"""What clients and relays say to each other (NIP-01, 42, 45, 77; spec event-relay 2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from teleglyph.errors import EventRefusedError, InvalidMessageError
from teleglyph.wire.nostr.event import dump, is_whole, load, quoted

MAX_SUBSCRIPTION_ID = 64
_HEX = re.compile(r"[0-9a-fA-F]*")


@dataclass(frozen=True, slots=True)
class Publish:
    """EVENT: ``members`` is what the client calls an event."""

    members: Any


@dataclass(frozen=True, slots=True)
class Request:
    """REQ."""

    subscription: str
    filters: list[Any]


@dataclass(frozen=True, slots=True)
class Count:
    """COUNT."""

    subscription: str
    filters: list[Any]


@dataclass(frozen=True, slots=True)
class Close:
    """CLOSE."""

    subscription: str


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTH: ``members`` is what the client calls an event."""

    members: Any


@dataclass(frozen=True, slots=True)
class OpenSync:
    """NEG-OPEN: reconcile what ``filter`` finds; ``message`` is the first one of the binary protocol."""

    subscription: str
    filter: Any
    message: bytes


@dataclass(frozen=True, slots=True)
class ContinueSync:
    """NEG-MSG: the next message of the binary protocol."""

    subscription: str
    message: bytes


@dataclass(frozen=True, slots=True)
class CloseSync:
    """NEG-CLOSE."""

    subscription: str


ClientMessage = Publish | Request | Count | Close | Authenticate | OpenSync | ContinueSync | CloseSync


class SubscriptionRefusedError(EventRefusedError):
    """A REQ or COUNT cannot be served.

    Attributes:
        subscription: whose it is.
    """

    def __init__(self, message: str, subscription: str) -> None:
        super().__init__(message)
        self.subscription = subscription


class SyncRefusedError(EventRefusedError):
    """A NEG-OPEN or NEG-MSG cannot be served (NIP-77).

    Attributes:
        subscription: whose it is.
    """

    def __init__(self, message: str, subscription: str) -> None:
        super().__init__(message)
        self.subscription = subscription


def read_message(data: bytes) -> ClientMessage:
    """Read a client's message, without looking into events and filters.

    Raises:
        SubscriptionRefusedError: to be answered with CLOSED.
        SyncRefusedError: to be answered with NEG-ERR.
        InvalidMessageError: to be answered with NOTICE.
    """
    message = load(data)
    if type(message) is not list or not message or type(message[0]) is not str:
        raise InvalidMessageError("a message is an array that begins with a verb")
    verb, *rest = message
    if verb in ("EVENT", "AUTH"):
        if len(rest) != 1:
            raise InvalidMessageError(f"{verb} has one value, an event")
        return Publish(rest[0]) if verb == "EVENT" else Authenticate(rest[0])
    if verb in ("NEG-OPEN", "NEG-MSG", "NEG-CLOSE"):
        return _read_sync(verb, rest)
    if verb not in ("REQ", "COUNT", "CLOSE"):
        raise InvalidMessageError(f"unknown verb {quoted(verb)}")
    if not rest or type(rest[0]) is not str:
        raise InvalidMessageError(f"{verb} begins with the text that names the subscription")
    subscription, *filters = rest
    if not 1 <= len(subscription) <= MAX_SUBSCRIPTION_ID:
        raise SubscriptionRefusedError(
            f"invalid: a subscription's name has 1 to {MAX_SUBSCRIPTION_ID} characters", subscription[:1000]
        )
    if not is_whole(subscription):
        raise SubscriptionRefusedError("invalid: the name has half of a surrogate pair", subscription)
    if verb == "CLOSE":
        return Close(subscription)
    if not filters:
        raise SubscriptionRefusedError(f"invalid: {verb} has at least one filter", subscription)
    return Request(subscription, filters) if verb == "REQ" else Count(subscription, filters)


def _read_sync(verb: str, rest: list[Any]) -> OpenSync | ContinueSync | CloseSync:
    if not rest or type(rest[0]) is not str:
        raise InvalidMessageError(f"{verb} begins with the text that names the sync")
    name = rest[0]
    if not 1 <= len(name) <= MAX_SUBSCRIPTION_ID:
        raise SyncRefusedError(f"invalid: a sync's name has 1 to {MAX_SUBSCRIPTION_ID} characters", name[:1000])
    if not is_whole(name):
        raise SyncRefusedError("invalid: the name has half of a surrogate pair", name)
    if verb == "NEG-CLOSE":
        return CloseSync(name)
    # Older clients put the length of ids between the filter and the message.
    if len(rest) < (3 if verb == "NEG-OPEN" else 2):
        raise SyncRefusedError(f"invalid: {verb} ends with a message in hexadecimal digits", name)
    text = rest[-1]
    if type(text) is not str or len(text) % 2 or not _HEX.fullmatch(text):
        raise SyncRefusedError("invalid: the message of a sync has pairs of hexadecimal digits", name)
    message = bytes.fromhex(text)
    return OpenSync(name, rest[1], message) if verb == "NEG-OPEN" else ContinueSync(name, message)


# --- from the relay ---------------------------------------------------------------------------------------------------


def ok(event_id: str, accepted: bool, text: str = "") -> bytes:
    """The answer to an event; what the client calls it may be anything."""
    return dump_lenient(["OK", event_id, accepted, text])


def eose(subscription: str) -> bytes:
    """The stored part is finished."""
    return dump_lenient(["EOSE", subscription])


def closed(subscription: str, text: str) -> bytes:
    """A subscription was refused or ended."""
    return dump_lenient(["CLOSED", subscription, text])


def sync_error(subscription: str, text: str) -> bytes:
    """A reconciliation was refused or ended."""
    return dump_lenient(["NEG-ERR", subscription, text])


def sync_message(subscription: str, message: bytes) -> bytes:
    """The answer of the binary protocol."""
    return dump_lenient(["NEG-MSG", subscription, message.hex()])


def notice(text: str) -> bytes:
    """Something for people."""
    return dump_lenient(["NOTICE", text])


def challenge(text: str) -> bytes:
    """What an authentication has to hold."""
    return dump(["AUTH", text])


def count(subscription: str, number: int, hll: str | None = None) -> bytes:
    """How many events there are."""
    return dump_lenient(["COUNT", subscription, {"count": number, **({"hll": hll} if hll else {})}])


def event_head(subscription: str) -> bytes:
    """What stands in front of an event for a subscription; behind it stands :data:`EVENT_TAIL`."""
    return b'["EVENT",' + dump_lenient(subscription) + b","


EVENT_TAIL = b"]"


def dump_lenient(value: object) -> bytes:
    """As :func:`dump`; halves of surrogate pairs, which somebody may have put into a name, become question marks."""
    try:
        return dump(value)
    except EventRefusedError:
        return _replace(value)


def _replace(value: object) -> bytes:
    def mend(item: Any) -> Any:
        if isinstance(item, str):
            return item.encode("utf-8", "replace").decode()
        return [mend(part) for part in item] if isinstance(item, list) else item

    return dump(mend(value))
