"""A conversation in a room: a NIP-29 group's messages (NIP-C7) and presence, and what the user's lines do.

Knows nothing of terminals: it talks to a :class:`View`.  :mod:`teleglyph.client.chat.text` makes lines of messages,
:mod:`teleglyph.client.chat.screen` is the terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from teleglyph.client.chat.people import NAME_COLUMNS, People, clean_name
from teleglyph.client.chat.text import Message, quoted
from teleglyph.errors import ConnectError, EventRefusedError
from teleglyph.events.announcement import LIVE_ACTIVITY
from teleglyph.events.client import NostrClient, Stored, Trouble
from teleglyph.net import TokenBucket
from teleglyph.printable import Printable
from teleglyph.wire.nostr.event import NostrEvent

MESSAGE, PROFILE, PRESENCE, JOIN = 9, 0, 10312, 9021
MAX_CHARACTERS, MAX_BYTES = 64 << 10, 126 << 10
"""Of one message: what relays of ours take, less what an event has around its text."""
_REMEMBERED = 1000
_OUTGOING = 100
"""Lines that may wait for the relay."""
_PRESENCE_SECONDS, _PRESENCE_ENDS = 60.0, 150
_FAREWELL_SECONDS = 1.0
_FLUSH_SECONDS = 10.0
_RETRIES = (1.0, 2.0, 4.0, 8.0)
"""Pauses before a message is sent again that the relay refused because there were too many."""
_COMINGS_PER_SECOND, _COMINGS_AT_ONCE = 0.5, 10
"""Notices about people who join and leave; more than that are only counted."""
_PREFIXES = ("invalid", "restricted", "blocked", "error", "rate-limited", "auth-required", "duplicate", "pow", "mute")

COMMANDS = {
    "/who": ("", "shows who is here"),
    "/reply": ("NUMBER TEXT", "answers a message"),
    "/name": ("NAME", "changes what you are called"),
    "/join": ("[CODE]", "enters a closed group"),
    "/help": ("", "shows the commands"),
    "/quit": ("", "leaves"),
}
"""Their arguments, and what they do."""
_ARGUMENTS = {
    "/who": (0, 0),
    "/reply": (2, None),
    "/name": (1, None),
    "/join": (0, 1),
    "/help": (0, 0),
    "/quit": (0, 0),
}
"""How many words each takes at least and at most."""


class View(Protocol):
    """Where a conversation is shown."""

    def message(self, message: Message) -> None:
        """Show a message."""

    def notice(self, text: str) -> None:
        """Show something that the program has to say."""

    def coming(self, text: str, at: float) -> None:
        """Show that somebody joined or left."""


class Chat:
    """One room.

    Args:
        client: connected to the relay.
        room: the group's id.
        view: shows it.
        history: how many old messages are shown.
        name: what the user wants to be called.
        is_default_name: nobody chose that name, so one that the relay knows wins.
        is_patient: lines wait for the relay however many there are; otherwise too many are refused.
    """

    def __init__(
        self,
        client: NostrClient,
        room: str,
        view: View,
        *,
        history: int = 50,
        name: str = "",
        is_default_name: bool = False,
        is_patient: bool = False,
    ) -> None:
        self.people = People()
        self.unsent = 0
        """Lines that the relay did not accept."""
        self._client = client
        self._room = room
        self._view = view
        self._history = history
        self._wanted_name = name
        self._is_default_name = is_default_name
        self._is_patient = is_patient
        self._profile: dict[str, Any] = {}
        self._numbers: dict[str, int] = {}
        self._messages: deque[NostrEvent] = deque(maxlen=_REMEMBERED)
        self._count = 0
        self._newest = 0
        self._is_live = False
        self._outgoing: asyncio.Queue[tuple[str, int, str, list[list[str]]]] = asyncio.Queue(_OUTGOING)
        """What the user wrote, and kind, content and tags of the event."""
        self._coming = TokenBucket(_COMINGS_PER_SECOND, _COMINGS_AT_ONCE)
        self._uncounted = 0
        self._introduced = asyncio.Event()
        self._presence: list[list[str]] = []
        """Tags of our presence that say where we are."""

    async def run(self, lines: AsyncIterator[str], stop: asyncio.Event) -> None:
        """Show what comes and act on the user's lines, until these end, the user quits or ``stop`` is set."""
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(work, name=f"chat {number}")
            for number, work in enumerate((self._listen(), self._be_present(), self._send_all(), self._watch()))
        ]
        reading, stopped = loop.create_task(self._read(lines)), loop.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([reading, stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
            if reading in done:
                await self._flush(stopped)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, reading, stopped):
                task.cancel()
            await asyncio.wait([*tasks, reading, stopped])
            while not self._outgoing.empty():
                self._not_sent(self._outgoing.get_nowait()[0], "you left")
            await self._say_goodbye()

    # --- what the user writes -------------------------------------------------------------------------

    async def _read(self, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            if not await self.take(line):
                break

    async def take(self, line: str) -> bool:
        """Act on a line of the user's; False if it asks to leave."""
        if not line.strip():
            return True
        start = line.lstrip()
        if start.startswith("//"):
            await self._say(line, start[1:].rstrip(), [])
        elif start.startswith("/"):
            return await self._obey(line, start)
        else:
            await self._say(line, line.rstrip(), [])
        return True

    async def _obey(self, line: str, text: str) -> bool:
        first, *words = text.split()
        command = "/quit" if first.lower() == "/q" else first.lower()
        if command not in COMMANDS:
            near = difflib.get_close_matches(command, COMMANDS, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            self._view.notice(
                f"There is no command {quoted(first, 30)}, so nothing was sent.{hint} "
                "/help shows the commands; // at the start sends a slash."
            )
            return True
        least, most = _ARGUMENTS[command]
        if len(words) < least or (most is not None and len(words) > most):
            self._usage(command)
            return True
        rest = text[len(first) :].strip()
        match command:
            case "/quit":
                return False
            case "/help":
                self._help()
            case "/who":
                here = ", ".join(self.people.here())
                self._view.notice(f"Here are: {here}." if here else "Nobody says that they are here.")
            case "/join":
                await self._put(line, JOIN, "", [["h", self._room], *(["code", word] for word in words)])
            case "/name":
                await self._rename(line, rest)
            case "/reply":
                await self._reply(line, rest)
        return True

    def _help(self) -> None:
        for command, (arguments, meaning) in COMMANDS.items():
            self._view.notice(f"{command} {arguments}".ljust(20) + meaning)
        self._view.notice("Everything else is sent as a message. // at the start sends a slash.")

    def _usage(self, command: str) -> None:
        arguments, meaning = COMMANDS[command]
        self._view.notice(f"Usage: {f'{command} {arguments}'.strip()} ({meaning}).")

    async def _reply(self, line: str, rest: str) -> None:
        number, text = rest.split(maxsplit=1)
        number = number.lstrip("#")
        if not (number.isascii() and number.isdecimal()):
            self._usage("/reply")
            return
        event = next(
            (event for event in self._messages if str(self._numbers.get(event.id)) == number.lstrip("0")), None
        )
        if event is None:
            self._view.notice(f"There is no message {quoted(number, 20)}. Each message begins with its number.")
            return
        await self._say(line, text, [["q", event.id, "", event.pubkey]])

    async def _rename(self, line: str, name: str) -> None:
        clean = clean_name(name)
        if clean != " ".join(name.split()):
            self._view.notice(
                f"The name {quoted(name, 30)} cannot be used. It has at most {NAME_COLUMNS} columns, "
                "none of : ( ) < > [ ] * #, and does not begin with npub1."
            )
            return
        await self._put(line, PROFILE, self._profile_named(clean), [])

    def _profile_named(self, name: str) -> str:
        """Our profile with another name; what other programs wrote into it stays."""
        return json.dumps({**self._profile, "name": name}, ensure_ascii=False)

    async def _say(self, line: str, text: str, tags: list[list[str]]) -> None:
        size = len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))
        if len(text) > MAX_CHARACTERS or size > MAX_BYTES:
            self._not_sent(
                line,
                f"it is too long, with {len(text)} characters in {size} bytes; "
                f"at most {MAX_CHARACTERS} in {MAX_BYTES} can be sent",
            )
            return
        await self._put(line, MESSAGE, text, [["h", self._room], *tags])

    async def _put(self, line: str, kind: int, content: str, tags: list[list[str]]) -> None:
        if self._outgoing.full() and not self._is_patient:
            self._not_sent(line, f"{_OUTGOING} lines already wait for the relay")
            return
        await self._outgoing.put((line, kind, content, tags))

    async def _send_all(self) -> None:
        while True:
            line, kind, content, tags = await self._outgoing.get()
            try:
                await self._publish(kind, content, tags)
                self._confirm(kind, content)
            except ConnectError as error:
                self._not_sent(line, str(error))
            except EventRefusedError as error:
                self._not_sent(line, _reason(error))
            except asyncio.CancelledError:
                self._not_sent(line, "you left before the relay confirmed it")
                raise
            finally:
                self._outgoing.task_done()

    async def _publish(self, kind: int, content: str, tags: list[list[str]]) -> None:
        for pause in _RETRIES:
            try:
                await self._client.publish(kind, content, tags)
                return
            except EventRefusedError as error:
                if not str(error).startswith("rate-limited:"):
                    raise
            await asyncio.sleep(pause)
        await self._client.publish(kind, content, tags)

    def _confirm(self, kind: int, content: str) -> None:
        if kind == JOIN:
            self._view.notice(f"You are a member of {self._room} now.")
        elif kind == PROFILE:
            self._take_own_profile(content, int(time.time()))
            self._view.notice(f"You are called {self.people.name(self._client.pubkey)} now.")

    def _not_sent(self, line: str, reason: str) -> None:
        self.unsent += 1
        self._view.notice(f"Not sent: {reason.rstrip('.')}. It was {quoted(line)}")

    async def _flush(self, stopped: asyncio.Task[Any]) -> None:
        """Wait until what was written is answered, or the user has had enough."""
        flushed = asyncio.get_running_loop().create_task(self._outgoing.join())
        timeout = None if self._is_patient else _FLUSH_SECONDS
        await asyncio.wait([flushed, stopped], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        flushed.cancel()

    # --- what comes -----------------------------------------------------------------------------------

    def _filters(self) -> Sequence[Mapping[str, Any]]:
        now = int(time.time())
        messages = {"kinds": [MESSAGE], "#h": [self._room], "limit": self._history}
        if self._introduced.is_set():
            messages |= {"limit": 500, "since": max(0, min(self._newest, now) - 60)}
        return (
            messages,
            {"kinds": [PRESENCE], "#h": [self._room], "since": now - _PRESENCE_ENDS},
            {"kinds": [PROFILE], "limit": 500},
            {"kinds": [PROFILE], "authors": [self._client.pubkey]},
        )

    async def _listen(self) -> None:
        stored: deque[NostrEvent] = deque(maxlen=_REMEMBERED)
        async for item in self._client.subscribe("chat", self._filters):
            if isinstance(item, Trouble):
                self._is_live = False  # The next events are stored ones again, the newest first.
                self._view.notice(item.text)
            elif isinstance(item, Stored):
                for event in sorted(stored, key=lambda event: (event.created_at, event.id)):
                    self._take(event)
                stored.clear()
                self._is_live = True
                if not self._introduced.is_set():
                    await self._introduce()
            elif item.kind == MESSAGE and not self._is_live:
                stored.append(item)
            else:
                self._take(item)

    async def _introduce(self) -> None:
        """Say who we are, unless nobody chose a name and the relay knows one."""
        key = self._client.pubkey
        if self._wanted_name and not (self._is_default_name and self.people.has_name(key)):
            content = self._profile_named(self._wanted_name)
            try:
                await self._client.publish(PROFILE, content)
                self._take_own_profile(content, int(time.time()))
            except (ConnectError, EventRefusedError) as error:
                self._view.notice(f"The relay did not take your name: {_reason(error).rstrip('.')}.")
        self._introduced.set()
        name = self.people.name(key)
        self._view.notice(f"You are in {self._room} as {name}. /help shows what you can do; /quit leaves.")

    def _take_own_profile(self, content: str, at: int) -> None:
        self._profile = _members(content)
        self.people.learn(self._client.pubkey, _profile_name(content), at)

    def _take(self, event: NostrEvent) -> None:
        now = time.time()
        if event.kind == PROFILE:
            self._take_profile(event, now)
        elif event.first("h") != self._room:
            return  # A relay that sends what nobody asked for.
        elif event.kind == PRESENCE:
            self._take_presence(event, now)
        elif event.kind == MESSAGE and event.id not in self._numbers:
            self._take_message(event)

    def _take_profile(self, event: NostrEvent, now: float) -> None:
        key = event.pubkey
        if event.created_at > now + _PRESENCE_ENDS:
            return  # It would win over every name that is chosen later.
        old = self.people.name(key) if self.people.has_name(key) else None
        if key == self._client.pubkey:
            self._profile = _members(event.content) or self._profile
        is_new = self.people.learn(key, _profile_name(event.content), event.created_at)
        if is_new and old and self._is_live and self.people.is_here(key) and key != self._client.pubkey:
            self._come(f"{old} is called {self.people.name(key)} now", now)

    def _take_presence(self, event: NostrEvent, now: float) -> None:
        try:
            ends = event.expires_at or 0
        except EventRefusedError:
            return
        # Clocks differ: a live event says how long somebody stays from now on.
        until = now + min(ends - event.created_at, 2 * _PRESENCE_ENDS) if self._is_live else ends
        until = min(until, now + 2 * _PRESENCE_ENDS)
        if self.people.arrived(event.pubkey, until, now) and self._is_live and event.pubkey != self._client.pubkey:
            self._come(f"{self.people.name(event.pubkey)} joined", now)

    def _take_message(self, event: NostrEvent) -> None:
        self._count += 1
        self._numbers[event.id] = self._count
        if len(self._messages) == _REMEMBERED:
            del self._numbers[self._messages[0].id]
        self._messages.append(event)
        self._newest = max(self._newest, event.created_at)
        self._view.message(
            Message(
                self._count,
                event.created_at,
                event.pubkey,
                self._name(event.pubkey),
                event.content,
                self._numbers.get(event.first("q") or ""),
                event.pubkey == self._client.pubkey,
            )
        )

    def _name(self, key: str) -> Printable:
        return self.people.name(key)

    # --- presence -------------------------------------------------------------------------------------

    async def _be_present(self) -> None:
        await self._introduced.wait()
        if (key := await self._client.relay_key()) is not None:
            # The call of this room, as a server with --announce describes it (NIP-53).
            self._presence = [["a", f"{LIVE_ACTIVITY}:{key}:{self._room}", self._client.url, "root"]]
        while True:
            await self._announce(_PRESENCE_ENDS)
            await asyncio.sleep(_PRESENCE_SECONDS)

    async def _announce(self, seconds: int) -> None:
        ends = int(time.time()) + seconds
        with contextlib.suppress(ConnectError, EventRefusedError):
            tags = [["h", self._room], *self._presence, ["expiration", str(ends)]]
            await self._client.publish(PRESENCE, "", tags)

    async def _say_goodbye(self) -> None:
        """End our presence at once instead of letting it run out."""
        if self._introduced.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await self._announce(2)

    async def _watch(self) -> None:
        """Notice who is not here any more."""
        while True:
            await asyncio.sleep(0.5)
            now = time.time()
            for key in self.people.departed(now):
                if key != self._client.pubkey:
                    self._come(f"{self.people.name(key)} left", now)
            if self._uncounted and self._coming.allow(time.monotonic()):
                self._view.coming(f"{self._uncounted} more people joined or left", now)
                self._uncounted = 0

    def _come(self, text: str, now: float) -> None:
        if self._uncounted or not self._coming.allow(time.monotonic()):
            self._uncounted += 1
        else:
            self._view.coming(text, now)


def _reason(error: Exception) -> str:
    """A relay's reason without the word in front that is for programs."""
    prefix, colon, rest = str(error).partition(":")
    return rest.strip() if colon and prefix in _PREFIXES and rest.strip() else str(error)


def _members(content: str) -> dict[str, Any]:
    try:
        members = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _profile_name(content: str) -> str:
    name = _members(content).get("name")
    return name if isinstance(name, str) else ""
