"""The call rooms of a server: opened when somebody joins, closed after the last one has left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Protocol

from teleglyph.call.pacer import Pacer
from teleglyph.call.peer_log import shortened
from teleglyph.call.room import CallRoom
from teleglyph.call.statistics import RoomCounters
from teleglyph.errors import CallRoomError, ServerFullError
from teleglyph.events.room_groups import call_group
from teleglyph.room_name import LOBBY, MAX_ROOM_NAME, parse_room_name
from teleglyph.server.background import start_task
from teleglyph.server.config import CallRoomSettings, ServerConfig
from teleglyph.wire.acip import Admission, derive_password_key
from teleglyph.wire.link2.password import prepare as prepare_exchange
from teleglyph.wire.page import PasswordDigest

_log = logging.getLogger(__name__)


class ChatGroups(Protocol):
    """The relay's groups, as call rooms need them."""

    def open_group(self, name: str, title: str) -> None:
        """Create a group, unless it exists."""

    def close_group(self, name: str) -> None:
        """Remove a group; its messages stay."""


@dataclass(frozen=True, slots=True)
class RoomAccess:
    """What a peer needs to join a room.

    Attributes:
        name: of the room.
        password_key: from :func:`~teleglyph.wire.acip.derive_password_key`; None for no password.
        password: the same password, for pages.
        admits: decides which client keys are admitted; None asks for no key.
        is_private: the password or the list of keys is the room's own, so the room is not announced.
        group: id of its chat group; empty for none.
    """

    name: str
    password_key: bytes | None = field(default=None, repr=False)
    password: PasswordDigest | None = field(default=None, repr=False)
    admits: Admission | None = None
    is_private: bool = False
    group: str = ""


@dataclass(slots=True, eq=False)
class _OpenRoom:
    """A room with tasks that run.

    Attributes:
        group: id of its chat group; empty for none.
        participants: those that have entered it.
    """

    room: CallRoom
    tasks: list[asyncio.Task[None]]
    group: str = ""
    participants: int = 0


