"""Everything that one tick draws: viewers contribute to it, equal work is done once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from teleglyph.call.drawing import Drawing, Drawn
from teleglyph.call.moment import Moment
from teleglyph.call.picture import Pictures
from teleglyph.call.scene import Scene
from teleglyph.call.shared_screen import SharedScreen
from teleglyph.call.shared_text import SharedText
from teleglyph.call.shared_update import SharedUpdate, UpdateKey
from teleglyph.call.statistics import RoomCounters
from teleglyph.media.grid import Composition, Encoding
from teleglyph.wire.acip import Compression


class Batch:
    """The work of one tick.

    Args:
        moment: the room's state.
        read_pictures: gives the pictures of all senders; called only if text is drawn.
        read_scene: gives the scene; called only if a screen is composed.
        counters: the room's.

    Attributes:
        drawn_at: when the drawing ended, in monotonic seconds.
    """

    def __init__(
        self,
        moment: Moment,
        read_pictures: Callable[[], Pictures],
        read_scene: Callable[[], Scene],
        counters: RoomCounters,
    ) -> None:
        self.moment = moment
        self.drawn_at = moment.now
        self._read_pictures = read_pictures
        self._read_scene = read_scene
        self._counters = counters
        self._pictures: Pictures | None = None
        self._scene: Scene | None = None
        self._texts: dict[SharedText, None] = {}
        self._compositions: list[Composition] = []
        self._updates: dict[UpdateKey, SharedUpdate] = {}
        self._planned_updates: list[SharedUpdate] = []
        self._delivered: set[int] = set()

    # --- for viewers ----------------------------------------------------------------------------------

    def add_text(self, text: SharedText) -> bool:
        """Have a text drawn that is out of date, once however many viewers add it.

        Returns:
            False if nobody sends a picture: the text has a placeholder already.
        """
        if text in self._texts:
            return True
        if self._pictures is None:
            self._pictures = self._read_pictures()
        if not self._pictures.pixels:
            text.set_placeholder(self.moment.revision)
            return False
        text.start_frame()
        self._texts[text] = None
        return True

    def add_screen(self, screen: SharedScreen) -> None:
        """Have a screen composed if it is out of date, once however many viewers add it."""
        moment = self.moment
        if screen.revision == moment.scene_revision:
            return
        if self._scene is None:
            self._scene = self._read_scene()
        self._compositions.append(screen.plan(self._scene, moment.scene_revision, moment.now))

    def join_update(self, key: UpdateKey) -> SharedUpdate:
        """The delta for all viewers with this key, with one viewer more."""
        update = self._updates.get(key)
        if update is None:
            update = self._updates[key] = SharedUpdate(key)
        update.add_viewer()
        return update

    def count_delivery(self, packet: bytes) -> None:
        """Count a packet that is sent to one viewer more."""
        # All packets live as long as the batch, so their identities are unique.
        self._counters.frames_shared += id(packet) in self._delivered
        self._delivered.add(id(packet))

    # --- for the pacer --------------------------------------------------------------------------------

    def plan(self) -> Drawing:
        """The native work, once all viewers have contributed."""
        # Drawing.halves needs all updates of a screen next to each other.
        self._planned_updates = sorted(self._updates.values(), key=lambda update: update.key.screen.number)
        encodings = [(update.plan(), update.compressions) for update in self._planned_updates]
        return self._drawing(self._compositions, encodings)

    def finish(self, drawn: Drawn, now: float) -> Drawing:
        """Store the results of the last drawing.

        Returns:
            the work that remains, because frames did not fit into a packet and need a cheaper style.
        """
        self.drawn_at = now
        self._counters.frames_rendered += len(self._texts) + len(self._compositions)
        self._compositions = []
        revision = self.moment.revision
        self._texts = {
            text: None
            for text, packet in zip(self._texts, drawn.packets, strict=True)
            if not text.accept(packet, revision)
        }
        self._counters.frames_degraded += len(self._texts)
        for update, result in zip(self._planned_updates, drawn.updates, strict=True):
            update.finish(result)
        self._planned_updates = []
        return self._drawing([], [])

    def _drawing(
        self, compositions: Sequence[Composition], encodings: Sequence[tuple[Encoding, Sequence[Compression]]]
    ) -> Drawing:
        pictures = self._pictures or Pictures.of(())
        return Drawing([(text.plan(pictures), text.pack) for text in self._texts], compositions, encodings)
