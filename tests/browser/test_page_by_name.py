"""Pages join a call by its three words: through a discovery service that they do not trust, over a data channel."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import expect

from accessibility import AXE, audit
from call_page import CallPage
from conftest import ServerProcess
from fake_discovery import HOST, NAME, PAGE, SESSION, FakeDiscovery
from guest import Guest
from teleglyph.keys.fingerprint import fingerprint
from teleglyph.keys.private import FileIdentity
from teleglyph.wire.acip.messages.base import encode
from teleglyph.wire.acip.messages.text import ErrorMessage
from teleglyph.wire.discovery import messages

OpenPage = Callable[..., CallPage]
Discover = Callable[..., FakeDiscovery]
PASSWORD = "drei Wörter reichen"


@pytest.fixture
def discover() -> Iterator[Discover]:
    """Starts a discovery service for the call of a server.  Tests name it before ``open_page``: pages end first."""
    with ExitStack() as stack:
        yield lambda server, password="": stack.enter_context(FakeDiscovery(server.port, password).running())


def open_by_name(open_page: OpenPage, service: FakeDiscovery, path: str = f"/{NAME}", **options: object) -> CallPage:
    return open_page(f"http://127.0.0.1:{service.port}", path, **options)


def mostly_thorough(cases: Sequence[tuple[Any, ...]]) -> list[Any]:
    """All cases; only the first two without --thorough."""
    marks = [pytest.mark.thorough]
    return [pytest.param(*case, marks=marks if number > 1 else []) for number, case in enumerate(cases)]


def fingerprint_in_settings(page: CallPage) -> str:
    page.page.keyboard.press("s")
    return page.page.locator(".settings .host code").inner_text()


def test_a_page_joins_by_name_and_shows_way_and_key(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage
) -> None:
    service = discover(page_server)
    page = open_by_name(open_page, service, f"/{NAME}/name-and-room")
    expect(page.page.get_by_role("heading")).to_have_text(f"Join {NAME}/name-and-room")
    page.joined("zoe")
    page.until(lambda: page.people == ["zoe"], "the page is not in the list")
    assert page.page.title() == f"{NAME}/name-and-room · Teleglyph"
    expect(page.page.locator(".corner")).to_have_text(f"direct · {NAME}/name-and-room")
    assert fingerprint_in_settings(page) == fingerprint(service.identity.public_key)
    expect(page.page.locator(".settings .host")).to_contain_text("Directly")
    page.page.get_by_role("button", name="Close").click()
    page.page.keyboard.press("c")
    expect(page.status).to_contain_text("has no chat")
    assert {re.sub(r"^.*?://[^/]*|/web/.*", "", url) for url in page.requests} <= {
        "",
        "/discovery",
        f"/{NAME}/name-and-room",
    }


def test_pictures_travel_both_ways_through_the_channel(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage, invite: Callable[..., Guest]
) -> None:
    invite(page_server, "ann", (150, 40, 190))
    page = open_by_name(open_page, discover(page_server))
    page.joined("zoe")
    page.wait("app._roster.filter((one) => (one.flags & 2) && one.place).length === 2", "somebody sends no picture")
    frames = page.run("return app.stage.frames")
    page.wait(f"app.stage.frames > {frames + 3}", "the picture stands still")


def test_the_service_never_sees_the_password_or_addresses(
    shared_server: Callable[..., ServerProcess], discover: Discover, open_page: OpenPage
) -> None:
    service = discover(shared_server("--max-load", "100", "--password", PASSWORD), PASSWORD)
    page = open_by_name(open_page, service)
    page.join("zoe")
    page.page.locator("input[name=password]").fill("wrong password")
    page.page.click("button[type=submit]")
    expect(page.notices).to_contain_text("The password is wrong.")
    assert service.offers == []
    page.page.fill("input[name=password]", PASSWORD)
    page.joined("zoe")
    assert len(service.offers) == 1
    seen = b"".join(service.relayed)
    for secret in (PASSWORD.encode(), b"wrong password", b"candidate", b"fingerprint", b"zoe"):
        assert secret not in seen
    assert "candidate" in service.offers[0]


# --- the host's key -----------------------------------------------------------------------------------------


def test_another_host_gets_nothing_until_its_key_is_trusted(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage
) -> None:
    service = discover(page_server)
    page = open_by_name(open_page, service)
    page.joined("zoe")
    old, service.identity = service.identity, FileIdentity(b"i" * 32)
    page.page.reload()
    page.page.wait_for_selector(".lobby")
    service.relayed.clear()
    page.join("zoe")
    expect(page.notices).to_contain_text("has another key than the last time")
    assert page.notices.locator("code").all_inner_texts() == [
        fingerprint(one.public_key) for one in (old, service.identity)
    ]
    first, _ = service.relayed
    assert len(first) == 34, "the page sent more than its own key"
    page.page.get_by_role("button", name="Trust the new key and join").click()
    page.page.wait_for_selector(".call")
    assert fingerprint_in_settings(page) == fingerprint(service.identity.public_key)
    page.page.reload()
    page.page.wait_for_selector(".lobby")
    page.joined("zoe")


def test_a_link_with_a_key_admits_only_that_host(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage
) -> None:
    service = discover(page_server)
    right = fingerprint(service.identity.public_key)
    page = open_by_name(open_page, service, f"/{NAME}#k={fingerprint(b'x' * 32)}")
    page.join("zoe")
    expect(page.notices).to_contain_text("not the host that the link asks for")
    assert page.page.get_by_role("button", name=re.compile("Trust")).count() == 0
    page = open_by_name(open_page, service, f"/{NAME}#k={right.removeprefix('SHA256:')}")
    page.joined("zoe")


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_an_unknown_name_is_explained(page_server: ServerProcess, discover: Discover, open_page: OpenPage) -> None:
    page = open_by_name(open_page, discover(page_server), "/other-otter-lantern")
    page.join("zoe")
    expect(page.notices).to_contain_text("There is no call named other-otter-lantern.")
    expect(page.page.get_by_role("button", name="Join")).to_be_enabled()


def test_a_host_that_is_away_is_explained_and_may_come_back(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage
) -> None:
    service = discover(page_server)
    service.is_host_away = True
    page = open_by_name(open_page, service)
    page.join("zoe")
    expect(page.notices).to_contain_text("The host of this call is not connected right now.")
    service.is_host_away = False
    page.joined("zoe")


def test_a_service_that_does_not_answer_is_explained(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage
) -> None:
    service = discover(page_server)
    service.is_up = False
    page = open_by_name(open_page, service, allows=["WebSocket connection to", "status of 503"])
    page.join("zoe")
    expect(page.notices).to_contain_text("The discovery service does not answer.")


def test_a_host_that_only_takes_programs_is_explained(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage
) -> None:
    service = discover(page_server)
    service.capabilities = 3
    page = open_by_name(open_page, service)
    page.join("zoe")
    expect(page.notices).to_contain_text("browsers cannot connect to")
    assert service.relayed == []


@pytest.mark.parametrize(
    ("script", "sentence"),
    mostly_thorough(
        [
            ("delete globalThis.RTCPeerConnection", "This browser has no WebRTC"),
            ("SubtleCrypto.prototype.generateKey = () => Promise.reject(new Error())", "Chrome or Edge 137"),
            ("Object.defineProperty(globalThis, 'isSecureContext', { value: false })", "needs a secure page"),
        ]
    ),
    ids=["no WebRTC", "old cryptography", "http"],
)
def test_a_browser_that_cannot_join_says_so(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage, script: str, sentence: str
) -> None:
    page = open_by_name(open_page, discover(page_server), script=script)
    expect(page.notices).to_contain_text(sentence)
    expect(page.page.get_by_role("button", name="Join")).to_be_disabled()


# --- a hostile service --------------------------------------------------------------------------------------


def flipped(message: bytes) -> bytes:
    return message[:-1] + bytes((message[-1] ^ 1,))


@pytest.mark.parametrize(
    ("first", "change"),
    mostly_thorough(
        [
            (0, flipped),
            (0, lambda message: message[:40]),
            (0, lambda message: os.urandom(len(message))),
            (1, flipped),
            (1, lambda _: b"\x03"),
        ]
    ),
    ids=["key: one bit", "key: cut off", "key: noise", "welcome: one bit", "welcome: one byte"],
)
def test_what_the_service_changes_ends_with_a_sentence(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage, first: int, change: Callable[[bytes], bytes]
) -> None:
    service = discover(page_server)
    count = iter(range(1000))
    service.change = lambda message: change(message) if next(count) == first else message
    page = open_by_name(open_page, service)
    page.join("zoe")
    expect(page.notices).to_contain_text("The conversation with the host was disturbed.")
    assert service.offers == []
    service.change = lambda message: message
    page.joined("zoe")


@pytest.mark.parametrize(
    ("welcome", "sentence"),
    mostly_thorough(
        [
            ("a text", "does not understand"),
            (b"noise", "does not understand"),
            (os.urandom(5000), "does not understand"),
            (encode(messages.SessionInfo())[:-1], "does not understand"),
            (encode(messages.Rendezvous(SESSION, HOST, PAGE, b"x")) * 100, "does not understand"),
            (encode(messages.Ways()), ""),
            (encode(ErrorMessage(46, "Too many.")), "too many requests from your network"),
            (encode(ErrorMessage(85, "<b>Not today.</b>")), "The discovery service refused: <b>Not today.</b>"),
            (encode(messages.AcipError(5, "")), "too many requests from your network"),
        ]
    ),
    ids=["text", "short noise", "noise", "cut off", "flood", "wrong type", "rate limit", "other error", "ACIP_ERROR"],
)
def test_nonsense_of_the_service_ends_with_a_sentence(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage, welcome: bytes | str, sentence: str
) -> None:
    service = discover(page_server)
    service.welcome = welcome
    page = open_by_name(open_page, service)
    page.join("zoe")
    if sentence:
        expect(page.notices).to_contain_text(sentence)
        expect(page.page.get_by_role("button", name="Join")).to_be_enabled()
    else:
        page.page.wait_for_selector(".call")


@pytest.mark.thorough
def test_a_service_that_swallows_messages_is_explained(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage
) -> None:
    service = discover(page_server)
    service.change = lambda _: None
    page = open_by_name(open_page, service)
    page.join("zoe")
    expect(page.notices).to_contain_text("The host does not answer.")


# --- a lost connection --------------------------------------------------------------------------------------


def test_a_page_joins_again_by_itself(page_server: ServerProcess, discover: Discover, open_page: OpenPage) -> None:
    service = discover(page_server)
    page = open_by_name(open_page, service, f"/{NAME}/again")
    page.joined("zoe")
    service.is_host_away = True
    service.hang_up()
    expect(page.status).to_contain_text("Reconnecting")
    expect(page.status).to_contain_text("not connected right now")
    service.is_host_away = False
    page.wait("app._call.isIn", "the page does not come back")
    page.until(lambda: page.people == ["zoe"], "the page is not in the list")
    assert len(service.offers) == 2


# --- the form for the name ----------------------------------------------------------------------------------


def test_the_form_asks_for_three_words(page_server: ServerProcess, discover: Discover, open_page: OpenPage) -> None:
    service = discover(page_server)
    page = open_by_name(open_page, service, "/")
    words = page.page.get_by_label("The three words")
    words.fill("brave otter")
    words.press("Enter")
    expect(page.notices).to_contain_text("“brave otter” is not the name of a call.")
    words.fill(" Brave Otter lantern")
    words.press("Enter")
    page.page.wait_for_url(f"**/{NAME}")
    page.joined("zoe")


def test_an_address_without_a_name_explains_itself(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage
) -> None:
    page = open_by_name(open_page, discover(page_server), "/brave-otter")
    expect(page.notices).to_contain_text("“brave-otter” is not the name of a call.")
    page.page.get_by_label("The three words").fill(f"http://127.0.0.1/{NAME}")
    page.page.get_by_role("button", name="Continue").click()
    expect(page.notices).to_contain_text("belongs to another service")


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed; scripts/check-web installs it")
@pytest.mark.parametrize(
    "size", [pytest.param((1280, 800), id="desk", marks=pytest.mark.thorough), pytest.param((390, 844), id="phone")]
)
def test_axe_finds_nothing_serious(
    page_server: ServerProcess, discover: Discover, open_page: OpenPage, size: tuple[int, int]
) -> None:
    service = discover(page_server)
    page = open_by_name(open_page, service, "/brave-otter", size=size, bypass_csp=True)
    page.page.add_script_tag(path=str(AXE))
    found = {"form": audit(page)}
    page = open_by_name(open_page, service, f"/{NAME}#k={fingerprint(b'x' * 32)}", size=size, bypass_csp=True)
    page.page.add_script_tag(path=str(AXE))
    page.join("zoe")
    expect(page.notices).to_contain_text("not the host that the link asks for")
    found["warning"] = audit(page)
    assert {name: problems for name, problems in found.items() if problems} == {}
