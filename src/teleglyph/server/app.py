"""Starts and stops the services of one server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING

from teleglyph.call.decoding import open_decoding
from teleglyph.call.participant import Participant
from teleglyph.call.room import CallRoom
from teleglyph.call.session import watch_connection
from teleglyph.call.statistics import RoomReport
from teleglyph.errors import BindError, StoreError
from teleglyph.events.room_groups import room_group
from teleglyph.media import retain_large_buffers
from teleglyph.net import (
    Listener,
    StallDetector,
    authority,
    seconds_in_queue,
)
from teleglyph.net.addresses import ALL_ADDRESSES
from teleglyph.rooms.relay import Relay
from teleglyph.rooms.room import RelayRoom
from teleglyph.rooms.service import RoomsService
from teleglyph.server.background import start_task
from teleglyph.server.call_admission import CallAdmission
from teleglyph.server.call_announcements import CallAnnouncements
from teleglyph.server.call_http import call_http
from teleglyph.server.call_rooms import CallRooms
from teleglyph.server.config import DEFAULT_ADDRESSES, ServerConfig
from teleglyph.server.data_directory import DATABASE_FILE, RELAY_KEY_FILE
from teleglyph.server.database_health import trouble_of
from teleglyph.server.front_door import FrontDoor
from teleglyph.server.garbage import collect_less_often, collect_while_few
from teleglyph.server.lan import announcement_for
from teleglyph.server.listening import listen_on
from teleglyph.server.overload import Overload
from teleglyph.server.reloading import Reloader
from teleglyph.server.tls_certificate import ServerTls
from teleglyph.store import Database, RecordStore, open_database

if TYPE_CHECKING:
    from teleglyph.discovery.lan import LanAnnouncement
    from teleglyph.events.service import EventsService
    from teleglyph.server.by_name.found_by_name import FoundByName

_log = logging.getLogger(__name__)

DEFAULTS = (DEFAULT_ADDRESSES, ALL_ADDRESSES)
"""The addresses that nobody has chosen: for this machine, and for calls from anywhere."""
_WATCH_INTERVAL = 0.1
_ORPHANS_INTERVAL = 60.0


class Server:
    """One server process's services.

    Use::

        server = Server(config)
        await server.start()
        ...
        await server.stop()
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.bound: list[tuple[str, int]] = []
        """Addresses and ports of the call service."""
        self.started_at = time.monotonic()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="media")
        self._call_rooms = CallRooms(config, self._pool)
        self._decoding = open_decoding(config.call, config.confined_decoding)
        self.overload = Overload(config.max_load)
        """Decides whether there is time for more participants."""
        self.calls = CallAdmission(config, self._call_rooms, self._decoding, self.overload)
        """Admits participants."""
        self.gate = self.calls.gate
        """Limits the connections of each address."""
        self._tls = ServerTls(config.tls, config.identities[0] if config.identities else None)
        self._http = call_http(self, self._tls)
        self._listener = Listener(self._door(self.calls), config.call.handshake_timeout)
        self._pages_listener = Listener(self._door(None), config.call.handshake_timeout, "HTTP", "--http-port")
        self._background: list[asyncio.Task[None]] = []
        self.relay = Relay(config.games, config.relay, on_start=self._room_started, on_end=self._room_ended)
        self.discovery: FoundByName | None = None
        """Lets people find this server by a name; None if they do not, and before the start."""
        self.on_name: Callable[[str], None] = lambda _: None
        """Called with the name whenever this server has been registered at its discovery service."""
        self._reloader = Reloader(config, self._call_rooms, self.relay, self._http.reload_tls)
        self.records: RecordStore | None = None
        """Records of games; None without a database."""
        self._database: Database | None = None
        self.players = RoomsService(self.relay, config.rooms)
        self.events: EventsService | None = None
        """The Nostr relay; None if it is disabled."""
        self._announcements: CallAnnouncements | None = None
        self.lan: LanAnnouncement | None = None
        """The announcement on the local network; None if there is none."""
        self.on_reload: Callable[[], None] = lambda: None
        """Called after a reload."""

    def _door(self, calls: CallAdmission | None) -> FrontDoor:
        config = self.config
        return FrontDoor(
            self.gate, config.trusted_proxies, self._tls, self._http.protocol_for, calls, config.max_handshakes
        )

    # --- life cycle -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            BindError: the server cannot listen on a configured address.
        """
        retain_large_buffers()
        if self.config.data_dir is not None:
            self.config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._open_database()
        await self._call_rooms.prepare()
        await asyncio.to_thread(self._tls.load)
        if self.config.http:
            await self._http.prepare()
        self.bound += listen_on(self._listener, self.config.addresses, self.config.port, DEFAULTS)
        if self.config.http:
            if self.config.http_port is not None:
                try:
                    self._http.listen(self._pages_listener, self.config.addresses, self.config.http_port)
                except BindError:
                    self._listener.close()
                    await self._http.stop()
                    raise
            self._spawn(self.players.run(), "rooms")
            if self.events is not None:
                self._spawn(self.events.run(), "events")
                if self.config.announce is not None and self.events.groups is not None:
                    self._announcements = CallAnnouncements(self.events, self.lobby, self.config.announce)
                    self._spawn(self._announcements.run(), "announcements")
        self._be_found()
        _log.info("Server is listening on %s", ", ".join(authority(*bound) for bound in self.bound))
        self.lan = announcement_for(self.config, self.bound)
        if self.lan is not None:
            await self.lan.start()
        if self.records is not None:
            self._spawn(self._close_orphans(self.records), "orphaned records")
        self._spawn(self._watch(), "watch")
        self._spawn(self._report(), "statistics")
        self._call_rooms.start()
        collect_less_often()
        self._spawn(collect_while_few(lambda: len(self.gate)), "garbage")

    def _be_found(self) -> None:
        """Register at the discovery service, if one is configured."""
        config = self.config
        if config.discovery is None:
            return
        # Imported here, because only few servers need these libraries.
        from teleglyph.server.by_name.found_by_name import FoundByName

        self.discovery = FoundByName(
            config.discovery,
            self.calls,
            self._listener,
            self.bound,
            identity=config.identities[0],
            has_password=config.password is not None,
            max_participants=config.call.max_participants,
            data_dir=config.data_dir,
        )
        self.discovery.start(self._named)

    def _named(self, name: str) -> None:
        """The server has been registered under a name."""
        if self.lan is not None:
            self._spawn(self.lan.rename(name), "name on the local network")
        self.on_name(name)

    async def _open_database(self) -> None:
        """Open the database, if one is configured and a service needs it."""
        place = self.config.database or (self.config.data_dir and self.config.data_dir / DATABASE_FILE)
        if place and (self.config.games or self.config.events):
            self._database = await asyncio.to_thread(open_database, place)
            _log.debug("Storing data in %s", self._database.kind)
            if self.config.games:
                self.records = await asyncio.to_thread(RecordStore, self._database)
            if self.config.events is not None:
                # Imported here, because only the relay needs these libraries.
                from teleglyph.events.service import EventsService
                from teleglyph.keys.nostr import npub_of as relay_npub
                from teleglyph.store.events import EventStore

                store = EventStore(self._database, has_search=self.config.event_search)
                key = await asyncio.to_thread(self._relay_key)
                if key is None:
                    _log.warning(
                        "Relay has no key, hence no groups and no announcements; set one with --relay-key FILE"
                    )
                self.events = EventsService(store, self.config.events, key, self.config.profile.pubkey)
                await self.events.open_policy()
                admins = [self.config.profile.pubkey] if self.config.profile.pubkey else []
                _log.debug("Nostr relay started at /%s", "" if key is None else f": key={relay_npub(key)}")
                await self.events.open_groups({self.lobby.name: self.lobby.name.capitalize()}, admins)
                self._call_rooms.groups = None if self.events.groups is None else self.events

    async def database_trouble(self) -> str | None:
        """Why the database does not work, as a sentence for people; None if it works or there is none."""
        return await trouble_of(self._database)

    def _relay_key(self) -> bytes | None:
        from teleglyph.keys.nostr import load_nostr_key

        path = self.config.relay_key or (self.config.data_dir and self.config.data_dir / RELAY_KEY_FILE)
        return load_nostr_key(path) if path else None

    async def stop(self) -> None:
        """Stop listening, end all connections and release everything, in less than a second if the database is quick.

        A router that is slow to remove a port mapping takes longer, but nobody else waits for it.
        """
        farewells = [asyncio.create_task(self.lan.close())] if self.lan is not None else []
        if self.discovery is not None:
            farewells.append(asyncio.create_task(self.discovery.leave()))
        self._listener.close()
        self._pages_listener.close()
        self.relay.close("The server is shutting down")
        self._call_rooms.close_groups()
        if self._announcements is not None:
            await self._announcements.end()
        if self.events is not None:
            self.events.stop()
        # Before HTTP, which would cut off those over WebSocket without a farewell.
        await self.calls.close()
        await self._http.stop()
        await self._call_rooms.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self.discovery is not None:
            await self.discovery.close()
        await asyncio.gather(*farewells)
        if self._database is not None:
            await asyncio.to_thread(self._database.close)
        await self._decoding.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._log_report("final ")

    async def reload(self) -> list[str]:
        """Reload client keys, configured call rooms, games and the certificate.

        People already in a call stay connected.  Each of the four is replaced whole or, if it cannot be read, not at
        all.

        Returns:
            the problems: what was not reloaded, and why.
        """
        problems = await self._reloader.run()
        self.on_reload()
        return problems

    def _spawn(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        self._background.append(start_task(coroutine, name))

    # --- what others read -----------------------------------------------------------------------------

    @property
    def http_port(self) -> int | None:
        """The port for HTTP only; None without one."""
        return self._http.port or None

    @property
    def lobby(self) -> CallRoom:
        """The call room of everybody who names none."""
        return self._call_rooms.lobby

    @property
    def rooms(self) -> dict[str, CallRoom]:
        """The open call rooms by name."""
        return self._call_rooms.rooms

    @property
    def configured_rooms(self) -> list[str]:
        """The names of the configured call rooms, open or not."""
        return self._call_rooms.configured

    @property
    def participants(self) -> list[Participant]:
        """Everyone connected, including those not yet in a room."""
        return self.calls.participants

    def _room_started(self, room: RelayRoom) -> None:
        _log.info("Room %s opened: game=%s", room.id, room.rules.name)
        if self.records is not None:
            self.records.record_opening(room.id, room.rules.name, room.name)
        if self.events is not None and room.is_public:
            self.events.open_group(room_group(room.rules.name, room.name), f"{room.name} ({room.rules.name})")

    def _room_ended(self, room: RelayRoom, reason: str) -> None:
        _log.info("Room %s closed: reason=%s counters=%s", room.id, reason, asdict(room.counters))
        if self.records is not None:
            self.records.record_closing(room.id, reason)
        if self.events is not None and room.is_public:
            self.events.close_group(room_group(room.rules.name, room.name))

    # --- background -----------------------------------------------------------------------------------

    async def _watch(self) -> None:
        stalls = StallDetector(_WATCH_INTERVAL)
        while True:
            await asyncio.sleep(_WATCH_INTERVAL)
            now = time.monotonic()
            if (stalled := stalls.sample(now)) > 0:
                _log.warning("Server was suspended or starved for %.1f s; deadlines extended", stalled)
                self.calls.postpone(stalled)
            self.gate.costs.load.sample(now, time.thread_time(), seconds_in_queue())
            self.overload.sample(self.gate.costs.load.value, self._call_rooms.counters, now)
            self._watch_calls(now)
            self.gate.refusals.flush(now)

    def _watch_calls(self, now: float) -> None:
        """Not in :meth:`_watch`, whose variables would keep the last participant in memory."""
        for participant in self.calls.participants:
            watch_connection(participant, self.config.call, now)
        for room in self.rooms.values():
            room.refresh(now)

    async def _close_orphans(self, records: RecordStore) -> None:
        while True:
            await asyncio.sleep(_ORPHANS_INTERVAL)
            try:
                await asyncio.wrap_future(records.close_orphans())
            except StoreError as error:
                _log.error("Closing orphaned records failed; retrying in a minute: %s", error)

    async def _report(self) -> None:
        """Log the counters at intervals, if they have changed."""
        reported: list[str] = []
        refused: Counter[str] = Counter()
        while True:
            await asyncio.sleep(self.config.statistics_interval)
            report = [values for report in self.reports() for values in report.lines()[1:]]
            if report != reported or self.gate.refused != refused:
                reported, refused = report, self.gate.refused.copy()
                self._log_report("")

    def reports(self) -> list[RoomReport]:
        """The counters of all call rooms."""
        return [room.report() for room in self.rooms.values()]

    def _log_report(self, prefix: str) -> None:
        level = logging.INFO if self.config.logs_statistics else logging.DEBUG
        for report in self.reports():
            for line in report.lines():
                _log.log(level, "%sstatistics: %s", prefix, line)
        if self.gate.refused:
            _log.log(level, "%sstatistics: refused connections %s", prefix, dict(self.gate.refused))
