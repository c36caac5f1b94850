"""Everything that lets people find this server by a name and reach it through NAT."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from teleglyph.discovery.port_mapping import PortMapping
from teleglyph.net import Listener, own_addresses
from teleglyph.server.background import start_task
from teleglyph.server.by_name.arrivals import Arrivals
from teleglyph.server.by_name.direct_addresses import direct_addresses
from teleglyph.server.by_name.registration import Registration, RegistrationState
from teleglyph.server.by_name.rendezvous_door import RendezvousDoor
from teleglyph.server.by_name_settings import DiscoverySettings
from teleglyph.server.call_admission import CallAdmission
from teleglyph.wire.acip import Identity
from teleglyph.wire.discovery import DirectAddress

_log = logging.getLogger(__name__)


class FoundByName:
    """A server's registration, its guests and its port mapping.

    Args:
        settings: where to register, and what to reveal.
        calls: decides who may join.
        listener: takes guests who come through data channels.
        bound: addresses and ports that the server listens on.
        identity: of the server, which owns the name.
        has_password: the lobby needs a password.
        max_participants: of the server.
        data_dir: remembers the name; None forgets it.
    """

    def __init__(
        self,
        settings: DiscoverySettings,
        calls: CallAdmission,
        listener: Listener,
        bound: Sequence[tuple[str, int]],
        *,
        identity: Identity,
        has_password: bool,
        max_participants: int,
        data_dir: Path | None,
    ) -> None:
        self._bound = bound
        self._arrivals = Arrivals(listener, calls)
        self._door = RendezvousDoor(calls, self._arrivals, self._addresses, exposes_address=settings.exposes_address)
        self._registration = Registration(
            settings,
            identity,
            self._door,
            port=bound[0][1],
            has_password=has_password,
            max_participants=max_participants,
            data_dir=data_dir,
        )
        self._mapping = PortMapping() if settings.maps_port else None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def name(self) -> str:
        """The three words; empty before the first registration."""
        return self._registration.name if self.is_registered else ""

    @property
    def has_page(self) -> bool:
        """Whether browsers can join by the service's page."""
        return self._registration.has_page

    @property
    def is_registered(self) -> bool:
        """Whether people can find this server now."""
        return self._registration.state is RegistrationState.REGISTERED

    @property
    def counters(self) -> dict[str, int]:
        """For statistics and metrics."""
        return {
            "registered": int(self.is_registered),
            "guests_answered": self._door.answered,
            "guests_refused": self._door.refused,
            "data_channels_opened": self._arrivals.opened,
            "data_channels_open": self._arrivals.open_channels,
        }

    def start(self, on_name: Callable[[str], None]) -> None:
        """Register, and ask the router for a port.

        Args:
            on_name: called with the name whenever this server has been registered.
        """
        self._registration.on_name = on_name
        self._tasks.append(start_task(self._registration.run(), "discovery"))
        if self._mapping is not None:
            self._tasks.append(start_task(self._map_port(self._mapping), "port mapping"))

    async def leave(self) -> None:
        """Let nobody in any more, and remove the port mapping, which takes as long as the router.

        Those who are here stay, and so does our right to the name.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._mapping is not None:
            await self._mapping.close()

    async def close(self) -> None:
        """Close all data channels."""
        await self._arrivals.close()

    async def _map_port(self, mapping: PortMapping) -> None:
        await mapping.start(self._bound[0][1])
        await mapping.settled()
        _log.info("Port mapping: %s", mapping.status)

    def _addresses(self) -> list[DirectAddress]:
        mapped = None if self._mapping is None else self._mapping.external
        return direct_addresses(self._bound, own_addresses(), mapped)
