"""Firefox without a window, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/)."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

DEADLINE = 40.0
_PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class Firefox:
    """One browser with one tab, and a camera and a microphone that are not real.

    Attributes:
        errors: of the console and of scripts.
    """

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._stack = contextlib.ExitStack()
        profile = self._stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items())
        Path(profile, "user.js").write_text("\n".join(lines))
        self._process = subprocess.Popen(
            [
                "firefox-esr",
                "--headless",
                "--no-remote",
                "--profile",
                profile,
                "--remote-debugging-port",
                "0",
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self._number = 0
        self._reader: threading.Thread | None = None
        try:
            address = f"{self._address()}/session"
            # Nobody reads the rest of what Firefox says, so it must not block.
            self._reader = threading.Thread(target=self._drain)
            self._reader.start()
            self._socket = self._stack.enter_context(connect(address, max_size=None, open_timeout=DEADLINE))
            self._call("session.new", capabilities={})
            self._call("session.subscribe", events=["log.entryAdded"])
            self._tab: str = self._call("browsingContext.getTree")["contexts"][0]["context"]
            self._call("browsingContext.setViewport", context=self._tab, viewport={"width": 1000, "height": 700})
        except BaseException:
            self.close()
            raise

    def open(self, url: str) -> None:
        """Load a page."""
        self._call("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def run(self, body: str) -> Any:
        """Run the body of an asynchronous function in the page; it returns something that JSON can hold."""
        expression = f"(async () => JSON.stringify(await (async () => {{ {body} }})()) ?? 'null')()"
        answer = self._call("script.evaluate", expression=expression, target={"context": self._tab}, awaitPromise=True)
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def click(self, selector: str) -> None:
        """Click an element with a mouse, which counts as a gesture of a user."""
        middle = f"""const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();
            return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)];"""
        x, y = self.run(middle)
        actions = [
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        mouse = {"type": "pointer", "id": "mouse", "actions": actions}
        self._call("input.performActions", context=self._tab, actions=[mouse])

    def until(self, body: str, what: str) -> None:
        """Return once an expression is true."""
        deadline = time.monotonic() + DEADLINE
        while not self.run(f"return {body}"):
            assert time.monotonic() < deadline, f"{what}\n{self.errors}"
            time.sleep(0.1)

    def close(self) -> None:
        """End the browser."""
        self._process.kill()
        self._process.wait()
        if self._reader is not None:
            self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._stack.close()

    def _drain(self) -> None:
        assert self._process.stderr is not None
        for _ in self._process.stderr:
            pass

    def _address(self) -> str:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
                return found[1]
        raise AssertionError("Firefox ended")

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(DEADLINE))
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self.errors.append(message["params"]["text"])
            if message.get("id") == self._number:
                assert message["type"] == "success", message
                return message["result"]
