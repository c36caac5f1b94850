"""Authenticates HTTP requests by an event in their ``Authorization`` header (NIP-98).

No clock: the time is an argument.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from teleglyph.errors import EventRefusedError, InvalidMessageError
from teleglyph.events.kinds import EventKind
from teleglyph.wire.nostr.event import NostrEvent, parse_json, read_event

WINDOW = 60
"""Seconds that an authentication may be older or younger than now."""
_MAX_HEADER = 8192
_MAX_TAGS, _MAX_CONTENT = 20, 1000


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that has to be authenticated.

    Attributes:
        method: as sent.
        target: path and query, as sent.
        authorization: the header; empty if there is none.
        body: complete.
        is_own_url: whether a URL names this relay by scheme, host and port; the path is checked here.
    """

    method: str
    target: str
    authorization: str
    body: bytes
    is_own_url: Callable[[str], bool]


def check_http_authentication(request: HttpRequest, now: float) -> NostrEvent:
    """Check and return the event that authenticates a request; the caller checks whether it was used before.

    Args:
        request: with an Authorization header, or without.
        now: Unix seconds.

    Raises:
        EventRefusedError: the authentication is invalid; the message is a sentence.
    """
    event = _read(request.authorization)
    if event.kind != EventKind.HTTP_AUTHENTICATION:
        raise EventRefusedError(
            f"The authentication has the kind {event.kind} instead of {EventKind.HTTP_AUTHENTICATION}."
        )
    if abs(event.created_at - now) > WINDOW:
        raise EventRefusedError(f"The authentication's created_at is more than {WINDOW} s from now.")
    url = _only(event, "u")
    if not request.is_own_url(url) or _target_of(url) != _target_of(request.target):
        raise EventRefusedError("The authentication's tag u is not the URL of this request.")
    # Some libraries write the method in lower case.
    if _only(event, "method").upper() != request.method.upper():
        raise EventRefusedError(f"The authentication's tag method is not {request.method}.")
    if _only(event, "payload").lower() != hashlib.sha256(request.body).hexdigest():
        raise EventRefusedError("The authentication's tag payload is not the SHA-256 of the request's body.")
    try:
        event.check_proof()
    except EventRefusedError:
        raise EventRefusedError("The authentication's id or signature is wrong.") from None
    return event


def _read(header: str) -> NostrEvent:
    scheme, _, text = header.partition(" ")
    if not header:
        raise EventRefusedError("The request has no header Authorization: Nostr with an event of kind 27235 in base64.")
    if scheme.lower() != "nostr" or len(header) > _MAX_HEADER:
        raise EventRefusedError(
            f"The header Authorization is not Nostr and an event in base64, at most {_MAX_HEADER} bytes."
        )
    try:
        return read_event(parse_json(base64.b64decode(text.strip(), validate=True)), _MAX_TAGS, _MAX_CONTENT)
    except (binascii.Error, ValueError, EventRefusedError, InvalidMessageError):
        raise EventRefusedError("The header Authorization has no valid event in base64.") from None


def _only(event: NostrEvent, name: str) -> str:
    values = [tag[1] if len(tag) > 1 else "" for tag in event.tags if tag[0] == name]
    if len(values) != 1:
        raise EventRefusedError(f"The authentication has {len(values)} tags {name} instead of one.")
    return values[0]


def _target_of(url: str) -> tuple[str, str]:
    """Path and query; an empty path is the root."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.path or "/", parts.query
