"""A small Nostr client, made with a library that does not know Nostr."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from conftest import ServerProcess
from teleglyph.wire.nostr.event import NostrEvent, sign_event

ANN, BOB = bytes([1]) * 32, bytes([2]) * 32


def make(content: str = "", key: bytes = ANN, kind: int = 1, *tags: list[str], at: int | None = None) -> NostrEvent:
    """A signed event, by default of this moment."""
    return sign_event(key, int(time.time()) if at is None else at, kind, tags, content)


class NostrPeer:
    """One connection."""

    def __init__(self, server: ServerProcess, path: str = "/", **options: Any) -> None:
        address = f"ws://127.0.0.1:{server.http_port}{path}"
        options = {"compression": None, "max_size": None, "close_timeout": 0.5, **options}
        self._context = connect(address, **options)
        self.socket: ClientConnection = self._context.__enter__()
        verb, self.challenge = self.get()
        assert verb == "AUTH"

    def say(self, *message: Any) -> None:
        text = json.dumps(message)
        # Halves of surrogate pairs can only be sent escaped; everything else is sent unchanged.
        self.socket.send(text if "\\ud" in text else json.dumps(message, ensure_ascii=False))

    def get(self, timeout: float = 10.0) -> Any:
        text = self.socket.recv(timeout)
        assert isinstance(text, str)
        return json.loads(text)

    def publish(self, event: NostrEvent | dict[str, Any]) -> list[Any]:
        """The answer, without the verb."""
        self.say("EVENT", event if isinstance(event, dict) else json.loads(event.text))
        verb, *answer = self.get()
        assert verb == "OK"
        return answer  # type: ignore[no-any-return]

    def ask(self, *filters: Any, name: str = "q") -> list[Any]:
        """Return stored events in the order of arrival and close the subscription.  Raises on a refusal."""
        self.say("REQ", name, *filters)
        events: list[Any] = []
        while True:
            message = self.get()
            if message[:2] == ["EOSE", name]:
                self.say("CLOSE", name)
                return events
            if message[0] != "EVENT":
                raise AssertionError(message)
            events.append(message[2])

    def count(self, *filters: Any) -> Any:
        self.say("COUNT", "c", *filters)
        message = self.get()
        assert message[:2] == ["COUNT", "c"], message
        return message[2]

    def authenticate(self, server: ServerProcess, key: bytes = ANN, **changes: Any) -> list[Any]:
        relay = changes.get("relay", f"ws://127.0.0.1:{server.http_port}/")
        challenge = changes.get("challenge", self.challenge)
        event = make(
            "", key, changes.get("kind", 22242), ["relay", relay], ["challenge", challenge], at=changes.get("at")
        )
        self.say("AUTH", json.loads(event.text))
        verb, *answer = self.get()
        assert verb == "OK"
        return answer  # type: ignore[no-any-return]

    def close_code(self) -> int | None:
        """Return the code with which the server closes; discard earlier messages."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.socket.recv(10)
        return self.socket.close_code

    def close(self) -> None:
        with contextlib.suppress(OSError, ConnectionClosed):
            self._context.__exit__(None, None, None)
