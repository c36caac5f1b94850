"""Makes docs/browser.png and docs/browser-phone.png; scripts/picture-of-the-page sets everything up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

DOCS = Path(__file__).parent.parent / "docs"
TELEGLYPH = [sys.executable, "-m", "teleglyph"]
PEOPLE = (("Ada", "face"), ("Bo", "balls"), ("Cleo", "plasma"))
MESSAGES = (
    ("Ada", "Can everybody see me?"),
    ("Bo", "Yes, in 120 by 50 characters."),
    ("Cleo", "I am on a train, over SSH. It looks fine."),
)
CHROMIUM = "/usr/bin/chromium"


def start_server(directory: str) -> tuple[subprocess.Popen[str], int]:
    """A server on a free port, and the port."""
    command = [*TELEGLYPH, "server", "127.0.0.1", "--port", "0", "--data-dir", directory, "--no-qr"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in server.stderr or ():
        if found := re.search(r"listening on .*:(\d+)", line):
            return server, int(found[1])
    sys.exit("The server did not start.")


def start_client(port: int, name: str, pattern: str) -> subprocess.Popen[bytes]:
    """Somebody in a terminal who shows a pattern."""
    options = ["--name", name, "--pattern", pattern, "--no-audio", "--snapshot", "--snapshot-delay", "600"]
    return subprocess.Popen([*TELEGLYPH, "client", f"127.0.0.1:{port}", *options], stdout=subprocess.DEVNULL)


def join(browser: Browser, port: int, name: str, width: int, height: int, cell: int) -> Page:
    """The page in the call."""
    page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=1)
    stored = {"name": name, "cell": cell, "camera": False, "microphone": False, "hidesSelf": True}
    page.add_init_script(f"localStorage.setItem('teleglyph.preferences', {json.dumps(json.dumps(stored))})")
    page.goto(f"http://localhost:{port}/")
    page.click("button[type=submit]")
    page.wait_for_selector(".call")
    return page


def write(browser: Browser, port: int) -> None:
    """Fill the chat."""
    for name, text in MESSAGES:
        page = join(browser, port, name, 1280, 800, 16)
        if page.locator(".chat-panel textarea").count() == 0:
            page.keyboard.press("c")
        page.fill(".chat-panel textarea", text)
        page.keyboard.press("Enter")
        page.wait_for_timeout(1500)
        page.close()


def main() -> None:
    """Take both pictures."""
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        server, port = start_server(directory)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        write(browser, port)
        clients = [start_client(port, *one) for one in PEOPLE]
        try:
            page = join(browser, port, "Dora", 1280, 800, 10)
            time.sleep(6)
            page.screenshot(path=DOCS / "browser.png")
            page.close()
            phone = join(browser, port, "Dora", 390, 844, 10)
            time.sleep(4)
            phone.screenshot(path=DOCS / "browser-phone.png")
            browser.close()
        finally:
            for one in (*clients, server):
                one.terminate()
                one.wait()
    print("docs/browser.png and docs/browser-phone.png are ready")


if __name__ == "__main__":
    main()
