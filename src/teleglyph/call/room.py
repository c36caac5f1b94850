"""A call room: its participants in order of joining, and the views they look at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from teleglyph.call.demand import UNSEEN, Demand, demands_of
from teleglyph.call.participant import Participant
from teleglyph.call.scene import scene_of
from teleglyph.call.screen_view import ScreenKey, ScreenView
from teleglyph.call.sound import RoomSound, SoundSettings
from teleglyph.call.statistics import RoomCounters, RoomReport
from teleglyph.call.view import View, ViewKey
from teleglyph.wire.acip import ServerState, encode


class Room:
    """Who is here and what they see; pacing is :class:`teleglyph.call.pacer.Pacer`'s.

    ``revision`` grows with everything that changes a picture on somebody's screen, ``scene_revision`` with every change
    of a name or a mark as well.  Everything runs on the event
    loop, so there are no locks.
    """

    def __init__(self, name: str, sound: SoundSettings | None = None) -> None:
        self.name = name
        self.sound = RoomSound(sound)
        self.counters = RoomCounters()
        self.revision = self.scene_revision = 0
        self.changed = asyncio.Event()
        """Set when there may be something new to show; the pacer clears it."""
        self.picture_rate = 0.0
        """Changes of the picture a second."""
        self._participants: dict[int, Participant] = {}
        self._views: dict[ViewKey | ScreenKey, View | ScreenView] = {}
        self._viewers: dict[View | ScreenView, set[Participant]] = {}
        self._marks: tuple[object, ...] = ()
        self._noticed = (0.0, 0)
        self._demands: dict[int, Demand] = {}

    @property
    def participants(self) -> list[Participant]:
        """In order of joining."""
        return list(self._participants.values())

    @property
    def sources(self) -> list[Participant]:
        """Those whose picture is part of the grid, in order of joining."""
        return [participant for participant in self._participants.values() if participant.sends_video]

    @property
    def expected_until(self) -> float:
        """While nobody sends a picture: until when somebody's first one is about to come, in monotonic seconds."""
        participants = self._participants.values()
        if any(participant.sends_video for participant in participants):
            return 0.0
        return max((participant.expected_until for participant in participants), default=0.0)

    def __len__(self) -> int:
        return len(self._participants)

    # --- membership -----------------------------------------------------------------------------------

    def add(self, participant: Participant) -> None:
        """Let a participant in and tell everybody."""
        self._participants[participant.number] = participant
        self._announce()
        self.picture_changed()

    def remove(self, participant: Participant) -> None:
        """Take a participant out, with its picture and its view, and tell everybody."""
        self._participants.pop(participant.number, None)
        self._unwatch(participant)
        self._announce()
        self.picture_changed()

    def video_changed(self, _participant: Participant) -> None:
        """A participant's video went on or off."""
        self._announce()
        self.picture_changed()

    def _announce(self) -> None:
        active = sum(1 for participant in self._participants.values() if participant.sends_video)
        packet = encode(ServerState(len(self._participants), active))
        for participant in self._participants.values():
            participant.connection.outbox.queue_control(packet)
        self._tell_views()

    def _tell_views(self) -> None:
        """Tell viewers who want to know it whom they see."""
        scene = scene_of(self._participants.values())
        for participant in self._participants.values():
            participant.tell_view(scene)

    # --- views ----------------------------------------------------------------------------------------

    def watch(self, participant: Participant, key: ViewKey | ScreenKey) -> None:
        """Give a participant the view of that key, made if nobody had it yet."""
        if participant.view is not None and participant.view.key == key:
            return
        self._unwatch(participant)
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = ScreenView(key) if isinstance(key, ScreenKey) else View(key)
            self._viewers[view] = set()
        self._viewers[view].add(participant)
        participant.view = view
        participant.shown_frame = participant.shown_layout = 0
        if participant.screen is not None:
            participant.screen.show(None)
        self.wake()

    def _unwatch(self, participant: Participant) -> None:
        view, participant.view = participant.view, None
        if view is None:
            return
        if participant.screen is not None:
            participant.screen.show(None)
        viewers = self._viewers[view]
        viewers.discard(participant)
        if not viewers:
            del self._viewers[view]
            del self._views[view.key]

    @property
    def views(self) -> Iterable[View | ScreenView]:
        """All views somebody looks at."""
        return self._views.values()

    def demand(self, participant: Participant) -> Demand:
        """What anybody here could see of a participant's pictures when that was looked at last."""
        return self._demands.get(participant.number, UNSEEN)

    def notice(self, now: float) -> None:
        """See who began or ceased to speak or to send, and what senders should send; to be called a few times a
        second."""
        then, revision = self._noticed
        if now - then >= 1.0:
            self.picture_rate = (self.revision - revision) / (now - then)
            self._noticed = now, self.revision
        marks = tuple((p.name, p.voice.is_speaking, p.is_frozen) for p in self._participants.values())
        if marks != self._marks:
            self._marks = marks
            self.scene_changed()
            self._tell_views()
        self._demands = demands_of(self._viewers)
        for participant in self._participants.values():
            participant.request_picture(self.demand(participant))

    # --- changes --------------------------------------------------------------------------------------

    def picture_changed(self) -> None:
        """Something on the screens is out of date."""
        self.revision += 1
        self.scene_changed()

    def scene_changed(self) -> None:
        """Something beside the pictures is out of date: a name, or a mark."""
        self.scene_revision += 1
        self.changed.set()

    def wake(self) -> None:
        """Have the pacer look again: a viewer is new, or its connection takes frames again."""
        self.changed.set()

    # --- reporting ------------------------------------------------------------------------------------

    def report(self) -> RoomReport:
        """Counters of the room and of everybody in it."""
        counters = self.counters
        rendered = counters.frames_rendered
        return RoomReport(
            self.name,
            [participant.report() for participant in self._participants.values()],
            {
                "views": len(self._views),
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
