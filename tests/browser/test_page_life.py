"""The page from the lobby to the end of a call: sizes, keys, lost servers, closed doors and poor browsers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from acip_peer import AcipPeer
from call_page import SERVER, CallPage
from conftest import ServerProcess
from guest import Guest
from talker import RATE, Talker, tone
from teleglyph.wire.acip import Capabilities, PacketType, ViewSettings

StartServer = Callable[..., ServerProcess]
OpenPage = Callable[..., CallPage]
Connect = Callable[[ServerProcess], AcipPeer]
Invite = Callable[..., Guest]

UNREACHABLE = ("WebSocket connection to", "net::ERR_CONNECTION_REFUSED")
REFUSED = ("WebSocket connection to", "status of 503")
HIDE = """
Object.defineProperty(document, "visibilityState", { configurable: true, get: () => a ? "hidden" : "visible" });
Object.defineProperty(document, "hidden", { configurable: true, get: () => a });
document.dispatchEvent(new Event("visibilitychange"));
"""
WITHOUT_CODECS = "for (const name of ['VideoEncoder', 'AudioEncoder', 'AudioDecoder']) delete globalThis[name];"
JPEG = 5
HAS_PICTURE = 0x02


def shown(page: CallPage) -> tuple[int, int]:
    """Columns and rows of the picture that the server has sent."""
    columns, rows = page.run("return [app.stage.grid?.columns ?? 0, app.stage.grid?.rows ?? 0]")
    return columns, rows


def wanted(page: CallPage) -> tuple[int, int]:
    """Columns and rows that fit into the window."""
    columns, rows = page.run("return [app.stage.size.columns, app.stage.size.rows]")
    return columns, rows


def flags_of(page: CallPage, name: str) -> int:
    return int(page.run("return app._roster.find((one) => one.name === a)?.flags ?? 0", name))


def spotlights(page: CallPage) -> list[int]:
    return [ViewSettings.decode_payload(payload).spotlight for payload in page.has_sent(PacketType.VIEW_SETTINGS)]


def rates(page: CallPage) -> list[int]:
    """Frames per second that the page has asked for, one after the other."""
    return [
        Capabilities.decode_payload(payload).desired_fps for payload in page.has_sent(PacketType.CLIENT_CAPABILITIES)
    ]


def test_the_picture_follows_the_window(page_server: ServerProcess, open_page: OpenPage) -> None:
    page = open_page(page_server, "/window", size=(1000, 700))
    page.joined("zoe")
    large = wanted(page)
    page.until(lambda: shown(page) == large, "the picture does not fill the window")
    page.page.set_viewport_size({"width": 800, "height": 450})
    page.until(lambda: wanted(page) < large, "the page did not notice its new size")
    page.until(lambda: shown(page) == wanted(page), "the picture does not follow the window")
    canvas = page.page.locator(".surface canvas").bounding_box()
    assert canvas is not None
    assert 780 < canvas["width"] <= 800
    assert 300 < canvas["height"] <= 450


def test_everything_works_with_the_keyboard(page_server: ServerProcess, open_page: OpenPage) -> None:
    page = open_page(page_server, "/keys")
    press = page.page.keyboard.press
    page.wait("app._media.hasCamera && app._media.hasMicrophone", "the devices do not start")
    for _ in range(12):
        if page.page.evaluate("document.activeElement?.name") == "name":
            break
        press("Tab")
    page.page.keyboard.type("zoe")
    press("Enter")
    page.page.wait_for_selector(".call")
    page.until(lambda: page.people == ["zoe"], "the page has not joined")

    press("m")
    page.wait("!app._media.hasMicrophone", "M does not mute")
    expect(page.page.get_by_role("button", name="Turn on the microphone")).to_be_visible()
    press("m")
    page.wait("app._media.hasMicrophone", "M does not unmute")
    press("v")
    page.wait("!app._media.hasCamera", "V does not turn the camera off")
    page.until(lambda: not flags_of(page, "zoe") & HAS_PICTURE, "the server has not learned that the camera is off")
    press("v")
    page.until(lambda: flags_of(page, "zoe") & HAS_PICTURE, "V does not turn the camera on")

    before = wanted(page)
    press("+")
    page.until(lambda: wanted(page) < before, "+ does not make the characters larger")
    press("-")
    page.until(lambda: wanted(page) == before, "- does not make the characters smaller")
    press("1")
    page.wait("app._spotlight === 1", "1 does not show the first place alone")
    press("0")
    page.wait("app._spotlight === 0", "0 does not show everybody")

    title = page.page.locator(".side h2")
    press("p")
    expect(title).to_have_text("People")
    press("s")
    expect(title).to_have_text("Settings")
    expect(page.page.get_by_label("Size of the characters")).to_be_focused()
    press("Escape")
    expect(title).to_be_hidden()
    expect(page.page.get_by_role("button", name="Settings")).to_be_focused()
    press("Enter")
    expect(title).to_be_visible()
    press("Escape")
    press("c")
    expect(page.page.get_by_role("textbox", name="Message")).to_be_focused()
    page.page.keyboard.type("v")
    expect(page.page.get_by_role("textbox", name="Message")).to_have_value("v")
    assert page.run("return app._media.hasCamera"), "keys in the chat must not be commands"


def test_a_click_shows_one_person_alone_and_escape_everybody(
    page_server: ServerProcess, open_page: OpenPage, invite: Invite
) -> None:
    invite(page_server, "ann", (200, 30, 30))
    page = open_page(page_server)
    page.joined("zoe")
    page.wait("app._roster.length === 2 && app._roster.every((one) => one.columns > 0)", "not everybody is shown")
    tiles = page.page.locator(".tile")
    expect(tiles).to_have_count(2)
    place = tiles.nth(1).bounding_box()
    assert place is not None
    page.page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.wait("app._spotlight === 2", "a click does not show the second place alone")
    expect(tiles).to_have_count(1)
    page.page.keyboard.press("Escape")
    page.wait("app._spotlight === 0", "Escape does not show everybody")
    expect(tiles).to_have_count(2)
    assert spotlights(page)[-1] == 0
    assert 2 in spotlights(page)


def test_a_hidden_tab_asks_for_few_pictures_and_still_plays_sound(
    page_server: ServerProcess, open_page: OpenPage, connect: Connect
) -> None:
    page = open_page(page_server)
    page.joined("zoe")
    assert set(rates(page)) == {60}
    page.run(HIDE, True)
    page.until(lambda: rates(page)[-1] == 1, "a hidden page wants as many pictures as before")
    talker = Talker(connect(page_server).join(video=False), tone(660, 60.0))
    talker.start()
    page.run(
        """const { context, _gain: gain } = app._sound.playback;
        gain.connect((globalThis.ear = new AnalyserNode(context, { fftSize: 2048 })));"""
    )
    page.until(
        lambda: page.run(
            "const part = new Float32Array(2048); ear.getFloatTimeDomainData(part);"
            "return Math.max(...part) > 0.02 && document.visibilityState === 'hidden'"
        ),
        "a hidden page is silent",
    )
    page.run(HIDE, False)
    page.until(lambda: rates(page)[-1] == 60, "a visible page wants few pictures")
    frames = page.run("return app.stage.frames")
    page.wait(f"app.stage.frames > {frames}", "nothing is painted after the tab is back")
    talker.stop()


def test_closing_the_tab_leaves_the_call(page_server: ServerProcess, open_page: OpenPage) -> None:
    page = open_page(page_server, "/closing")
    page.joined("closer")
    page.page.close()
    assert page_server.wait_for_log(r"closer left").rstrip().endswith(" s"), "the server should see no lost connection"


def test_a_lost_server_is_found_again_with_everything_as_before(start_server: StartServer, open_page: OpenPage) -> None:
    server = start_server(*SERVER)
    page = open_page(server, "/again", allows=UNREACHABLE)
    page.joined("zoe")
    page.page.keyboard.press("+")
    page.page.keyboard.press("m")
    page.until(lambda: flags_of(page, "zoe") & HAS_PICTURE, "the camera is off")
    page.wait("!app._media.hasMicrophone", "M does not mute")
    size = wanted(page)
    server.stop()
    expect(page.status).to_contain_text("Reconnecting")
    server = start_server(*SERVER, "--port", str(server.port))
    expect(page.status).to_be_hidden(timeout=40_000)
    server.wait_for_log("zoe joined.*again")
    page.until(lambda: flags_of(page, "zoe") & HAS_PICTURE, "the camera was not kept")
    page.until(lambda: shown(page) == size, "the size of the characters was not kept")
    assert not page.run("return app._media.hasMicrophone")


@pytest.mark.thorough
def test_the_lobby_says_that_the_server_is_gone(start_server: StartServer, open_page: OpenPage) -> None:
    server = start_server(*SERVER)
    page = open_page(server, allows=UNREACHABLE)
    server.stop()
    page.join("zoe")
    expect(page.notices).to_contain_text("The server does not answer. Check your network")
    expect(page.page.get_by_role("button", name="Join")).to_be_enabled()


def test_the_password_is_asked_for_until_it_is_right(start_server: StartServer, open_page: OpenPage) -> None:
    page = open_page(start_server(*SERVER, "--password", "correct horse"))
    field = page.page.get_by_label("Password of the call")
    expect(field).to_be_hidden()
    page.join("zoe")
    expect(field).to_be_focused()
    assert "wrong" not in page.notices.inner_text()
    field.fill("wrong horse")
    page.page.keyboard.press("Enter")
    expect(page.notices).to_contain_text("The password is wrong.")
    expect(field).to_have_value("")
    field.fill("correct horse")
    page.page.keyboard.press("Enter")
    page.until(lambda: page.people == ["zoe"], "the right password does not work")


@pytest.mark.thorough
def test_closed_rooms_and_full_servers_are_explained(start_server: StartServer, open_page: OpenPage) -> None:
    server = start_server(*SERVER, "--rooms", "closed", "--max-clients", "1")
    page = open_page(server, "/nowhere")
    page.join("zoe")
    expect(page.notices).to_contain_text("nowhere")
    page = open_page(server)
    page.joined("zoe")
    late = open_page(server, allows=REFUSED)
    late.join("late")
    expect(late.notices).to_contain_text("Maximum client limit reached")
    expect(late.page.get_by_role("button", name="Join")).to_be_enabled()


def test_without_a_secure_context_you_watch_and_chat(
    start_server: StartServer, open_page: OpenPage, lan_address: str, tmp_path: Path
) -> None:
    server = start_server(*SERVER, "--events", "--data-dir", str(tmp_path), lan_address)
    page = open_page(
        f"http://{lan_address}:{server.port}", allows=["Cross-Origin-Opener-Policy header has been ignored"]
    )
    expect(page.notices).to_contain_text("Browsers allow camera, microphone and sound only on secure pages")
    page.joined("zoe")
    assert page.people == ["zoe"]
    buttons = page.page.get_by_role("toolbar").get_by_role("button")
    expect(buttons).to_have_count(4)
    assert [button.get_attribute("aria-label") for button in buttons.all()] == [
        *("People (P)", "Chat (C)", "Settings (S)", "Leave the call"),
    ]
    page.page.get_by_role("textbox", name="Message").fill("hello")
    page.page.keyboard.press("Enter")
    expect(page.page.get_by_role("log")).to_contain_text("hello")
    expect(page.page.get_by_role("log")).not_to_contain_text("Sending")


def test_a_browser_without_codecs_sends_jpeg_and_samples(
    page_server: ServerProcess, open_page: OpenPage, connect: Connect
) -> None:
    page = open_page(page_server, script=WITHOUT_CODECS)
    page.joined("zoe")
    page.until(lambda: page.has_sent(PacketType.CODED_PICTURE), "no picture was sent")
    assert {payload[0] for payload in page.has_sent(PacketType.CODED_PICTURE)} == {JPEG}
    page.until(lambda: flags_of(page, "zoe") & HAS_PICTURE, "the server does not decode the pictures")
    listener = Talker(connect(page_server).join(video=False), tone(660, 60.0))
    listener.start()
    page.until(lambda: np.abs(listener.sound[-RATE:]).max(initial=0) > 0.01, "the page is not heard")
    listener.stop()
    assert page.has_sent(PacketType.AUDIO_BATCH)
    assert page.has_sent(PacketType.AUDIO_OPUS_BATCH) == []


def test_without_a_name_the_server_invents_one(start_server: StartServer, open_page: OpenPage) -> None:
    page = open_page(start_server(*SERVER))
    page.joined("")
    page.until(lambda: page.people, "nobody is there")
    assert page.people[0].startswith("guest-")


def test_a_browser_without_an_opus_decoder_receives_samples(
    page_server: ServerProcess, open_page: OpenPage, connect: Connect
) -> None:
    page = open_page(page_server, script=WITHOUT_CODECS)
    page.joined("zoe")
    talker = Talker(connect(page_server).join(video=False), tone(660, 60.0))
    talker.start()
    sounds = {int(PacketType.AUDIO_BATCH), int(PacketType.AUDIO_OPUS_BATCH)}
    page.until(lambda: page.received & sounds, "no sound was received")
    talker.stop()
    assert page.received & sounds == {PacketType.AUDIO_BATCH}
