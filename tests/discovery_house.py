"""A discovery service without sockets, with a clock of its own, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from teleglyph.discovery.service.clock import Clock
from teleglyph.discovery.service.live_session import ServicePeer
from teleglyph.discovery.service.service import DiscoveryService
from teleglyph.discovery.service.state import ServiceSettings
from teleglyph.keys import FileIdentity
from teleglyph.store import open_database
from teleglyph.store.sessions import SessionStore
from teleglyph.wire.acip import ErrorMessage, Event, Message
from teleglyph.wire.discovery import Capability, SessionCreate, SessionCreated, SessionJoin, SessionJoined, sign

HOST, OTHER, GUEST = (FileIdentity(bytes([number]) * 32) for number in (1, 2, 3))
START = 1_800_000_000.0
OURS = Capability.VIDEO | Capability.AUDIO | Capability.RENDEZVOUS
NAME = "quiet-river-stone"
_Message = TypeVar("_Message", bound=Message)


class Visitor:
    """A connection to the service, which collects what it gets."""

    def __init__(self, house: House, address: str, *, is_private: bool) -> None:
        self.house = house
        self.received: list[Message] = []
        self.peer: ServicePeer = house.service.connected(address, self.received.append, is_private=is_private)

    async def tell(self, message: Event) -> None:
        """Send a message; forget what was received before."""
        self.received.clear()
        await self.house.service.receive(self.peer, message)

    async def ask(self, message: Event, kind: type[_Message]) -> _Message:
        """Send a message, and return the answer."""
        await self.tell(message)
        return self.first(kind)

    async def refused(self, message: Event) -> ErrorMessage:
        """Send a message, and return the only answer, an error."""
        await self.tell(message)
        assert len(self.received) == 1, self.received
        return self.first(ErrorMessage)

    def first(self, kind: type[_Message]) -> _Message:
        """The first message of a kind that was received."""
        found = [message for message in self.received if isinstance(message, kind)]
        assert found, self.received
        return found[0]

    async def hosts(self, identity: FileIdentity = HOST, name: str = NAME, **values: object) -> SessionCreated:
        """Register a session of our kind."""
        created = SessionCreate(capabilities=OURS, session_type=1, wanted_name=name, **values)  # type: ignore[arg-type]
        return await self.ask(self.house.signed(created, identity), SessionCreated)

    async def joins(self, name: str = NAME, password: str = "") -> SessionJoined:
        """Join a session without a key."""
        return await self.ask(SessionJoin(name, has_password=bool(password), password=password), SessionJoined)

    async def leaves(self) -> None:
        """Lose the connection."""
        await self.house.service.disconnected(self.peer)


class House:
    """The service, its database and its clock."""

    def __init__(self, path: Path, settings: ServiceSettings | None = None) -> None:
        self.path = path
        self.settings = settings or ServiceSettings()
        self.now = START
        self._made: list[str] = []
        self._last_signed = 0

    async def open(self) -> None:
        """Start the service."""
        self.database = await asyncio.to_thread(open_database, self.path / "sessions.sqlite3", 1)
        clock = Clock(lambda: self.now, lambda: self.now)
        self.service = DiscoveryService(SessionStore(self.database), self.settings, clock, self.make_name)
        await self.service.open()

    async def close(self) -> None:
        """Stop the service."""
        self.service.close()
        await asyncio.to_thread(self.database.close)

    async def restart(self) -> None:
        """Stop the service, and start it with the same database."""
        await self.close()
        await self.open()

    def make_name(self) -> str:
        """A name that nobody had before."""
        self._made.append("")
        number = len(self._made)
        letters = "".join(chr(97 + int(digit)) for digit in f"{number:06}")
        return f"made-up-{letters}"

    def visitor(self, address: str = "203.0.113.7", *, is_private: bool = True) -> Visitor:
        """A new connection."""
        return Visitor(self, address, is_private=is_private)

    def signed(self, message: _Message, identity: FileIdentity) -> _Message:
        """A message that is signed now, at another millisecond than any before."""
        self._last_signed = max(self._last_signed + 1, int(self.now * 1000))
        return sign(message, identity, self._last_signed)  # type: ignore[type-var]

    async def wait(self, seconds: float, step: float = 600.0) -> None:
        """Let time pass."""
        while seconds > 0:
            self.now += min(step, seconds)
            seconds -= step
            await self.service.tick()

    @property
    def refused(self) -> dict[str, int]:
        """Counted refusals by reason."""
        return dict(self.service.state.counters.refused)


def scenario(
    settings: ServiceSettings | None = None,
) -> Callable[[Callable[[House], Awaitable[None]]], Callable[[Path], None]]:
    """Run an asynchronous test with a house of its own."""

    def decorate(test: Callable[[House], Awaitable[None]]) -> Callable[[Path], None]:
        def wrapped(tmp_path: Path) -> None:
            async def run() -> None:
                house = House(tmp_path, settings)
                await house.open()
                try:
                    await test(house)
                finally:
                    await house.close()

            asyncio.run(run())

        return wrapped

    return decorate