class CallRooms:
    """The call rooms of one server (:class:`~teleglyph.call.room.Rooms`).

    The lobby is always open.  Everything runs on the event loop: rooms open and leave the list between two awaits, so
    anybody who joins while the last one leaves gets either the open room or a new one.

    Args:
        config: of the server.
        pool: threads for drawing.
    """

    def __init__(self, config: ServerConfig, pool: Executor) -> None:
        self.lobby = CallRoom(LOBBY, config.sound)
        self.groups: ChatGroups | None = None
        """The relay's groups, for the chat of each room; None without a relay."""
        self._config = config
        self._pool = pool
        self._server_access = RoomAccess(LOBBY)
        self._configured: dict[str, RoomAccess] = {}
        self._open = {LOBBY: _OpenRoom(self.lobby, [])}
        self._past = RoomCounters()
        """Of rooms that have closed."""

    async def prepare(self) -> None:
        """Derive the keys of all passwords."""
        config = self._config
        key = None if config.password is None else await asyncio.to_thread(derive_password_key, config.password)
        password = None if config.password is None else PasswordDigest(config.password)
        admits = None if config.client_keys is None else config.client_keys.admits
        self._server_access = RoomAccess(LOBBY, key, password, admits)
        self._configured = await asyncio.to_thread(self._read_access, config.call_rooms)
        await asyncio.to_thread(prepare_exchange)

    async def reload(self) -> int:
        """Reload the configured rooms from their file; returns their number.  People in calls stay.

        Raises:
            TeleglyphError: the file or a list of keys cannot be read; then nothing has changed.
        """
        if (read := self._config.read_call_rooms) is not None:
            self._configured = await asyncio.to_thread(lambda: self._read_access(read()))
            for name, place in self._open.items():
                if self._is_private(name):
                    self._close_group(place)
        return len(self._configured)

    def start(self) -> None:
        """Start the lobby."""
        self._open[LOBBY].tasks = self._start_tasks(self.lobby)

    # --- joining and leaving --------------------------------------------------------------------------

    def access(self, name: str) -> RoomAccess:
        """What a peer needs to join a room, for its handshake.

        A room that cannot be joined is refused here only if joining would need nothing.  Otherwise :meth:`enter`
        refuses it after the handshake, so that strangers do not learn which rooms there are.

        Args:
            name: as the peer wrote it; empty for the lobby.

        Raises:
            CallRoomError: the name is invalid, or there is no such room, or there are too many.
        """
        room = _parse(name)
        access = replace(self._configured.get(room) or self._server_access, name=room, group=self._group_of(room))
        if access.password_key is None and access.admits is None:
            self._require_place(room)
        return access

    def enter(self, name: str) -> CallRoom:
        """See :class:`~teleglyph.call.room.Rooms`."""
        room = _parse(name)
        if self.participants >= self._config.call.max_participants:
            raise ServerFullError(f"The server is full: it has {self.participants} participants. Try again later.")
        self._require_place(room)
        place = self._open.get(room) or self._open_room(room)
        place.participants += 1
        return place.room

    async def leave(self, room: CallRoom) -> None:
        """See :class:`~teleglyph.call.room.Rooms`."""
        place = self._open[room.name]
        place.participants -= 1
        if place.participants or room is self.lobby:
            return
        del self._open[room.name]
        self._past.add(room.counters)
        self._close_group(place)
        _log.info("Call room %s closed", room.name)
        await _cancel(place.tasks)

    def _require_place(self, room: str) -> None:
        """Check that a room may be joined.

        Raises:
            CallRoomError: there is no such room, or there are too many.
        """
        if room == LOBBY or room in self._configured:
            return
        if not self._config.new_call_rooms:
            raise CallRoomError(_no_room(room))
        # Configured rooms do not count, so that strangers cannot keep them from opening.
        others = len(self._open.keys() - self._configured.keys()) - 1
        if room not in self._open and others >= self._config.max_call_rooms:
            raise CallRoomError(
                f"This server has too many rooms: {others}. Join the lobby or an open room, or try again later."
            )

    def _open_room(self, name: str) -> _OpenRoom:
        room = CallRoom(name, self._config.sound)
        group = self._group_of(name)
        place = self._open[name] = _OpenRoom(room, self._start_tasks(room), group)
        if self.groups is not None and group:
            self.groups.open_group(group, name)
        _log.info("Call room %s opened", name)
        return place

    def _start_tasks(self, room: CallRoom) -> list[asyncio.Task[None]]:
        return [
            start_task(Pacer(room, self._pool).run(), f"pacer {room.name}"),
            start_task(room.sound.run(), f"sound {room.name}"),
        ]

    def _close_group(self, place: _OpenRoom) -> None:
        if self.groups is not None and place.group:
            self.groups.close_group(place.group)
        place.group = ""

    def _group_of(self, name: str) -> str:
        """Id of a room's chat group; empty for none."""
        # Everybody can read the relay, so a group would announce the room, and the password would not protect it.
        return "" if self.groups is None or self._is_private(name) else call_group(name)

    def _is_private(self, name: str) -> bool:
        access = self._configured.get(name)
        return access is not None and access.is_private

    # --- the end --------------------------------------------------------------------------------------

    def close_groups(self) -> None:
        """Close the chat groups of all rooms but the lobby, and open no more, while the relay still runs."""
        for place in self._open.values():
            self._close_group(place)
        self.groups = None

    async def close(self) -> None:
        """Stop all rooms; nobody is in them any more."""
        await _cancel([task for place in self._open.values() for task in place.tasks])

    # --- what others read -----------------------------------------------------------------------------

    @property
    def rooms(self) -> dict[str, CallRoom]:
        """The open rooms by name."""
        return {name: place.room for name, place in self._open.items()}

    @property
    def configured(self) -> list[str]:
        """The names of the configured rooms, open or not."""
        return list(self._configured)

    @property
    def participants(self) -> int:
        """The number of participants in all rooms."""
        return sum(place.participants for place in self._open.values())

    @property
    def counters(self) -> list[RoomCounters]:
        """Counters of all rooms there are and were; their sums never fall."""
        return [self._past, *(place.room.counters for place in self._open.values())]

    def _read_access(self, rooms: Mapping[str, CallRoomSettings]) -> dict[str, RoomAccess]:
        """What configured rooms need.  Takes a while for each password."""
        return {name: self._access_of(name, settings) for name, settings in rooms.items()}

    def _access_of(self, name: str, settings: CallRoomSettings) -> RoomAccess:
        server = self._server_access
        return RoomAccess(
            name,
            server.password_key if settings.password is None else derive_password_key(settings.password),
            server.password if settings.password is None else PasswordDigest(settings.password),
            server.admits if settings.client_keys is None else settings.client_keys.admits,
            is_private=settings.is_private,
        )


def _parse(name: str) -> str:
    try:
        return parse_room_name(name)
    except ValueError as error:
        raise CallRoomError(f"{_no_room(shortened(name, MAX_ROOM_NAME))} {error}") from None


def _no_room(name: str) -> str:
    return f"There is no room '{name}' on this server. Check the name, or leave it out to join the lobby."


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
