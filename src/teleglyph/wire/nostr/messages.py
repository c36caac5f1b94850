"""Messages between clients and relays (NIP-01, 42, 45, 77; docs/protocol/nostr.md#messages)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from teleglyph.errors import EventRefusedError, InvalidMessageError
from teleglyph.wire.nostr.event import encode_json, is_encodable, parse_json, quoted

MAX_SUBSCRIPTION_ID = 64
_HEX = re.compile(r"[0-9a-fA-F]*")


@dataclass(frozen=True, slots=True)
class Publish:
    """EVENT: ``members`` is the event, not validated."""

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
    """AUTH: ``members`` is the event, not validated."""

    members: Any


@dataclass(frozen=True, slots=True)
class OpenSync:
    """NEG-OPEN: reconcile the events that match ``filter``; ``message`` is the first one of the binary protocol."""

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
        subscription: its name.
    """

    def __init__(self, message: str, subscription: str) -> None:
        super().__init__(message)
        self.subscription = subscription


class SyncRefusedError(EventRefusedError):
    """A NEG-OPEN or NEG-MSG cannot be served (NIP-77).

    Attributes:
        subscription: its name.
    """

    def __init__(self, message: str, subscription: str) -> None:
        super().__init__(message)
        self.subscription = subscription


def read_message(data: bytes) -> ClientMessage:
    """Decode a client's message; events and filters are not validated.

    Raises:
        SubscriptionRefusedError: answer it with CLOSED.
        SyncRefusedError: answer it with NEG-ERR.
        InvalidMessageError: answer it with NOTICE.
    """
    message = parse_json(data)
    if type(message) is not list or not message or type(message[0]) is not str:
        raise InvalidMessageError("a message must be an array that begins with a verb")
    verb, *rest = message
    if verb in ("EVENT", "AUTH"):
        if len(rest) != 1:
            raise InvalidMessageError(f"{verb} must have one value, an event")
        return Publish(rest[0]) if verb == "EVENT" else Authenticate(rest[0])
    if verb in ("NEG-OPEN", "NEG-MSG", "NEG-CLOSE"):
        return _read_sync(verb, rest)
    if verb not in ("REQ", "COUNT", "CLOSE"):
        raise InvalidMessageError(f"unknown verb {quoted(verb)}")
    if not rest or type(rest[0]) is not str:
        raise InvalidMessageError(f"{verb} must begin with the name of a subscription")
    subscription, *filters = rest
    if not 1 <= len(subscription) <= MAX_SUBSCRIPTION_ID:
        raise SubscriptionRefusedError(
            f"invalid: the name of a subscription must have 1 to {MAX_SUBSCRIPTION_ID} characters", subscription[:1000]
        )
    if not is_encodable(subscription):
        raise SubscriptionRefusedError("invalid: the name has half of a surrogate pair", subscription)
    if verb == "CLOSE":
        return Close(subscription)
    if not filters:
        raise SubscriptionRefusedError(f"invalid: {verb} must have at least one filter", subscription)
    return Request(subscription, filters) if verb == "REQ" else Count(subscription, filters)


def _read_sync(verb: str, rest: list[Any]) -> OpenSync | ContinueSync | CloseSync:
    if not rest or type(rest[0]) is not str:
        raise InvalidMessageError(f"{verb} must begin with the name of a sync")
    name = rest[0]
    if not 1 <= len(name) <= MAX_SUBSCRIPTION_ID:
        raise SyncRefusedError(
            f"invalid: the name of a sync must have 1 to {MAX_SUBSCRIPTION_ID} characters", name[:1000]
        )
    if not is_encodable(name):
        raise SyncRefusedError("invalid: the name has half of a surrogate pair", name)
    if verb == "NEG-CLOSE":
        return CloseSync(name)
    # Older clients put the length of ids between the filter and the message.
    if len(rest) < (3 if verb == "NEG-OPEN" else 2):
        raise SyncRefusedError(f"invalid: {verb} must end with a message in hexadecimal digits", name)
    text = rest[-1]
    if type(text) is not str or len(text) % 2 or not _HEX.fullmatch(text):
        raise SyncRefusedError("invalid: the message of a sync must be pairs of hexadecimal digits", name)
    message = bytes.fromhex(text)
    return OpenSync(name, rest[1], message) if verb == "NEG-OPEN" else ContinueSync(name, message)


# --- from the relay ---------------------------------------------------------------------------------------------------


def ok(event_id: str, accepted: bool, text: str = "") -> bytes:
    """OK, the answer to an event.  ``event_id`` is any text that the client wrote."""
    return encode_json_leniently(["OK", event_id, accepted, text])


def eose(subscription: str) -> bytes:
    """EOSE: all stored events were sent."""
    return encode_json_leniently(["EOSE", subscription])


def closed(subscription: str, text: str) -> bytes:
    """CLOSED: a subscription was refused or ended."""
    return encode_json_leniently(["CLOSED", subscription, text])


def sync_error(subscription: str, text: str) -> bytes:
    """NEG-ERR: a sync was refused or ended."""
    return encode_json_leniently(["NEG-ERR", subscription, text])


def sync_message(subscription: str, message: bytes) -> bytes:
    """NEG-MSG: an answer of the binary protocol."""
    return encode_json_leniently(["NEG-MSG", subscription, message.hex()])


def notice(text: str) -> bytes:
    """NOTICE, for people."""
    return encode_json_leniently(["NOTICE", text])


def challenge(text: str) -> bytes:
    """AUTH: the challenge that an authentication must contain."""
    return encode_json(["AUTH", text])


def count(subscription: str, number: int, hll: str | None = None) -> bytes:
    """COUNT: how many events match."""
    return encode_json_leniently(["COUNT", subscription, {"count": number, **({"hll": hll} if hll else {})}])


def event_head(subscription: str) -> bytes:
    """The part of EVENT before the event; :data:`EVENT_TAIL` follows the event."""
    return b'["EVENT",' + encode_json_leniently(subscription) + b","


EVENT_TAIL = b"]"


def encode_json_leniently(value: object) -> bytes:
    """As :func:`encode_json`, but halves of surrogate pairs become question marks; a client may use them in a name."""
    try:
        return encode_json(value)
    except EventRefusedError:
        return _replace(value)


def _replace(value: object) -> bytes:
    def mend(item: Any) -> Any:
        if isinstance(item, str):
            return item.encode("utf-8", "replace").decode()
        return [mend(part) for part in item] if isinstance(item, list) else item

    return encode_json(mend(value))
