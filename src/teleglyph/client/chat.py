"""Chat in a room: a NIP-29 group's messages (NIP-C7) as lines, and what is typed as messages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import unicodedata
from collections import deque
from collections.abc import Callable

from teleglyph.errors import ConnectFailed, EventRefused
from teleglyph.events.client import NostrClient, Stored, Trouble
from teleglyph.wire.nostr import NostrEvent
from teleglyph.wire.nostr_keys import encode_key

MESSAGE, PROFILE, PRESENCE, JOIN = 9, 0, 10312, 9021
_HISTORY = 50
_REMEMBERED = 1000
_PRESENCE_SECONDS = 60.0
_PRESENCE_ENDS = 150
_NAME = 24
HELP = "/who shows who is here, /reply NUMBER TEXT answers, /join [CODE] enters a closed group, /name NAME, /quit"


class Chat:
    """One room, as lines.

    Args:
        client: connected to the relay.
        room: the group's id.
        show: takes a line for the user.
        history: how many old messages are shown.
    """

    def __init__(self, client: NostrClient, room: str, show: Callable[[str], None], history: int = _HISTORY) -> None:
        self._client = client
        self._room = room
        self._show = show
        self._history = history
        self._numbers: dict[str, int] = {}
        self._messages: deque[NostrEvent] = deque(maxlen=_REMEMBERED)
        self._count = 0
        self._names: dict[str, str] = {}
        self._present: dict[str, int] = {}
        """When somebody's presence ends."""
        self._is_live = False

    async def listen(self) -> None:
        """Show what comes until cancelled."""
        h = [self._room]
        filters = (
            {"kinds": [MESSAGE], "#h": h, "limit": self._history},
            {"kinds": [PRESENCE], "#h": h, "since": int(time.time()) - _PRESENCE_ENDS},
            {"kinds": [PROFILE], "limit": 500},
        )
        stored: list[NostrEvent] = []
        async for item in self._client.subscribe("chat", *filters):
            if isinstance(item, Trouble):
                self._show(f"* {item.text}")
            elif isinstance(item, Stored):
                for event in sorted(stored, key=lambda event: (event.created_at, event.id)):
                    self._take(event)
                stored.clear()
                if not self._is_live:
                    self._is_live = True
                    self._show(f"* You are in {self._room}. {HELP}")
            elif self._is_live:
                self._take(item)
            else:
                stored.append(item)
                if item.kind == PROFILE:
                    self._take(item)

    async def be_present(self) -> None:
        """Say that we are here, again and again, until cancelled."""
        while True:
            ends = int(time.time()) + _PRESENCE_ENDS
            with contextlib.suppress(ConnectFailed, EventRefused):
                await self._client.publish(PRESENCE, "", [["h", self._room], ["expiration", str(ends)]])
            await asyncio.sleep(_PRESENCE_SECONDS)

    async def say(self, line: str) -> bool:
        """Act on a line of the user's; False if it wants to leave."""
        word, _, rest = line.partition(" ")
        try:
            match word:
                case "/quit" | "/q":
                    return False
                case "/help":
                    self._show(f"* {HELP}")
                case "/who":
                    self._show(f"* Here are: {', '.join(self._who()) or 'nobody who says so'}")
                case "/join":
                    code = [["code", rest.strip()]] if rest.strip() else []
                    await self._client.publish(JOIN, "", [["h", self._room], *code])
                    self._show("* You are a member now")
                case "/name":
                    await self.introduce(rest.strip())
                case "/reply":
                    await self._reply(rest)
                case _ if word.startswith("/"):
                    self._show(f"* There is no {word}. {HELP}")
                case _ if line.strip():
                    await self._client.publish(MESSAGE, line.rstrip(), [["h", self._room]])
        except (EventRefused, ConnectFailed) as error:
            self._show(f"* Not sent: {error}")
        return True

    async def introduce(self, name: str) -> None:
        """Say what we want to be called."""
        if name:
            await self._client.publish(PROFILE, json.dumps({"name": name}, ensure_ascii=False))

    async def _reply(self, rest: str) -> None:
        number, _, text = rest.partition(" ")
        quoted = next(
            (event for event in self._messages if str(self._numbers.get(event.id)) == number.lstrip("#")), None
        )
        if quoted is None or not text.strip():
            self._show("* Write /reply NUMBER TEXT, with the number that stands in front of a message")
            return
        tags = [["h", self._room], ["q", quoted.id, "", quoted.pubkey]]
        await self._client.publish(MESSAGE, text.rstrip(), tags)

    def _who(self) -> list[str]:
        now = time.time()
        return sorted(self._name(key) for key, ends in self._present.items() if ends > now)

    def _take(self, event: NostrEvent) -> None:
        if event.kind == PROFILE:
            self._names[event.pubkey] = _profile_name(event.content)
        elif event.kind == PRESENCE:
            with contextlib.suppress(EventRefused):
                self._present[event.pubkey] = event.expires_at or 0
        elif event.kind == MESSAGE and event.id not in self._numbers:
            self._count += 1
            self._numbers[event.id] = self._count
            if len(self._messages) == _REMEMBERED:
                del self._numbers[self._messages[0].id]
            self._messages.append(event)
            when = time.strftime("%H:%M", time.localtime(event.created_at))
            quoted = event.first("q")
            answer = f" (to {self._numbers[quoted]})" if quoted in self._numbers else ""
            self._show(f"{self._count:>3} {when} {self._name(event.pubkey)}{answer}: {clean(event.content)}")

    def _name(self, pubkey: str) -> str:
        return self._names.get(pubkey) or encode_key("npub", bytes.fromhex(pubkey))[:12]


def _profile_name(content: str) -> str:
    try:
        name = json.loads(content).get("name")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return clean(name)[:_NAME].strip() if isinstance(name, str) else ""


def clean(text: str) -> str:
    """Somebody's text without what would steer the terminal; its lines are kept apart."""
    shown = (
        letter if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co") else "\ufffd"
        for letter in text
    )
    return "".join(shown).strip().replace("\n", "\n     ")
