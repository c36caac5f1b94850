"""One chat room: shows its messages and acts on the user's lines.

It knows nothing of terminals: it shows everything on a :class:`~teleglyph.client.chat.view.ChatView`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from teleglyph.client.chat.commands import Command, Mistake, Text, help_lines, parse_line, usage
from teleglyph.client.chat.formatting import Message, quoted
from teleglyph.client.chat.kinds import JOIN, MESSAGE, PRESENCE, PROFILE
from teleglyph.client.chat.outgoing import OutgoingEvent, OutgoingQueue, refusal_reason
from teleglyph.client.chat.people import NAME_COLUMNS, People, clean_name
from teleglyph.client.chat.presence import PRESENCE_SECONDS, ArrivalNotices, PresenceAnnouncer
from teleglyph.client.chat.profile import parse_profile, profile_name, renamed
from teleglyph.client.chat.view import ChatView
from teleglyph.errors import ConnectError, EventRefusedError
from teleglyph.events.client import NostrClient, Stored, Trouble
from teleglyph.wire.nostr.event import NostrEvent

MAX_CHARACTERS, MAX_BYTES = 64 << 10, 126 << 10
"""Size of a message: what our relays accept, minus the rest of the event."""
_MAX_MESSAGES = 1000
"""Messages that replies can refer to."""
_MAX_STORED = 500
"""Stored events to request after a reconnect."""
_OVERLAP_SECONDS = 60
"""Messages this much older than the newest one are requested again after a reconnect."""
_DEPARTURE_SECONDS = 0.5


class Chat:
    """One room.

    Args:
        client: connected to the relay.
        room: the group's id.
        view: displays the conversation.
        history: number of old messages to show.
        name: the user's name.
        is_default_name: the user did not choose the name, so a name known to the relay wins.
        waits_when_full: lines wait for the relay; otherwise lines beyond a limit are refused.
    """

    def __init__(
        self,
        client: NostrClient,
        room: str,
        view: ChatView,
        *,
        history: int = 50,
        name: str = "",
        is_default_name: bool = False,
        waits_when_full: bool = False,
    ) -> None:
        self.people = People()
        self._client = client
        self._room = room
        self._view = view
        self._history = history
        self._wanted_name = name
        self._is_default_name = is_default_name
        self._profile: dict[str, Any] = {}
        """The user's profile."""
        self._numbers: dict[str, int] = {}
        """Messages' numbers by event id."""
        self._messages: deque[NostrEvent] = deque(maxlen=_MAX_MESSAGES)
        self._count = 0
        self._newest = 0
        self._is_live = False
        """The stored events have arrived."""
        self._outgoing = OutgoingQueue(client, view, self._on_published, waits_when_full=waits_when_full)
        self._presence = PresenceAnnouncer(client, room)
        self._arrivals = ArrivalNotices(view)
        self._introduced = asyncio.Event()

    @property
    def unsent(self) -> int:
        """Lines that the relay did not accept."""
        return self._outgoing.unsent

    async def run(self, lines: AsyncIterator[str], stop: asyncio.Event) -> None:
        """Show the room and act on ``lines`` until they end, the user quits or ``stop`` is set."""
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(work, name=f"chat {name}")
            for name, work in (
                ("events", self._listen()),
                ("presence", self._announce_presence()),
                ("outgoing", self._outgoing.run()),
                ("departures", self._watch_departures()),
            )
        ]
        reading, stopped = loop.create_task(self._read(lines)), loop.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([reading, stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
            if reading in done:
                await self._outgoing.flush(stopped)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, reading, stopped):
                task.cancel()
            await asyncio.wait([*tasks, reading, stopped])
            self._outgoing.reject_all()
            if self._introduced.is_set():
                await self._presence.end()

    # --- the user's lines -----------------------------------------------------------------------------

    async def _read(self, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            if line.strip() and not await self._handle_line(line):
                break

    async def _handle_line(self, line: str) -> bool:
        """Act on a line; False if it quits."""
        match parse_line(line):
            case Mistake(notice):
                self._view.show_notice(notice)
            case Text(text):
                await self._send(line, text, [])
            case Command("/quit"):
                return False
            case Command("/help"):
                for row in help_lines():
                    self._view.show_notice(row)
            case Command("/who"):
                here = ", ".join(self.people.here())
                self._view.show_notice(f"Here now: {here}." if here else "Nobody has announced that they are here.")
            case Command("/join", words):
                tags = [["h", self._room], *(["code", word] for word in words)]
                await self._outgoing.add(OutgoingEvent(line, JOIN, "", tags))
            case Command("/name", _, rest):
                await self._rename(line, rest)
            case Command("/reply", _, rest):
                await self._reply(line, rest)
        return True

    async def _reply(self, line: str, rest: str) -> None:
        number, text = rest.split(maxsplit=1)
        number = number.lstrip("#")
        if not (number.isascii() and number.isdecimal()):
            self._view.show_notice(usage("/reply"))
            return
        event = next(
            (event for event in self._messages if str(self._numbers.get(event.id)) == number.lstrip("0")), None
        )
        if event is None:
            self._view.show_notice(f"There is no message {quoted(number, 20)}. Each message begins with its number.")
            return
        await self._send(line, text, [["q", event.id, "", event.pubkey]])

    async def _rename(self, line: str, name: str) -> None:
        clean = clean_name(name)
        if clean != " ".join(name.split()):
            self._view.show_notice(
                f"The name {quoted(name, 30)} cannot be used. A name has at most {NAME_COLUMNS} columns, "
                "none of : ( ) < > [ ] * #, and does not begin with npub1."
            )
            return
        await self._outgoing.add(OutgoingEvent(line, PROFILE, renamed(self._profile, clean), []))

    async def _send(self, line: str, text: str, tags: Sequence[Sequence[str]]) -> None:
        size = len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))
        if len(text) > MAX_CHARACTERS or size > MAX_BYTES:
            self._outgoing.reject(
                line,
                f"it is too long, with {len(text)} characters in {size} bytes; "
                f"at most {MAX_CHARACTERS} in {MAX_BYTES} can be sent",
            )
            return
        await self._outgoing.add(OutgoingEvent(line, MESSAGE, text, [["h", self._room], *tags]))

    def _on_published(self, event: OutgoingEvent) -> None:
        if event.kind == JOIN:
            self._view.show_notice(f"You are now a member of {self._room}.")
        elif event.kind == PROFILE:
            self._learn_own_profile(event.content)
            self._view.show_notice(f"You are now called {self.people.name(self._client.pubkey)}.")

    # --- events from the relay ------------------------------------------------------------------------

    def _filters(self) -> Sequence[Mapping[str, Any]]:
        now = int(time.time())
        messages = {"kinds": [MESSAGE], "#h": [self._room], "limit": self._history}
        if self._introduced.is_set():
            messages |= {"limit": _MAX_STORED, "since": max(0, min(self._newest, now) - _OVERLAP_SECONDS)}
        return (
            messages,
            {"kinds": [PRESENCE], "#h": [self._room], "since": now - PRESENCE_SECONDS},
            {"kinds": [PROFILE], "limit": _MAX_STORED},
            {"kinds": [PROFILE], "authors": [self._client.pubkey]},
        )

    async def _listen(self) -> None:
        stored: deque[NostrEvent] = deque(maxlen=_MAX_MESSAGES)
        async for item in self._client.subscribe("chat", self._filters):
            if isinstance(item, Trouble):
                self._is_live = False  # Stored events follow again, the newest first.
                self._view.show_notice(item.text)
            elif isinstance(item, Stored):
                for event in sorted(stored, key=lambda event: (event.created_at, event.id)):
                    self._handle_event(event)
                stored.clear()
                self._is_live = True
                if not self._introduced.is_set():
                    await self._introduce()
            elif item.kind == MESSAGE and not self._is_live:
                stored.append(item)
            else:
                self._handle_event(item)

    async def _introduce(self) -> None:
        """Publish our name, unless it is a default and the relay knows another one."""
        key = self._client.pubkey
        if self._wanted_name and not (self._is_default_name and self.people.has_name(key)):
            content = renamed(self._profile, self._wanted_name)
            try:
                await self._client.publish(PROFILE, content)
                self._learn_own_profile(content)
            except (ConnectError, EventRefusedError) as error:
                self._view.show_notice(f"The relay did not accept your name: {refusal_reason(error).rstrip('.')}.")
        self._introduced.set()
        name = self.people.name(key)
        self._view.show_notice(f"You are in {self._room} as {name}. /help shows the commands; /quit leaves.")

    def _learn_own_profile(self, content: str) -> None:
        self._profile = parse_profile(content)
        self.people.learn(self._client.pubkey, profile_name(self._profile), int(time.time()))

    def _handle_event(self, event: NostrEvent) -> None:
        now = time.time()
        if event.kind == PROFILE:
            self._handle_profile(event, now)
        elif event.first("h") != self._room:
            return  # The relay sent an event that no filter matches.
        elif event.kind == PRESENCE:
            self._handle_presence(event, now)
        elif event.kind == MESSAGE and event.id not in self._numbers:
            self._handle_message(event)

    def _handle_profile(self, event: NostrEvent, now: float) -> None:
        key, profile = event.pubkey, parse_profile(event.content)
        if event.created_at > now + PRESENCE_SECONDS:
            return  # It would win over every name chosen later.
        old = self.people.name(key) if self.people.has_name(key) else None
        if key == self._client.pubkey:
            self._profile = profile or self._profile
        is_new = self.people.learn(key, profile_name(profile), event.created_at)
        if is_new and old and self._is_live and self.people.is_here(key) and key != self._client.pubkey:
            self._arrivals.show(f"{old} is now called {self.people.name(key)}", now)

    def _handle_presence(self, event: NostrEvent, now: float) -> None:
        try:
            expires_at = event.expires_at or 0
        except EventRefusedError:
            return
        # Clocks differ, so the lifetime of a live event counts from now.
        until = now + min(expires_at - event.created_at, 2 * PRESENCE_SECONDS) if self._is_live else expires_at
        until = min(until, now + 2 * PRESENCE_SECONDS)
        if self.people.arrived(event.pubkey, until, now) and self._is_live and event.pubkey != self._client.pubkey:
            self._arrivals.show(f"{self.people.name(event.pubkey)} joined", now)

    def _handle_message(self, event: NostrEvent) -> None:
        self._count += 1
        self._numbers[event.id] = self._count
        if len(self._messages) == _MAX_MESSAGES:
            del self._numbers[self._messages[0].id]
        self._messages.append(event)
        self._newest = max(self._newest, event.created_at)
        self._view.show_message(
            Message(
                self._count,
                event.created_at,
                event.pubkey,
                self.people.name(event.pubkey),
                event.content,
                self._numbers.get(event.first("q") or ""),
                event.pubkey == self._client.pubkey,
            )
        )

    # --- presence -------------------------------------------------------------------------------------

    async def _announce_presence(self) -> None:
        await self._introduced.wait()
        await self._presence.run()

    async def _watch_departures(self) -> None:
        """Report people whose presence has expired."""
        while True:
            await asyncio.sleep(_DEPARTURE_SECONDS)
            now = time.time()
            for key in self.people.departed(now):
                if key != self._client.pubkey:
                    self._arrivals.show(f"{self.people.name(key)} left", now)
            self._arrivals.show_counted(now)
