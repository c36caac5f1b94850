"""Several calls on one server, with independent peers.  Version 1 over TCP has no place for a room, so each room has a
port of its own here."""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

import acip_peer as acip
from acip_peer import AcipPeer, RefusedError
from talker import level_of, talk, tone
from teleglyph.client.address import Address
from teleglyph.client.call.backoff import ReconnectBackoff
from teleglyph.client.call.client import CallClient, CallEvents
from teleglyph.client.call.connection import CallProtocol, Credentials
from teleglyph.errors import CallRoomError
from teleglyph.events.limits import EventLimits
from teleglyph.net import Connection, Listener
from teleglyph.net.tcp import ConnectionProtocol
from teleglyph.server.app import Server
from teleglyph.server.call_admission import CallAdmission
from teleglyph.server.config import CallRoomSettings, ServerConfig
from teleglyph.server.front_door import FrontDoor, refusal
from teleglyph.wire.acip import Capabilities, Feature, ServerSession, derive_password_key
from teleglyph.wire.link2 import Channel

RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (60, 60, 250)


class RoomDoor:
    """Admits peers to one room, as any transport does that knows the room before the handshake."""

    def __init__(self, calls: CallAdmission, room: str) -> None:
        self._calls = calls
        self._room = room

    def plain(self, peer: str, leave: Callable[[], None]) -> asyncio.Protocol | bytes:
        try:
            access = self._calls.access(self._room)
        except CallRoomError as error:
            return str(error).encode()
        guard = self._calls.guard(peer)
        session = ServerSession(
            password_key=access.password_key,
            admits=access.admits,
            features=Feature.SCREEN_UPDATES,
            guard=guard,
        )
        connection = Connection(session, peer)
        return ConnectionProtocol(
            connection, lambda _: self._calls.start(connection, session, guard, leave, room=self._room)
        )

    def link(self, peer: str, channel: Channel, leave: Callable[[], None]) -> asyncio.Protocol | bytes:
        return b""


class House:
    """A server whose rooms have ports."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._listeners: list[Listener] = []
        self._peers: list[AcipPeer] = []

    async def port_of(self, room: str) -> int:
        """A port for a room."""
        server = self.server
        pages = refusal("404 Not Found", "nothing")
        door = FrontDoor(server.gate, (), server._tls, lambda *_: pages, RoomDoor(server.calls, room), 100)
        listener = Listener(door, 5.0)
        self._listeners.append(listener)
        return listener.listen("127.0.0.1", 0)[1]

    async def open(self, room: str) -> AcipPeer:
        """A peer that is connected to a room's port."""
        self._peers.append(AcipPeer(await self.port_of(room)))
        return self._peers[-1]

    async def join(self, room: str, password: str | None = None, **terminal: object) -> AcipPeer:
        peer = await self.open(room)
        await asyncio.to_thread(peer.join, password, **terminal)  # type: ignore[arg-type]
        return peer

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - there is no event for everything that a test looks at
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        for peer in self._peers:
            peer.close()
        for listener in self._listeners:
            listener.close()


@contextlib.asynccontextmanager
async def house(config: ServerConfig) -> AsyncIterator[House]:
    server = Server(config)
    await server.start()
    found = House(server)
    try:
        yield found
    finally:
        await found.close()
        await server.stop()


def config_of(**settings: object) -> ServerConfig:
    common = {"addresses": ("127.0.0.1",), "port": 0, "http": False, "connections_per_minute": 0}
    return ServerConfig(**{**common, **settings})  # type: ignore[arg-type]


def colors_of(text: str) -> set[tuple[int, ...]]:
    return {tuple(map(int, found)) for found in re.findall(r"38;2;(\d+);(\d+);(\d+)m", text)}


def count_of(body: bytes) -> int:
    connected: int = struct.unpack_from(">I", body)[0]
    return connected


def room_tasks() -> set[str]:
    return {name for task in asyncio.all_tasks() if (name := task.get_name()).startswith(("pacer ", "sound "))} - {
        "pacer lobby",
        "sound lobby",
    }


