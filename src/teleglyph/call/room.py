"""A call room: its participants in order of joining, and what their viewers share."""

from __future__ import annotations

import asyncio
from typing import Protocol

from teleglyph.call.demand import UNSEEN, demands_of
from teleglyph.call.picture import Pictures
from teleglyph.call.scene import Scene, Tile
from teleglyph.call.sender import Sender
from teleglyph.call.shared_pool import SharedPool
from teleglyph.call.shared_screen import SharedScreen, SharedScreenKey
from teleglyph.call.shared_text import SharedText, SharedTextKey
from teleglyph.call.sound import RoomSound, SoundSettings
from teleglyph.call.statistics import ParticipantReport, RoomCounters, RoomReport
from teleglyph.call.viewer import Viewer
from teleglyph.room_name import LOBBY
from teleglyph.wire.acip import ServerState, encode

_RATE_SECONDS = 1.0
"""Seconds over which the rate of pictures is measured."""


class Member(Protocol):
    """A participant, as its room needs it.

    Attributes:
        number: unique in the server.
        sender: its pictures.
        viewer: receives its frames.
    """

    number: int
    sender: Sender
    viewer: Viewer

    def tile(self) -> Tile:
        """Its part of the scene."""

    def report(self) -> ParticipantReport:
        """Its counters."""


class Rooms(Protocol):
    """The call rooms of a server, as participants need them."""

    def enter(self, name: str) -> CallRoom:
        """Open a room unless it is open, and count a participant more; each call needs one of :meth:`leave`.

        Args:
            name: as the peer wrote it; empty for the lobby.

        Raises:
            CallRoomError: there is no such room, or there are too many.
            ServerFullError: there is no place for another participant in any room.
        """

    async def leave(self, room: CallRoom) -> None:
        """Count a participant less, and close the room after the last one."""


class CallRoom:
    """The participants of one call and what they share; :class:`teleglyph.call.pacer.Pacer` draws it.

    Everything runs on the event loop, so there are no locks.

    Attributes:
        revision: grows with every change of a picture.
        scene_revision: grows with every change of a name or a mark as well.
        changed: set when a viewer may lack a frame; the pacer clears it.
        viewers: of everybody here, in order of joining.
        texts, screens: what viewers share.
        picture_rate: changes of the pictures per second.
    """

    def __init__(self, name: str, sound: SoundSettings | None = None) -> None:
        self.name = name
        self.sound = RoomSound(sound)
        self.counters = RoomCounters()
        self.revision = self.scene_revision = 0
        self.changed = asyncio.Event()
        self.viewers: tuple[Viewer, ...] = ()
        self.texts = SharedPool[SharedTextKey, SharedText](SharedText)
        self.screens = SharedPool[SharedScreenKey, SharedScreen](SharedScreen)
        self.picture_rate = 0.0
        self._members: dict[int, Member] = {}
        self._marks: tuple[object, ...] = ()
        self._people: tuple[object, ...] = ()
        self._people_revision = 0
        """Grows whenever something in the roster changes, apart from the places on screens."""
        self._rate_since = (0.0, 0)

    def __len__(self) -> int:
        return len(self._members)

    @property
    def suffix(self) -> str:
        """The name for log lines, to follow a verb; empty for the lobby."""
        return "" if self.name == LOBBY else f" room {self.name}"

    # --- membership -----------------------------------------------------------------------------------

    def add(self, member: Member) -> None:
        """Let a participant in and tell everybody."""
        self._members[member.number] = member
        self._membership_changed()

    def remove(self, member: Member) -> None:
        """Remove a participant with its picture and tell everybody."""
        self._members.pop(member.number, None)
        self._membership_changed()

    def _membership_changed(self) -> None:
        self.viewers = tuple(member.viewer for member in self._members.values())
        self.video_changed()

    def video_changed(self) -> None:
        """Tell everybody that a participant's video went on or off."""
        packet = encode(ServerState(len(self._members), len(self.senders)))
        for viewer in self.viewers:
            viewer.send_packet(packet)
        self._send_view_states()
        self.picture_changed()

    def _send_view_states(self) -> None:
        scene = self.scene()
        for viewer in self.viewers:
            viewer.send_view_state(scene)

    # --- what there is to see -------------------------------------------------------------------------

    @property
    def senders(self) -> list[Sender]:
        """Those whose picture can be seen, in order of joining."""
        return [member.sender for member in self._members.values() if member.sender.has_picture]

    @property
    def expected_until(self) -> float:
        """While nobody sends a picture: until when somebody's first one is expected, in monotonic seconds."""
        until = 0.0
        for member in self._members.values():
            if member.sender.has_picture:
                return 0.0
            until = max(until, member.sender.expected_until)
        return until

    def pictures(self) -> Pictures:
        """The pictures at this moment."""
        return Pictures.of(
            (number, member.sender.picture) for number, member in self._members.items() if member.sender.has_picture
        )

    def scene(self) -> Scene:
        """The scene at this moment."""
        return tuple(member.tile() for member in self._members.values())

    def refresh(self, now: float) -> None:
        """Look who began or ceased to speak or to send, send rosters, and request the pictures that are seen.

        To be called a few times per second, with monotonic seconds.
        """
        since, revision = self._rate_since
        if now - since >= _RATE_SECONDS:
            self.picture_rate = (self.revision - revision) / (now - since)
            self._rate_since = now, self.revision
        scene = self.scene()
        marks = tuple((tile.name, tile.speaking, tile.frozen) for tile in scene)
        if marks != self._marks:
            self._marks = marks
            self.scene_changed()
            self._send_view_states()
        people = tuple(tile._replace(pixels=None, version=tile.pixels is not None, aspect=0.0) for tile in scene)
        if people != self._people:
            self._people = people
            self._people_revision += 1
        for viewer in self.viewers:
            viewer.send_roster(scene, self._people_revision, now)
        demands = demands_of(self.viewers)
        for number, member in self._members.items():
            member.sender.request_picture(demands.get(number, UNSEEN))

    # --- changes --------------------------------------------------------------------------------------

    def picture_changed(self) -> None:
        """Have everything drawn again that shows a picture."""
        self.revision += 1
        self.scene_changed()

    def scene_changed(self) -> None:
        """Have everything drawn again that shows a name or a mark."""
        self.scene_revision += 1
        self.changed.set()

    def wake(self) -> None:
        """Wake the pacer: a viewer is new, or its connection takes frames again."""
        self.changed.set()

    # --- reporting ------------------------------------------------------------------------------------

    def report(self) -> RoomReport:
        """Counters of the room and of everybody in it."""
        counters = self.counters
        rendered = counters.frames_rendered
        return RoomReport(
            self.name,
            [member.report() for member in self._members.values()],
            {
                "views": len(self.texts) + len(self.screens),
                "ticks": counters.ticks,
                "late_ticks": counters.late_ticks,
                "frames_rendered": rendered,
                "frames_shared": counters.frames_shared,
                "frames_degraded": counters.frames_degraded,
                "sound_ticks": self.sound.ticks,
                "sound_skipped_ticks": self.sound.skipped_ticks,
                "sound_us": 1e6 * self.sound.mix_seconds / self.sound.ticks if self.sound.ticks else 0.0,
                "render_us": 1e6 * counters.render_seconds / rendered if rendered else 0.0,
            },
        )
