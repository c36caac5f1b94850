"""The parts of a running server that its HTTP pages use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from teleglyph.call.participant import Participant
from teleglyph.call.room import CallRoom
from teleglyph.call.statistics import RoomReport
from teleglyph.rooms.relay import Relay
from teleglyph.rooms.service import RoomsService
from teleglyph.server.address_gate import AddressGate
from teleglyph.server.call_admission import CallAdmission
from teleglyph.server.config import ServerConfig
from teleglyph.store import RecordStore

if TYPE_CHECKING:
    from teleglyph.events.service import EventsService
    from teleglyph.server.by_name.found_by_name import FoundByName


class Services(Protocol):
    """A running server, as its HTTP pages see it."""

    config: ServerConfig
    gate: AddressGate
    """Limits the connections of each address."""
    calls: CallAdmission
    """Admits participants."""
    relay: Relay
    """Rooms of games."""
    players: RoomsService
    """Connections of players."""
    records: RecordStore | None
    """Records of games; None without a database."""
    events: EventsService | None
    """The Nostr relay; None if it is disabled."""
    discovery: FoundByName | None
    """Lets people find the server by a name; None if they do not."""
    started_at: float
    """On the monotonic clock."""

    @property
    def rooms(self) -> dict[str, CallRoom]:
        """The open call rooms by name."""

    @property
    def participants(self) -> list[Participant]:
        """Everyone connected to the call port."""

    def reports(self) -> list[RoomReport]:
        """The counters of all call rooms."""

    async def database_trouble(self) -> str | None:
        """Why the database does not work, as a sentence for people; None if it works or there is none."""

    async def reload(self) -> list[str]:
        """Reload client keys, configured call rooms, games and the certificate; returns the problems."""