def test_each_room_has_its_own_pictures_and_counters(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def scenario() -> None:
        async with house(config_of()) as calls:
            ann, bob = await calls.join("team"), await calls.join("TEAM")
            eve = await calls.join("")
            ann.send_color(*RED)
            bob.send_color(*GREEN)
            eve.send_color(*BLUE)
            assert await asyncio.to_thread(ann.frame, lambda text: colors_of(text) == {RED, GREEN})
            assert await asyncio.to_thread(eve.frame, lambda text: colors_of(text) == {BLUE})
            frames = [acip.frame_text(body) for kind, body in eve.received if kind == acip.ASCII_FRAME]
            assert not any(colors_of(text) & {RED, GREEN} for text in frames)
            states = [body for kind, body in eve.received if kind == acip.SERVER_STATE]
            assert {count_of(body) for body in states} == {1}
            assert {name: len(room) for name, room in calls.server.rooms.items()} == {"lobby": 1, "team": 2}
            assert [report.name for report in calls.server.reports()] == ["lobby", "team"]
            assert room_tasks() == {"pacer team", "sound team"}

            bob.send(acip.CLIENT_LEAVE)
            await asyncio.to_thread(ann.wait_for, acip.SERVER_STATE, lambda body: count_of(body) == 1)
            ann.close()
            await calls.wait_for(lambda: list(calls.server.rooms) == ["lobby"] and not room_tasks())
            eve.send_color(*GREEN)
            assert await asyncio.to_thread(eve.frame, lambda text: colors_of(text) == {GREEN})

            again = await calls.join("team")
            again.send_color(*GREEN)
            assert await asyncio.to_thread(again.frame, lambda text: colors_of(text) == {GREEN})

    asyncio.run(scenario())
    lines = [record.getMessage() for record in caplog.records]
    assert lines.count("Call room team opened") == 2
    assert "Call room team closed" in lines


def test_log_lines_name_the_room_unless_it_is_the_lobby(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def scenario() -> None:
        async with house(config_of()) as calls:
            for room, name in (("team", b"ann"), ("", b"eve")):
                peer = await calls.join(room)
                peer.send(acip.CLIENT_JOIN, struct.pack(">I32sI", 0, name, 3))
                peer.send(acip.CLIENT_LEAVE)
                await asyncio.to_thread(peer.wait_closed)

    asyncio.run(scenario())
    lines = " / ".join(record.getMessage() for record in caplog.records)
    assert "ann joined room team (1 in the call)" in lines
    assert re.search(r"ann left room team after \d+ s", lines)
    assert "eve joined (1 in the call)" in lines
    assert re.search(r"eve left after \d+ s", lines)


def test_nobody_hears_another_room() -> None:
    async def scenario() -> None:
        async with house(config_of()) as calls:
            speaker = await calls.join("team", video=False)
            inside, outside = await calls.join("team", video=False), await calls.join("", video=False)
            silence = np.zeros(2 * 48_000, np.float32)
            sounds = [tone(440, 2.0), silence, silence]
            _, near, far = await asyncio.to_thread(talk, [speaker, inside, outside], sounds)
            assert level_of(near.sound, 440) > -40
            assert len(far.sound) == 0 or float(np.abs(far.sound).max()) < 1e-3

    asyncio.run(scenario())


def test_a_room_with_its_own_password_admits_nobody_with_the_servers() -> None:
    config = config_of(
        password="the server's words", call_rooms={"vault": CallRoomSettings(password="the words of the vault")}
    )

    async def scenario() -> None:
        async with house(config) as calls:
            for room, password in (("vault", "the server's words"), ("", "the words of the vault")):
                peer = await calls.open(room)
                with pytest.raises(RefusedError):
                    await asyncio.to_thread(peer.handshake, password)
            assert list(calls.server.rooms) == ["lobby"]
            peer = await calls.join("vault", "the words of the vault")
            await asyncio.to_thread(peer.wait_for, acip.SERVER_STATE)
            assert set(calls.server.rooms) == {"lobby", "vault"}
            peer = await calls.join("any", "the server's words")
            await asyncio.to_thread(peer.wait_for, acip.SERVER_STATE)

    asyncio.run(scenario())


def test_a_handshake_alone_opens_no_room() -> None:
    async def scenario() -> None:
        async with house(config_of()) as calls:
            peer = await calls.open("team")
            await asyncio.to_thread(peer.handshake)
            peer.send(acip.PING)
            await asyncio.to_thread(peer.wait_for, acip.PONG)
            assert list(calls.server.rooms) == ["lobby"]
            assert not room_tasks()
            peer.send(acip.CLIENT_CAPABILITIES, acip.capabilities())
            await asyncio.to_thread(peer.wait_for, acip.SERVER_STATE)
            assert set(calls.server.rooms) == {"lobby", "team"}

    asyncio.run(scenario())


def test_a_closed_server_says_that_there_is_no_such_room_to_those_who_know_the_password() -> None:
    config = config_of(password="the server's words", new_call_rooms=False, call_rooms={"team": CallRoomSettings()})

    async def scenario() -> None:
        async with house(config) as calls:
            stranger = await calls.open("other")
            with pytest.raises(RefusedError):
                await asyncio.to_thread(stranger.handshake, "a wild guess")
            peer = await calls.join("other", "the server's words")
            packets = await asyncio.to_thread(peer.wait_closed)
            (error,) = (body for kind, body in packets if kind == acip.ERROR_MESSAGE)
            assert struct.unpack_from(">I", error)[0] == CallRoomError.exit_code
            assert b"There is no room 'other' on this server." in error
            await calls.join("team", "the server's words")
            await calls.wait_for(lambda: set(calls.server.rooms) == {"lobby", "team"})

    asyncio.run(scenario())


def test_our_client_joins_a_room_and_does_not_retry_one_that_does_not_exist() -> None:
    config = config_of(password="the server's words", new_call_rooms=False, call_rooms={"team": CallRoomSettings()})
    credentials = Credentials("Ann", derive_password_key("the server's words"))

    async def scenario() -> None:
        async with house(config) as calls:
            seen = asyncio.Event()
            port = calls.server.bound[0][1]
            ann = CallClient(
                Address("127.0.0.1", port, "team"),
                credentials,
                Capabilities(40, 12),
                events=CallEvents(screen=lambda _: seen.set()),
            )
            task = asyncio.create_task(ann.run())
            bob = await calls.join("team", "the server's words")
            bob.send_color(*RED)
            async with asyncio.timeout(10):
                await seen.wait()
            await calls.wait_for(lambda: len(calls.server.rooms["team"]) == 2)
            # Reported because of the settings, which came before the capabilities.
            await calls.wait_for(lambda: ann.view is not None)
            lost = CallClient(Address("127.0.0.1", port, "other"), credentials, Capabilities(40, 12))
            with pytest.raises(CallRoomError, match="There is no room 'other' on this server") as caught:
                await lost.run()
            assert ReconnectBackoff(-1, lambda: 0.5).next_pause(caught.value) is None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def test_an_open_room_has_a_chat_group_and_a_private_one_has_none(tmp_path: Path) -> None:
    config = config_of(
        http_port=0,
        events=EventLimits(),
        data_dir=tmp_path,
        call_rooms={"vault": CallRoomSettings(password="the words of the vault")},
    )

    async def scenario() -> None:
        async with house(config) as calls:
            events = calls.server.events
            assert events is not None
            assert events.groups is not None
            ann, bob = await calls.join("team"), await calls.join("vault", "the words of the vault")
            await calls.wait_for(lambda: set(calls.server.rooms) == {"lobby", "team", "vault"})
            group = events.groups.get("room-call-team")
            assert group is not None
            assert ("name", "team") in group.tags
            assert len(events.groups) == 2, "that of the lobby, and that of the team"
            ann.close()
            bob.close()
            await calls.wait_for(lambda: list(calls.server.rooms) == ["lobby"])
            assert len(events.groups) == 1
            await calls.join("team")
            await calls.wait_for(lambda: events.groups is not None and len(events.groups) == 2)

    asyncio.run(scenario())


@pytest.mark.parametrize("password", ["the words of the vault", "the server's words", None])
def test_a_room_with_its_own_password_asks_for_that_one(password: str | None) -> None:
    """Over link 2, whose handshake names the room before the server asks for anything."""
    config = config_of(
        password="the server's words", call_rooms={"vault": CallRoomSettings(password="the words of the vault")}
    )
    key = None if password is None else derive_password_key(password)

    async def scenario() -> str:
        async with house(config) as calls:
            joined = asyncio.Event()
            ann = CallClient(
                Address("127.0.0.1", calls.server.bound[0][1], "vault"),
                Credentials("Ann", key, protocol=CallProtocol.LINK2),
                Capabilities(40, 12),
                events=CallEvents(joined=lambda _: joined.set()),
            )
            task = asyncio.create_task(ann.run())
            waiting = asyncio.create_task(joined.wait())
            await asyncio.wait([task, waiting], timeout=10, return_when=asyncio.FIRST_COMPLETED)
            if joined.is_set():
                await calls.wait_for(lambda: "vault" in calls.server.rooms)
            for one in (task, waiting):
                one.cancel()
            results = await asyncio.gather(task, waiting, return_exceptions=True)
            assert joined.is_set() or "vault" not in calls.server.rooms
            return "joined" if joined.is_set() else str(results[0])

    outcome = asyncio.run(scenario())
    expected = {None: "The server wants a password", "the words of the vault": "joined"}
    assert outcome.startswith(expected.get(password, "Wrong password"))
