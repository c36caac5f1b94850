"""Puts the services of one server together and takes them apart again."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import time
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING

from teleglyph.call.decoding import open_decoding
from teleglyph.call.life_cycle import State
from teleglyph.call.pacer import Pacer
from teleglyph.call.participant import Participant
from teleglyph.call.room import CallRoom
from teleglyph.call.session import run_participant, watch_connection
from teleglyph.call.statistics import RoomReport
from teleglyph.errors import BindError, StoreError, TeleglyphError
from teleglyph.events.announcement import KIND as LIVE_ACTIVITY
from teleglyph.events.announcement import Activity, Announcer
from teleglyph.events.groups import room_group
from teleglyph.media import retain_large_buffers
from teleglyph.net import (
    Absences,
    Connection,
    Listener,
    authority,
    charged,
    network_of,
    raise_descriptor_limit,
    seconds_in_queue,
)
from teleglyph.rooms.relay import Relay
from teleglyph.rooms.room import Room as PlayRoom
from teleglyph.rooms.service import RoomsService
from teleglyph.server.address_gate import AddressGate
from teleglyph.server.admission import HandshakeGuard, Proofs
from teleglyph.server.config import DEFAULT_ADDRESSES, ServerConfig
from teleglyph.server.front_door import FrontDoor
from teleglyph.server.http import HttpFront
from teleglyph.server.overload import Overload
from teleglyph.store import Database, RecordStore, open_database
from teleglyph.wire.acip import AuthFailure, Feature, ServerSession, derive_password_key

if TYPE_CHECKING:
    from teleglyph.events.service import EventsService

_log = logging.getLogger(__name__)

_WATCH_INTERVAL = 0.1
_LEFT_OVERS_INTERVAL = 60.0
_ANNOUNCE_INTERVAL = 5.0
_FAREWELL_SECONDS = 0.3
"""How long a stopping server waits until the end of the call is announced."""
_PROOF_SECONDS = 5.0
"""For the database to show that it works, when somebody asks after the server's health."""
_SHUTDOWN_SECONDS = 0.8
"""For farewells; together with the rest of the shutdown well under a second."""
DATABASE_FILE = "teleglyph.sqlite3"
RELAY_KEY_FILE = "relay.key"
_MISSING = AuthFailure.PASSWORD_REQUIRED | AuthFailure.CLIENT_KEY_REQUIRED
_FULL = b"SERVER_FULL: Maximum client limit reached\n"
_BUSY = b"SERVER_FULL: Too many connections are being set up, try again\n"


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
        self.default_room = CallRoom("lobby", config.sound)
        self.rooms = {self.default_room.name: self.default_room}
        self.bound: list[tuple[str, int]] = []
        """Addresses and ports the call service listens on."""
        self.started_at = time.monotonic()
        self._password_key: bytes | None = None
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="media")
        self._decoding = open_decoding(config.call, config.confined_decoding)
        self._numbers = itertools.count(1)
        self.gate = AddressGate(
            config.connections_per_address,
            config.connections_per_minute,
            config.costs,
            raise_descriptor_limit(),
            self._is_in_call,
        )
        """Which addresses may connect."""
        self.overload = Overload(config.max_load)
        """Whether there is time for more participants."""
        self._proofs = Proofs(config.call, self.gate.refused)
        self._admitted: dict[Connection, tuple[ServerSession, HandshakeGuard]] = {}
        self._http = HttpFront(self)
        door = FrontDoor(self.gate.let_in, self._admit, self._accepted, self._http.on_call_port, config.max_handshakes)
        self._listener = Listener(door, config.call.handshake_timeout)
        self._sessions: dict[asyncio.Task[None], Participant] = {}
        self._background: list[asyncio.Task[None]] = []
        self.relay = Relay(config.games, config.relay, on_start=self._room_started, on_end=self._room_ended)
        self.records: RecordStore | None = None
        """What was played; None without a place to keep it."""
        self._database: Database | None = None
        self.players = RoomsService(self.relay, config.rooms)
        self.events: EventsService | None = None
        """The Nostr relay."""
        self._announcer: Announcer | None = None

    # --- life cycle -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            BindError: an address that was asked for cannot be listened on.
        """
        retain_large_buffers()
        _collect_less_often()
        if self.config.data_dir is not None:
            self.config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._open_database()
        if self.config.password is not None:
            self._password_key = await asyncio.to_thread(derive_password_key, self.config.password)
        if self.config.http_port is not None:
            await self._http.prepare()
        await self._listen()
        if self.config.http_port is not None:
            try:
                await self._http.start(self.config.addresses, self.config.http_port)
            except BindError:
                await self._listener.close()
                raise
            self._spawn(self.players.run(), "rooms")
            if self.events is not None:
                self._spawn(self.events.run(), "events")
                if self.config.announce is not None and self.events.groups is not None:
                    self._announcer = Announcer(self.default_room.name, self.config.announce)
                    self._spawn(self._announce(self.events, self._announcer), "announcements")
        _log.info("listening on %s", ", ".join(authority(*bound) for bound in self.bound))
        if self.records is not None:
            self._spawn(self._close_left_overs(self.records), "left-overs")
        self._spawn(self._watch(), "watch")
        self._spawn(self._report(), "statistics")
        for room in self.rooms.values():
            self._spawn(Pacer(room, self._pool).run(), f"pacer {room.name}")
            self._spawn(room.sound.run(), f"sound {room.name}")

    async def _open_database(self) -> None:
        """Open what services keep things in, if there is a place for it and a service that has something to keep."""
        place = self.config.database or (self.config.data_dir and self.config.data_dir / DATABASE_FILE)
        if place and (self.config.games or self.config.events):
            self._database = await asyncio.to_thread(open_database, place)
            _log.info("what is kept is kept in %s", self._database.kind)
            if self.config.games:
                self.records = await asyncio.to_thread(RecordStore, self._database)
            if self.config.events is not None:
                # Only now: nobody else needs its libraries.
                from teleglyph.events.service import EventsService
                from teleglyph.keys.nostr import npub_of as relay_npub
                from teleglyph.store.events import EventStore

                store = EventStore(self._database, has_search=self.config.event_search)
                key = await asyncio.to_thread(self._relay_key)
                if key is None:
                    _log.warning("the relay keeps no groups and announces nothing without a key: --relay-key FILE")
                self.events = EventsService(store, self.config.events, key, self.config.profile.pubkey)
                await self.events.open_policy()
                admins = [self.config.profile.pubkey] if self.config.profile.pubkey else []
                _log.info("a Nostr relay is at /%s", "" if key is None else f", its key is {relay_npub(key)}")
                await self.events.open_groups({self.default_room.name: self.default_room.name.capitalize()}, admins)

    async def database_trouble(self) -> str | None:
        """Why the database cannot be relied upon, in words for people; None if it does its work, or there is none."""
        if self._database is None:
            return None
        if (reason := self._database.health()) is not None:
            return reason
        proof = asyncio.wrap_future(self._database.probe())
        # It is shared with others who ask, so it is not cancelled; and it may fail when nobody waits any more.
        proof.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([proof], timeout=_PROOF_SECONDS)
        if not proof.done():
            return f"the database has not finished a write for {_PROOF_SECONDS:g} s"
        return None if (error := proof.exception()) is None else str(error)

    def _relay_key(self) -> bytes | None:
        from teleglyph.keys.nostr import load_nostr_key

        path = self.config.relay_key or (self.config.data_dir and self.config.data_dir / RELAY_KEY_FILE)
        return load_nostr_key(path) if path else None

    async def stop(self) -> None:
        """Stop listening, take leave of everybody, release everything; takes less than a second."""
        await self._listener.close()
        self.relay.close("The server is shutting down")
        if self.events is not None:
            await self._end_announcement(self.events)
            self.events.stop()
        await self._http.stop()
        for task in self._sessions:
            task.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=_SHUTDOWN_SECONDS)
        for participant in self._sessions.values():
            participant.connection.abort()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._database is not None:
            await asyncio.to_thread(self._database.close)
        await self._decoding.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._log_report("final ")

    async def reload(self) -> list[str]:
        """Read the list of client keys, the games and the certificate again.

        Who is there stays.  Each of them is changed whole or, if it cannot be read, not at all.

        Returns:
            what stayed as it was, and why.
        """
        config = self.config
        if config.client_keys is None and config.read_games is None and config.tls is None:
            _log.info("there is nothing to read again: no --client-keys, no --tls-cert, no games in a file")
        problems = []
        if (keys := config.client_keys) is not None:
            try:
                await asyncio.to_thread(keys.reload)
            except TeleglyphError as error:
                problems.append(f"the list of client keys stays as it was: {error}")
            else:
                _log.info("the list of client keys was read again: %d keys", len(keys))
        if config.read_games is not None:
            try:
                games = await asyncio.to_thread(config.read_games)
            except TeleglyphError as error:
                problems.append(f"the games stay as they were: {error}")
            else:
                self.relay.set_games(games)
                _log.info("the games were read again: %s", ", ".join(game.name for game in games) or "none")
        if config.tls is not None:
            try:
                await asyncio.to_thread(self._http.reload_tls)
            except TeleglyphError as error:
                problems.append(f"the certificate stays as it was: {error}")
            else:
                _log.info("the certificate was read again")
        for problem in problems:
            _log.error("%s", problem)
        return problems

    async def _listen(self) -> None:
        port = self.config.port
        for address in self.config.addresses:
            try:
                bound = await self._listener.listen(address, port)
            except BindError as error:
                if not self._may_do_without(address):
                    await self._listener.close()
                    raise
                _log.warning("%s; going on without it", error)
                continue
            port = bound[1]
            self.bound.append(bound)
        if not self.bound:
            raise BindError("None of the addresses can be listened on: " + ", ".join(self.config.addresses))

    def _may_do_without(self, address: str) -> bool:
        """Machines without IPv6 are common; the default ``::1`` is a wish, an explicit address an order."""
        return self.config.addresses == DEFAULT_ADDRESSES and ":" in address and bool(self.bound)

    def _spawn(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        task.add_done_callback(_log_failure)
        self._background.append(task)

    # --- admission ------------------------------------------------------------------------------------

    @property
    def http_port(self) -> int | None:
        """The port of HTTP beside the one for calls; None without HTTP."""
        return self._http.port or None

    @property
    def participants(self) -> list[Participant]:
        """Everybody who is connected, also those not yet in a room."""
        return list(self._sessions.values())

    def _is_in_call(self, network: str) -> bool:
        """Whether somebody of this network is in a call."""
        return any(
            one.joined_at is not None and network_of(one.connection.peer) == network for one in self.participants
        )

    def _admit(self, peer: str) -> Connection | bytes | None:
        if self.gate.refuse(peer) is not None:
            return None
        unfinished = sum(1 for p in self._sessions.values() if p.state in (State.CONNECTED, State.SECURED))
        if len(self._sessions) - unfinished >= self.config.call.max_participants:
            self.gate.note("full", "the server is full", peer, "the server is full")
            return _FULL
        if (reason := self.overload.reason) is not None:
            self.gate.note("load", "overloaded", peer, reason)
            return b"SERVER_FULL: %s, try again later\n" % reason.encode()
        if unfinished - len(self._proofs.places) >= self.config.max_handshakes:
            self.gate.note(
                "handshakes", "too many unfinished handshakes", peer, f"{unfinished} handshakes are unfinished"
            )
            return _BUSY
        config = self.config
        guard = self._proofs.guard(peer)
        session = ServerSession(
            password_key=self._password_key,
            identities=config.identities,
            admits=None if config.client_keys is None else config.client_keys.admits,
            allow_plaintext=not config.encrypt,
            features=Feature.SCREEN_UPDATES,
            guard=guard,
        )
        connection = guard.connection = Connection(session, peer, self.config.connection, meter=self.gate.meter(peer))
        self._admitted[connection] = session, guard
        return connection

    def _accepted(self, connection: Connection) -> None:
        number = next(self._numbers)
        participant = Participant(number, connection, self.default_room, self.config.call, self._decoding)
        session, guard = self._admitted.pop(connection)
        task = asyncio.get_running_loop().create_task(
            charged(self._serve(participant, session, guard), connection.stopwatch), name=f"session {number}"
        )
        self._sessions[task] = participant
        task.add_done_callback(self._sessions.pop)
        # From here on, not from the task's first step: many may be accepted before that.
        leave = self.gate.enter(connection.peer)
        task.add_done_callback(lambda _: leave())

    async def _serve(self, participant: Participant, session: ServerSession, guard: HandshakeGuard) -> None:
        _log.debug("%s connected as %s", participant.connection.peer, participant.name)
        reason = await run_participant(participant, session, self.config.call, guard.over)
        self._say_goodbye(participant, reason)

    def _say_goodbye(self, participant: Participant, reason: str) -> None:
        """What a person reads when somebody has left; somebody who was never in the call is not worth a line."""
        _log.debug("%s is gone (%s): %s", participant.name, reason, participant.report())
        if participant.refusal is not None:
            text = f"{participant.connection.peer} was refused: {participant.refusal}"
            if participant.refusal.reasons & _MISSING and not participant.refusal.reasons & ~_MISSING:
                _log.debug("%s", text)  # whoever joins without a password or key is asked for it, and comes again
            else:
                self.gate.refusals.note("wrong passwords and keys", text, time.monotonic())
        if participant.joined_at is not None:
            stay = duration(time.monotonic() - participant.joined_at)
            why = "" if reason == "left" else f": {reason}"
            _log.info("%s left after %s%s", participant.name, stay, why)

    def _room_started(self, room: PlayRoom) -> None:
        _log.info("a room was made for %s: %s", room.rules.name, room.id)
        if self.records is not None:
            self.records.opened(room.id, room.rules.name, room.name)
        if self.events is not None and room.is_public:
            self.events.open_group(room_group(room.rules.name, room.name), f"{room.name} ({room.rules.name})")

    def _room_ended(self, room: PlayRoom, reason: str) -> None:
        _log.info("room %s is over (%s): %s", room.id, reason, asdict(room.counters))
        if self.records is not None:
            self.records.closed(room.id, reason)
        if self.events is not None and room.is_public:
            self.events.close_group(room_group(room.rules.name, room.name))

    # --- background -----------------------------------------------------------------------------------

    async def _watch(self) -> None:
        absences = Absences(_WATCH_INTERVAL)
        while True:
            await asyncio.sleep(_WATCH_INTERVAL)
            now = time.monotonic()
            if (absent := absences.look(now)) > 0:
                _log.warning("The server was not there for %.1f s: stopped, or the machine was overrun.", absent)
                for participant in self._sessions.values():
                    participant.connection.postpone(absent)
            self.gate.costs.load.sample(now, time.thread_time(), seconds_in_queue())
            self.overload.sample(self.gate.costs.load.value, (room.counters for room in self.rooms.values()), now)
            for participant in self._sessions.values():
                watch_connection(participant, self.config.call, now)
            for room in self.rooms.values():
                room.refresh(now)
            self.gate.refusals.flush(now)

    async def _close_left_overs(self, records: RecordStore) -> None:
        while True:
            await asyncio.sleep(_LEFT_OVERS_INTERVAL)
            try:
                await asyncio.wrap_future(records.close_left_overs())
            except StoreError as error:
                _log.error("records that others left open stay so: %s", error)

    async def _announce(self, events: EventsService, announcer: Announcer) -> None:
        """Tell on the relay who is in the call, at most every few seconds."""
        while True:
            self._publish_activity(events, announcer.due(len(self.default_room), time.time()))
            await asyncio.sleep(_ANNOUNCE_INTERVAL)

    async def _end_announcement(self, events: EventsService) -> None:
        """Say on the relay that the call is over, while its clients are still there to hear it."""
        if self._announcer is None:
            return
        published = self._publish_activity(events, self._announcer.end(time.time()))
        if published is not None:
            await asyncio.wait([published], timeout=_FAREWELL_SECONDS)

    @staticmethod
    def _publish_activity(events: EventsService, activity: Activity | None) -> asyncio.Future[None] | None:
        if activity is None or events.groups is None:
            return None
        tags = activity.tags(events.groups.own_key)
        return events.replace(LIVE_ACTIVITY, next(tag[1] for tag in tags if tag[0] == "d"), tags)

    async def _report(self) -> None:
        """Log the counters now and then, if they have changed."""
        reported: list[str] = []
        refused: Counter[str] = Counter()
        while True:
            await asyncio.sleep(self.config.statistics_interval)
            report = [values for report in self.reports() for values in report.lines()[1:]]
            if report != reported or self.gate.refused != refused:
                reported, refused = report, self.gate.refused.copy()
                self._log_report("")

    def reports(self) -> list[RoomReport]:
        """The counters of all rooms."""
        return [room.report() for room in self.rooms.values()]

    def _log_report(self, prefix: str) -> None:
        level = logging.INFO if self.config.logs_statistics else logging.DEBUG
        for report in self.reports():
            for line in report.lines():
                _log.log(level, "%sstatistics: %s", prefix, line)
        if self.gate.refused:
            _log.log(level, "%sstatistics: refused connections %s", prefix, dict(self.gate.refused))


def duration(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _collect_less_often() -> None:
    """Keep the search for unreachable cycles short and rare.

    With thousands of connections a full one takes a fifth of a second, in which nobody gets a picture.  What was
    imported is never looked at again; what connections leave behind is found by the shorter searches, later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("task %s failed", task.get_name(), exc_info=task.exception())
