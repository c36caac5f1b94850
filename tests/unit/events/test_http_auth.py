"""An HTTP request is authenticated only if every part of its proof fits."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from typing import Any

import pytest

from teleglyph.errors import EventRefusedError
from teleglyph.events.http_auth import HttpRequest, check_http_authentication
from teleglyph.wire.nostr.event import NostrEvent, sign_event

KEY = bytes([1]) * 32
NOW = 1_700_000_000.5
BODY = b'{"method":"supportedmethods","params":[]}'
URL = "http://relay.example/"
TAGS = [["u", URL], ["method", "POST"], ["payload", hashlib.sha256(BODY).hexdigest()]]


def signed(at: int = int(NOW), kind: int = 27235, tags: list[list[str]] | None = None, content: str = "") -> NostrEvent:
    return sign_event(KEY, at, kind, TAGS if tags is None else tags, content)


def header(event: NostrEvent, **changes: Any) -> str:
    members = {**json.loads(event.text), **changes}
    return "Nostr " + base64.b64encode(json.dumps(members).encode()).decode()


def request(authorization: str, **changes: Any) -> HttpRequest:
    made = HttpRequest("POST", "/", authorization, BODY, lambda url: url.startswith("http://relay.example"))
    return dataclasses.replace(made, **changes)


def without(name: str, *instead: list[str]) -> list[list[str]]:
    return [tag for tag in TAGS if tag[0] != name] + list(instead)


@pytest.mark.parametrize("at", [-60, -1, 0, 1, 60])
def test_a_correct_proof_identifies_its_author(at: int) -> None:
    event = signed(int(NOW) + at) if abs(at) < 60 else signed(int(NOW) + at - (at > 0) * 0 + (at < 0))
    assert check_http_authentication(request(header(event)), NOW).pubkey == event.pubkey


def test_an_empty_path_is_the_root_and_paths_must_match() -> None:
    event = signed(tags=without("u", ["u", "http://relay.example"]))
    assert check_http_authentication(request(header(event)), NOW).id == event.id
    event = signed(tags=without("u", ["u", "http://relay.example/events?a=b"]))
    assert check_http_authentication(request(header(event), target="/events?a=b"), NOW).id == event.id
    for target in ("/", "/events", "/events?a=c", "/other?a=b"):
        with pytest.raises(EventRefusedError, match="tag u"):
            check_http_authentication(request(header(event), target=target), NOW)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (signed(kind=22242), "kind 22242"),
        (signed(kind=1), "kind 1 "),
        (signed(int(NOW) - 60), "created_at"),
        (signed(int(NOW) + 61), "created_at"),
        (signed(tags=without("u")), "0 tags u"),
        (signed(tags=without("u", ["u", URL], ["u", URL])), "2 tags u"),
        (signed(tags=without("u", ["u", "http://other.example/"])), "tag u"),
        (signed(tags=without("u", ["u"])), "tag u"),
        (signed(tags=without("u", ["u", "http://relay.example/x"])), "tag u"),
        (signed(tags=without("u", ["u", "http://[relay.example/"])), "tag u"),
        (signed(tags=without("method")), "0 tags method"),
        (signed(tags=[*TAGS, ["method", "POST"]]), "2 tags method"),
        (signed(tags=without("method", ["method", "GET"])), "tag method"),
        (signed(tags=without("payload")), "0 tags payload"),
        (signed(tags=[*TAGS, ["payload", "00"]]), "2 tags payload"),
        (signed(tags=without("payload", ["payload", hashlib.sha256(b"").hexdigest()])), "tag payload"),
        (signed(tags=[*TAGS, *(["t", "x"] for _ in range(30))]), "no valid event"),
    ],
)
def test_a_proof_for_another_request_is_refused(event: NostrEvent, reason: str) -> None:
    with pytest.raises(EventRefusedError, match=reason):
        check_http_authentication(request(header(event)), NOW)


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        ("", "no header"),
        ("Nostr", "no valid event"),
        ("Bearer abc", "not Nostr"),
        ("Nostr !!!!", "no valid event"),
        ("Nostr YWJj", "no valid event"),
        ("Nostr " + base64.b64encode(b"[]").decode(), "no valid event"),
        ("Nostr " + base64.b64encode(b"{" * 5000).decode(), "no valid event"),
        ("Nostr " + "A" * 9000, "at most 8192"),
        ("Nostr \u00fc", "no valid event"),
        (header(signed(), sig="00" * 64), "signature"),
        (header(signed(), content="x"), "id or signature"),
        (header(signed(), id="00" * 32), "id or signature"),
        (header(signed(), id=5), "no valid event"),
    ],
)
def test_a_header_that_is_not_a_proof_is_refused(authorization: str, reason: str) -> None:
    with pytest.raises(EventRefusedError, match=reason):
        check_http_authentication(request(authorization), NOW)


def test_the_scheme_is_read_in_any_case() -> None:
    text = header(signed()).replace("Nostr", "nostr")
    assert check_http_authentication(request(text), NOW).content == ""
