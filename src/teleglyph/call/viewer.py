"""The interface of viewers: what they need drawn, whether they can take a frame now, and how they get it.

The implementations are :class:`~teleglyph.call.text_viewer.TextViewer` and
:class:`~teleglyph.call.screen_viewer.ScreenViewer`.
"""

from __future__ import annotations

import abc

from teleglyph.call.batch import Batch
from teleglyph.call.moment import Moment
from teleglyph.call.scene import Scene
from teleglyph.call.shared_pool import Shared
from teleglyph.call.statistics import ViewerCounters
from teleglyph.media.style import Style
from teleglyph.net import Connection
from teleglyph.wire.acip import Capabilities

_DEFAULT_RATE = 60


class Viewer(abc.ABC):
    """Receives the frames of a room for one participant.

    In each tick the pacer asks :meth:`lacks_frame` and :meth:`can_receive`, lets the viewers that are due
    :meth:`contribute` to one batch, draws it, and lets them :meth:`deliver`.

    Args:
        connection: frames go into its outbox.

    Attributes:
        rate: frames per second at most.
        shared: the frames or the screen that it sees, shared with equal viewers; None before :meth:`configure`.
    """

    shared: Shared | None

    def __init__(self, connection: Connection) -> None:
        self.rate = _DEFAULT_RATE
        self.counters = ViewerCounters()
        self._connection = connection
        self._entered_at: float | None = None

    def enter(self, now: float) -> None:
        """Record when the participant joined the room, in monotonic seconds."""
        self._entered_at = now

    def send_packet(self, packet: bytes) -> None:
        """Send a packet that must arrive."""
        self._connection.outbox.queue_control(packet)

    def count_skipped(self) -> None:
        """Count a tick if the connection is still busy with an earlier frame."""
        self.counters.frames_skipped += self._connection.blocked_since is not None

    @abc.abstractmethod
    def configure(self, capabilities: Capabilities) -> Style:
        """Draw for a terminal with these capabilities from now on, in the returned style."""

    @abc.abstractmethod
    def lacks_frame(self, moment: Moment) -> bool:
        """Whether there is something that this viewer should see and does not; may set the alarm."""

    @abc.abstractmethod
    def can_receive(self, moment: Moment) -> bool:
        """Whether a frame that is drawn now can leave at once; asked only if a frame is lacking.

        May set the alarm, and adapts the quality to the answer.
        """

    @abc.abstractmethod
    def contribute(self, batch: Batch) -> None:
        """Add what this viewer lacks to the work of a tick."""

    @abc.abstractmethod
    def deliver(self, batch: Batch) -> None:
        """Send the frame that the batch has drawn; the viewer may have changed or left meanwhile."""

    @abc.abstractmethod
    def send_view_state(self, scene: Scene) -> None:
        """Tell the peer whom it sees, if it wants to know and that has changed."""

    @abc.abstractmethod
    def send_roster(self, scene: Scene, revision: int, now: float) -> None:
        """Send who is in the room and where their pictures are, if that has changed and the peer wants it.

        To be called a few times per second.

        Args:
            scene: the room's.
            revision: of the people in the scene; it grows whenever something about one changes.
            now: monotonic seconds.
        """

    @abc.abstractmethod
    def record_writable(self, now: float) -> None:
        """Learn from the connection, which was full and takes bytes again."""

    @abc.abstractmethod
    def close(self) -> None:
        """See nothing any more."""

    def report(self) -> dict[str, int | float]:
        """Counters and state as plain values."""
        video = self._connection.outbox.counters
        return {
            "frames_delivered": self.counters.frames_delivered,
            "frames_sent": video.video_frames,
            "frames_skipped": self.counters.frames_skipped,
            "frames_dropped": video.video_dropped,
        }
