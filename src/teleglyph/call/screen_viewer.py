"""A viewer of our own kind, which gets deltas at the rate and quality that its connection carries."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from teleglyph.call.batch import Batch
from teleglyph.call.limits import CallLimits
from teleglyph.call.link import LinkMeter
from teleglyph.call.moment import Moment
from teleglyph.call.quality import QualityControl
from teleglyph.call.room import CallRoom
from teleglyph.call.roster import RosterFeed
from teleglyph.call.scene import Scene
from teleglyph.call.shared_screen import SharedScreen, SharedScreenKey
from teleglyph.call.shared_update import SentScreen, SharedUpdate, UpdateKey
from teleglyph.call.spotlight import Spotlight
from teleglyph.call.viewer import Viewer
from teleglyph.call.viewer_style import cheaper_style, limit_cells, requested_style
from teleglyph.media.style import Style
from teleglyph.net import Connection
from teleglyph.wire.acip import (
    AS_CAPABILITIES,
    Capabilities,
    Compression,
    Feature,
    ScreenAck,
    UpdateLevel,
    ViewFlag,
    ViewSettings,
)

STILL_SECONDS = 0.2
"""A picture that has not changed for this long is sent exactly."""
_ALARM_SLACK = 0.001
_MAX_REFINING_LEVEL = 2
"""Up to this quality level still parts become exact while others move; worse links have no room for that."""
_REFINE_SECONDS = 0.1
"""How long a refinement may keep a link busy."""
_BYTES_PER_CHARACTER = 8
_TYPICAL_BYTES = 2000
_MIN_SAMPLE_SPACING = 0.75
"""Shortest time between two samples of the quality control, as a part of the period."""


@dataclass(slots=True)
class ScreenCounters:
    """Deltas of one viewer."""

    updates: int = 0
    whole_updates: int = 0
    update_bytes: int = 0
    held: int = 0
    """Times a delta was not sent because the link was still busy."""
    lost: int = 0
    """Times the viewer requested a full frame."""


class ScreenViewer(Viewer):
    """Sends the changes of a :class:`SharedScreen`.

    Args:
        number: the participant's, for its own picture.
        connection: deltas go into its outbox.
        room: the room that is seen.
        features: that the peer supports.
    """

    shared: SharedScreen | None

    def __init__(
        self, number: int, connection: Connection, room: CallRoom, limits: CallLimits, features: Feature
    ) -> None:
        super().__init__(connection)
        self.shared = None
        self._room = room
        self._limits = limits
        self._screen_counters = ScreenCounters()
        self._meter = LinkMeter()
        self._quality = QualityControl()
        self._settings = ViewSettings()
        self._spotlight = Spotlight(number)
        self._compression = Compression.DEFLATE if Feature.DEFLATE in features else Compression.ZSTD
        self._roster = RosterFeed(number) if Feature.ROSTER in features else None
        self._capabilities: Capabilities | None = None
        self._sent: SentScreen | None = None
        """The screen that the peer sees; None if that is unknown."""
        self._composition = 0
        """Number of the shared screen's composition that the peer sees."""
        self._inexact = 0
        """Characters that differ from it, less than can be seen."""
        self._refined_row = 0
        self._sampled_at = 0.0
        self._update: SharedUpdate | None = None
        """The delta of the tick that is being drawn."""

    # --- settings -------------------------------------------------------------------------------------

    def configure(self, capabilities: Capabilities) -> Style:
        """See :class:`Viewer`."""
        self._capabilities = capabilities
        self._set_rate(capabilities)
        return self._select_screen(capabilities)

    def apply_settings(self, settings: ViewSettings) -> None:
        """Apply the peer's choices beyond its capabilities, and confirm them."""
        before, self._settings = self._settings, settings
        self._meter.limit = settings.max_bitrate / 8
        scene = self._room.scene()
        if settings.spotlight != before.spotlight:
            self._spotlight.choose(settings, scene)
        if self._capabilities is not None and settings != before:
            self._select_screen(self._capabilities)
        is_refused = self._spotlight.state(settings, scene).place != settings.spotlight
        if ViewFlag.SEND_STATE not in before.flags or is_refused:
            self._spotlight.forget_report()  # a refusal is reported even if nothing has changed
        self.send_view_state(scene)

    def send_view_state(self, scene: Scene) -> None:
        """See :class:`Viewer`."""
        if self._entered_at is None or ViewFlag.SEND_STATE not in self._settings.flags:
            return
        state = self._spotlight.state(self._settings, scene)
        if self._spotlight.report(state):
            # Both sides continue from what is shown: places move up when somebody in front of them leaves.
            self._settings = replace(self._settings, spotlight=state.place)
            self._connection.send(state)

    def send_roster(self, scene: Scene, revision: int, now: float) -> None:
        """See :class:`Viewer`."""
        screen = self.shared
        # A peer that does not read gets the newest roster later.
        if (
            self._roster is None
            or screen is None
            or self._entered_at is None
            or self._connection.blocked_since is not None
        ):
            return
        if (roster := self._roster.next(scene, screen, revision, now)) is not None:
            self._connection.send(roster)

    def _set_rate(self, capabilities: Capabilities) -> None:
        rate = capabilities.desired_fps
        if (share := self._quality.step.share) < 1:
            # A share of what there is to see, which may be less often than the peer's rate.
            rate = max(1, round(min(rate, self._room.picture_rate or rate) * share))
        self.rate = rate

    def _select_screen(self, capabilities: Capabilities) -> Style:
        """Share the screen that capabilities, settings and quality call for."""
        settings = self._settings
        style = requested_style(
            capabilities,
            None if settings.render_mode == AS_CAPABILITIES else settings.render_mode,
            dithered=ViewFlag.DITHERED in settings.flags,
        )
        if self._quality.step.cheaper:
            style = cheaper_style(style)
        size = limit_cells(capabilities.width, capabilities.height, self._limits.max_screen_cells)
        preferences = self._spotlight.preferences(settings)
        key = SharedScreenKey(*size, capabilities.wants_padding, style, preferences)
        if self.shared is None or self.shared.key != key:
            self._release_screen()
            self.shared = self._room.screens.acquire(key)
            self._room.wake()
        return style

    # --- the link -------------------------------------------------------------------------------------

    def acknowledge(self, message: ScreenAck) -> None:
        """Record what the peer shows."""
        if message.wants_whole:
            self._screen_counters.lost += 1
            self._replace_sent(None)
        if self._meter.record_ack(message.number, time.monotonic()) or message.wants_whole:
            self._room.wake()

    def record_writable(self, now: float) -> None:
        """Do nothing: acknowledgements say more."""

    def _sample_quality(self, held: bool, now: float) -> None:
        """Tell the quality control that a frame was due, at most once a period, and follow its decision."""
        if now - self._sampled_at < _MIN_SAMPLE_SPACING / self.rate:
            return
        self._sampled_at = now
        self._screen_counters.held += held
        if self._quality.sample(held, now) and self._capabilities is not None:
            self.configure(self._capabilities)

    # --- ticks ----------------------------------------------------------------------------------------

    def lacks_frame(self, moment: Moment) -> bool:
        """See :class:`Viewer`."""
        screen = self.shared
        if screen is None:
            return False
        if self._inexact and (still_at := screen.composed_at + STILL_SECONDS) > moment.now:
            moment.wake_at(still_at + _ALARM_SLACK)
        if screen.revision != moment.scene_revision or self._composition != screen.number:
            return True
        return self._inexact > 0 and moment.now - screen.composed_at >= STILL_SECONDS

    def can_receive(self, moment: Moment) -> bool:
        """See :class:`Viewer`."""
        connection, now = self._connection, moment.now
        is_open = connection.blocked_since is None and not connection.outbox.has_video and self._meter.is_open(now)
        if moment.is_due(self.rate):
            self._sample_quality(not is_open, now)
        if not is_open and (opens_at := self._meter.opens_at()) > now:
            moment.wake_at(opens_at)
        return is_open

    def contribute(self, batch: Batch) -> None:
        """See :class:`Viewer`."""
        screen = self.shared
        if screen is None:
            return
        batch.add_screen(screen)
        refined_rows, is_still = self._refinement(screen, batch.moment.now)
        key = UpdateKey(screen, self._sent, self._quality.step.tolerance, refined_rows, is_still)
        update = self._update = batch.join_update(key)
        if self._meter.wants_compression(_TYPICAL_BYTES):
            update.allow_compression(self._compression)

    def deliver(self, batch: Batch) -> None:
        """See :class:`Viewer`."""
        update, self._update = self._update, None
        if update is None or self.shared is not update.key.screen or self._sent is not update.key.sent:
            return
        self._composition, self._inexact = self.shared.number, update.inexact
        if update.is_empty:
            return
        if update.sent is not self._sent:
            self._replace_sent(update.sent)
        wants_compression = self._meter.wants_compression(update.body_bytes)
        packet = update.packet(self._level, self.rate, self._compression if wants_compression else Compression.NONE)
        self._connection.outbox.queue_frame(packet)
        self._meter.record_sent(update.number, len(packet), batch.drawn_at)
        batch.count_delivery(packet)
        counters = self._screen_counters
        counters.updates += 1
        counters.whole_updates += update.is_whole
        counters.update_bytes += len(packet)
        self.counters.frames_delivered += 1

    @property
    def _level(self) -> int:
        """The state of the rate control, as deltas report it."""
        tolerance = min(self._quality.level, int(UpdateLevel.TOLERANCE))
        return tolerance | (UpdateLevel.CHEAPER if self._quality.step.cheaper else 0)

    def _refinement(self, screen: SharedScreen, now: float) -> tuple[tuple[int, int], bool]:
        """The rows in which the next delta makes still parts exact, and whether the whole picture is still.

        While the picture moves these are a few rows in turn.  When it is still, these are all rows, or as many as the
        link carries in a moment, so that it is free again when something happens.
        """
        if now - screen.composed_at < STILL_SECONDS:
            return screen.refined_rows if self._quality.level <= _MAX_REFINING_LEVEL else (0, 0), False
        rate, key = self._meter.rate, screen.key
        affordable = int(rate * _REFINE_SECONDS) // (_BYTES_PER_CHARACTER * key.columns)
        if not rate or affordable >= key.rows:
            return (0, key.rows), True
        begin = self._refined_row if self._refined_row < key.rows else 0
        self._refined_row = begin + max(1, affordable)
        return (begin, self._refined_row), True

    def _replace_sent(self, sent: SentScreen | None) -> None:
        """Record what the peer sees; None if that is unknown, so that it gets a full frame."""
        if self._sent is not None:
            self._sent.holders -= 1
        self._sent = sent
        if sent is None:
            self._composition = 0
        else:
            sent.holders += 1

    # --- the end --------------------------------------------------------------------------------------

    def close(self) -> None:
        """See :class:`Viewer`."""
        self._entered_at = None
        self._release_screen()

    def _release_screen(self) -> None:
        if self.shared is not None:
            self._room.screens.release(self.shared.key)
            self.shared = None
        self._replace_sent(None)

    def report(self) -> dict[str, int | float]:
        """See :class:`Viewer`."""
        counters = self._screen_counters
        return {
            **super().report(),
            "updates": counters.updates,
            "updates_whole": counters.whole_updates,
            "update_bytes": counters.update_bytes,
            "updates_held": counters.held,
            "updates_lost": counters.lost,
            "quality_level": self._quality.level,
            "quality_changes": self._quality.changes,
            "link_bytes_per_second": round(self._meter.rate),
            "link_delay_ms": round(1000 * self._meter.delay, 1),
        }
