"""A discovery service that attacks those who trust it, in a thread of the test."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from teleglyph.discovery.service.live_session import ServicePeer
from teleglyph.discovery.service.relaying import Relaying
from teleglyph.errors import PeerError
from teleglyph.keys import FileIdentity
from teleglyph.server.call_rooms import RoomAccess
from teleglyph.server.discovery_app import DiscoveryServer
from teleglyph.server.discovery_config import DiscoveryConfig
from teleglyph.wire.acip import derive_password_key
from teleglyph.wire.discovery import Rendezvous
from teleglyph.wire.rendezvous import JoinerKind, RendezvousServerSession, SealedHost, SealedJoiner

Reply = Callable[[bytes], None]
Attack = Callable[[Rendezvous, bool, Reply], "Rendezvous | None"]
"""Gets a relayed message, whether it is from the host, and a function that answers its sender in the name of the other.
Returns what is relayed instead, None for nothing."""


class ManInTheMiddle:
    """Ends the sealed channels of host and guest itself, and passes on what is inside.

    Attributes:
        identity: that it shows to guests.
        read: the packets that it could read.
    """

    def __init__(self) -> None:
        self.identity = FileIdentity(b"m" * 32)
        self.read = b""
        self._as_host: SealedHost | None = None
        self._as_guest: SealedJoiner | None = None
        self._answer = b""

    def __call__(self, message: Rendezvous, is_from_host: bool, _reply: Reply) -> Rendezvous | None:
        body = self._from_host(message) if is_from_host else self._from_guest(message)
        if not body:
            return None
        return Rendezvous(message.session_id, message.sender_id, message.recipient_id, body)

    def _from_guest(self, message: Rendezvous) -> bytes:
        if self._as_host is None or message.body[:1] == b"\x01":
            self._as_host = SealedHost(self.identity, message.session_id)
            self._as_guest = SealedJoiner(message.session_id, JoinerKind.TERMINAL)
            self._answer = self._as_host.answer(message.body)
            return self._as_guest.first_message()
        assert self._as_guest is not None
        packets = self._as_host.receive(message.body)
        self.read += packets
        return self._as_guest.seal(packets)

    def _from_host(self, message: Rendezvous) -> bytes:
        assert self._as_guest is not None
        assert self._as_host is not None
        packets = self._as_guest.receive(message.body)
        if message.body[:1] == b"\x02":
            return self._answer
        self.read += packets
        return self._as_host.seal(packets)


class Impostor:
    """Answers guests in the name of the host, with a key of its own.

    Args:
        password: that it asks for, perhaps a guess; empty for none.
    """

    def __init__(self, password: str) -> None:
        self.identity = FileIdentity(b"i" * 32)
        self._access = RoomAccess("lobby", derive_password_key(password) if password else None)
        self._sessions: dict[bytes, RendezvousServerSession] = {}

    def __call__(self, message: Rendezvous, is_from_host: bool, reply: Reply) -> None:
        if is_from_host:
            return
        session = self._sessions.get(message.sender_id)
        if session is None:
            session = RendezvousServerSession(message.session_id, [self.identity], lambda _: self._access)
            self._sessions[message.sender_id] = session
        session.receive(message.body)
        try:
            while session.next_event() is not None:
                pass
        finally:
            for body in session.messages_to_send():
                reply(body)


@contextmanager
def hostile_service(attack: Attack) -> Iterator[int]:
    """Run a discovery service that is honest but for the messages that it relays; yields its port."""
    ready, ports = threading.Event(), [0]
    loop = asyncio.new_event_loop()

    honest = Relaying.rendezvous

    def rendezvous(relaying: Relaying, peer: ServicePeer, message: Rendezvous) -> None:
        sender = peer.participant

        def reply(body: bytes) -> None:
            peer.send(Rendezvous(message.session_id, message.recipient_id, message.sender_id, body))

        try:
            changed = attack(message, sender is not None and sender.is_host, reply)
        except PeerError:
            return  # the attack has failed
        if changed is not None:
            honest(relaying, peer, changed)

    async def serve(stop: asyncio.Event, directory: str) -> None:
        server = DiscoveryServer(
            DiscoveryConfig(
                addresses=("127.0.0.1",),
                port=0,
                identities=(FileIdentity(b"d" * 32),),
                data_dir=Path(directory),
                connections_per_minute=0,
            )
        )
        await server.start()
        ports[0] = server.bound[0][1]
        ready.set()
        await stop.wait()
        await server.stop()

    stop = asyncio.Event()
    with (
        tempfile.TemporaryDirectory(prefix="teleglyph-hostile-") as directory,
        patch.object(Relaying, "rendezvous", rendezvous),
    ):
        thread = threading.Thread(target=lambda: loop.run_until_complete(serve(stop, directory)))
        thread.start()
        try:
            assert ready.wait(30)
            yield ports[0]
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(20)
            loop.close()
