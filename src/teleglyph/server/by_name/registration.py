"""Keeps this server registered at a discovery service."""

from __future__ import annotations

import asyncio
import enum
import json
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from teleglyph.discovery.service_client import ServiceClient
from teleglyph.errors import NameTakenError, PeerError, StoreError, VerificationError
from teleglyph.server.by_name.rendezvous_door import RendezvousDoor
from teleglyph.server.by_name_settings import DiscoverySettings
from teleglyph.server.private_file import write_private
from teleglyph.wire.acip import Identity
from teleglyph.wire.acip.messages import ErrorMessage
from teleglyph.wire.discovery import (
    Capability,
    IceServers,
    ParticipantLeft,
    Rendezvous,
    SessionCreate,
    SessionType,
)

_log = logging.getLogger(__name__)

NAME_FILE = "discovery.json"
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds before an attempt to register again."""
_MAX_FILE = 4096


class RegistrationState(enum.Enum):
    """How far a registration is."""

    CONNECTING = "connecting"
    REGISTERED = "registered"
    WAITING = "waiting to try again"


class Registration:
    """Registers, stays registered, and passes guests on to the door.

    Args:
        settings: the service, and the wanted name.
        identity: of this server; the service gives the name to it.
        door: answers guests.
        port: that this server listens on.
        has_password: guests need the password of the lobby.
        max_participants: of this server.
        data_dir: remembers the name; None forgets it.
    """

    def __init__(
        self,
        settings: DiscoverySettings,
        identity: Identity,
        door: RendezvousDoor,
        *,
        port: int,
        has_password: bool,
        max_participants: int,
        data_dir: Path | None,
    ) -> None:
        self.state = RegistrationState.CONNECTING
        self.name = settings.name
        """The session's name; before the registration the wanted one, perhaps empty."""
        self.has_page = False
        """Whether the service has a page that browsers accept."""
        self.on_name: Callable[[str], None] = lambda _: None
        """Called with the name when this server is registered, also again after a lost connection."""
        self._settings = settings
        self._identity = identity
        self._door = door
        self._port = port
        self._has_password = has_password
        self._max_participants = max_participants
        self._file = None if data_dir is None else data_dir / NAME_FILE
        self._pause = _FIRST_PAUSE

    async def run(self) -> None:
        """Register, again and again, until cancelled."""
        if not self.name:
            self.name = await asyncio.to_thread(self._remembered_name)
        while True:
            self.state = RegistrationState.CONNECTING
            try:
                await self._stay_registered()
            except PeerError as error:
                self.state = RegistrationState.WAITING
                pause = self._pause * (1 + random.random() / 2)  # noqa: S311 - spreads the hosts of a service
                level = logging.ERROR if isinstance(error, VerificationError) else logging.WARNING
                _log.log(
                    level, "Discovery service %s: %s Trying again in %.0f s.", self._settings.service, error, pause
                )
                self._pause = min(_LONGEST_PAUSE, self._pause * 2)
                await asyncio.sleep(pause)

    async def _stay_registered(self) -> None:
        settings = self._settings
        async with ServiceClient.open(
            settings.host, settings.port, check_identity=settings.check_service, identity=self._identity
        ) as service:
            name = await self._register(service)
            self.has_page = service.has_public_certificate
            self._pause = _FIRST_PAUSE
            self.state = RegistrationState.REGISTERED
            self.on_name(name)
            try:
                async for message in service.messages():
                    match message:
                        case Rendezvous():
                            self._door.receive(message)
                        case ParticipantLeft():
                            self._door.left(message.participant_id)
                        case IceServers():
                            self._door.servers = message.servers
                        case ErrorMessage():
                            _log.debug("Discovery service: %s", message.text)
            finally:
                self._door.close()

    async def _register(self, service: ServiceClient) -> str:
        exposes = self._settings.exposes_address
        wanted = SessionCreate(
            capabilities=Capability.VIDEO | Capability.AUDIO | Capability.RENDEZVOUS,
            max_participants=min(32, self._max_participants),
            # With the type TCP, ascii-chat's programs learn the address, which the service fills in.
            session_type=SessionType.TCP if exposes else SessionType.WEBRTC,
            has_password=self._has_password,
            expose_address=exposes,
            port=self._port if exposes else 0,
            wanted_name=self.name,
        )
        try:
            created = await service.create(wanted)
        except NameTakenError:
            if self._settings.name:
                raise
            _log.warning("The name %s belongs to another server now; asking for a new one", self.name)
            created = await service.create(replace(wanted, wanted_name=""))
        joined = await service.join(created.name)
        self._door.open(created.session_id, joined.participant_id, service.send)
        if created.name != self.name:
            self.name = created.name
            await asyncio.to_thread(self._remember_name)
        return created.name

    def _remembered_name(self) -> str:
        """The name that this server had at the same service; empty for none."""
        if self._file is None:
            return ""
        try:
            with self._file.open("rb") as file:
                content = json.loads(file.read(_MAX_FILE))
            name = content[self._settings.service]
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        return name if isinstance(name, str) else ""

    def _remember_name(self) -> None:
        if self._file is None:
            return
        try:
            write_private(self._file, json.dumps({self._settings.service: self.name}).encode() + b"\n")
        except StoreError as error:
            _log.warning("The name %s may change with the next start: %s", self.name, error)
