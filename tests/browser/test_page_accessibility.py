"""The page for people who use a keyboard, a screen reader or a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from accessibility import AXE, audit
from call_page import CallPage
from conftest import ServerProcess
from guest import Guest

StartServer = Callable[..., ServerProcess]
OpenPage = Callable[..., CallPage]
Invite = Callable[..., Guest]


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed; scripts/check-web installs it")
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desk", "phone"])
def test_axe_finds_nothing_serious(
    page_server: ServerProcess, open_page: OpenPage, invite: Invite, size: tuple[int, int]
) -> None:
    invite(page_server, "ann")
    page = open_page(page_server, size=size, bypass_csp=True)
    page.page.add_script_tag(path=str(AXE))
    found = {"lobby": audit(page)}
    page.joined("zoe")
    page.until(lambda: len(page.people) == 2, "ann is missing")
    page.wait("app._conversation !== null", "there is no chat")
    if page.page.locator(".side").is_visible():
        page.page.get_by_role("button", name="Close").click()
    found["call"] = audit(page)
    for name in ("People", "Settings", "Chat"):
        page.page.get_by_role("toolbar").get_by_role("button", name=name).click()
        expect(page.page.locator(".side h2")).to_have_text(name)
        found[name] = audit(page)
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_screen_readers_learn_who_joins_and_leaves_and_who_is_there(
    page_server: ServerProcess, open_page: OpenPage, invite: Invite
) -> None:
    page = open_page(page_server)
    page.joined("zoe")
    announcements = page.page.locator("#announcements")
    expect(announcements).to_have_attribute("aria-live", "polite")
    ann = invite(page_server, "ann")
    expect(announcements).to_contain_text("ann joined.")
    page.page.keyboard.press("p")
    expect(page.page.get_by_role("listitem").filter(has_text="ann")).to_have_text("anncamera off")
    expect(page.page.get_by_role("listitem")).to_have_count(2)
    assert page.page.locator("canvas:visible").count() == 1
    assert page.page.locator("[aria-hidden=true] canvas:visible").count() == 1
    ann.leave()
    expect(announcements).to_contain_text("ann left.")
