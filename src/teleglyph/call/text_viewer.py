"""A viewer that gets whole frames as text, as ascii-chat's programs do."""

from __future__ import annotations

from teleglyph.call.batch import Batch
from teleglyph.call.limits import CallLimits
from teleglyph.call.moment import Moment
from teleglyph.call.room import CallRoom
from teleglyph.call.scene import Scene
from teleglyph.call.sender import FIRST_PICTURE_SECONDS
from teleglyph.call.shared_text import SharedText, SharedTextKey
from teleglyph.call.text_link import TextLink
from teleglyph.call.viewer import Viewer
from teleglyph.call.viewer_style import limit_cells, requested_style
from teleglyph.media.style import Style
from teleglyph.net import Connection
from teleglyph.wire.acip import Capabilities, ClearConsole, encode

_CLEAR = encode(ClearConsole())


class TextViewer(Viewer):
    """Sends the frames of a :class:`SharedText`.

    Args:
        connection: frames go into its outbox.
        room: the room that is seen.
    """

    shared: SharedText | None

    def __init__(self, connection: Connection, room: CallRoom, limits: CallLimits) -> None:
        super().__init__(connection)
        self.shared = None
        self._room = room
        self._limits = limits
        self._link = TextLink()
        self._frame_number = self._layout = 0

    def configure(self, capabilities: Capabilities) -> Style:
        """See :class:`Viewer`."""
        self.rate = capabilities.desired_fps
        style = requested_style(capabilities)
        size = limit_cells(capabilities.width, capabilities.height, self._limits.max_view_cells)
        key = SharedTextKey(*size, capabilities.wants_padding, style)
        if self.shared is None or self.shared.key != key:
            self._release_text()
            self.shared = self._room.texts.acquire(key)
            self._frame_number = self._layout = 0
            self._room.wake()
        return style

    def lacks_frame(self, moment: Moment) -> bool:
        """See :class:`Viewer`."""
        if moment.expected_until > moment.now and (waits_until := self._waits_until) > moment.now:
            # Only the placeholder could be sent.  ascii-chat's client uses its first frame as the snapshot, so that
            # should be a picture.  Viewers that have seen a picture must not keep it after its end.
            moment.wake_at(waits_until)
            return False
        text = self.shared
        return text is not None and (
            text.revision != moment.revision or text.frame is None or text.frame.number != self._frame_number
        )

    @property
    def _waits_until(self) -> float:
        """Until when this viewer has seen nothing and may wait for a first picture, in monotonic seconds.

        The end is fixed, so that others who announce pictures one after another cannot keep it waiting.
        """
        if self.counters.frames_delivered or self._entered_at is None:
            return 0.0
        return self._entered_at + FIRST_PICTURE_SECONDS

    def can_receive(self, moment: Moment) -> bool:
        """See :class:`Viewer`."""
        return self._connection.blocked_since is None

    def contribute(self, batch: Batch) -> None:
        """See :class:`Viewer`."""
        text = self.shared
        if text is None or text.revision == batch.moment.revision or not batch.add_text(text):
            return
        if not text.compresses and self._link.wants_compression(text.text_bytes, batch.moment.now):
            text.request_compression()

    def deliver(self, batch: Batch) -> None:
        """See :class:`Viewer`."""
        if self.shared is None or (frame := self.shared.frame) is None:
            return
        clear = _CLEAR if frame.layout != self._layout else None
        self._connection.outbox.queue_frame(frame.packet, clear)
        self._link.record_sent(len(frame.packet))
        self._frame_number, self._layout = frame.number, frame.layout
        self.counters.frames_delivered += 1
        batch.count_delivery(frame.packet)

    def send_view_state(self, scene: Scene) -> None:
        """Do nothing: programs of ascii-chat do not know the message."""

    def send_roster(self, scene: Scene, revision: int, now: float) -> None:
        """Do nothing: a roster goes with a screen."""

    def record_writable(self, now: float) -> None:
        """See :class:`Viewer`."""
        self._link.record_block(self._connection.last_blocked, now)

    def close(self) -> None:
        """See :class:`Viewer`."""
        self._release_text()

    def _release_text(self) -> None:
        if self.shared is not None:
            self._room.texts.release(self.shared.key)
            self.shared = None
