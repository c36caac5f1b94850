"""The native work of a tick, fit for another thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from teleglyph.media.canvas import Canvas, Draw, render_batch
from teleglyph.media.grid import Composition, Encoding, Update, compose, encode_updates
from teleglyph.media.style import Style
from teleglyph.wire.acip import Compression


class DrawnUpdate(NamedTuple):
    """A delta, and its compressed bodies: those that a viewer may want, if they are smaller."""

    update: Update
    packed: Mapping[Compression, bytes]


class Drawn(NamedTuple):
    """The results of a drawing, in its order.

    Attributes:
        packets: of the texts; None for one that did not fit.
        updates: of the encodings.
    """

    packets: list[bytes | None]
    updates: list[DrawnUpdate]

    @classmethod
    def join(cls, parts: Iterable[Drawn]) -> Drawn:
        """The results of a drawing from those of its halves."""
        whole = cls([], [])
        for part in parts:
            whole.packets.extend(part.packets)
            whole.updates.extend(part.updates)
        return whole


class Drawing(NamedTuple):
    """The native work of a tick.

    Attributes:
        texts: frames to be rendered as text, and the function that makes a packet of each.
        compositions: screens to be composed.
        encodings: deltas of these screens, and the compressions that viewers may want.
    """

    texts: Sequence[tuple[tuple[Canvas, Sequence[Draw], Style], Callable[[bytes], bytes | None]]]
    compositions: Sequence[Composition]
    encodings: Sequence[tuple[Encoding, Sequence[Compression]]]

    @property
    def jobs(self) -> int:
        """How many frames, screens and deltas there are."""
        return len(self.texts) + len(self.compositions) + len(self.encodings)

    def halves(self) -> list[Drawing]:
        """The same work in two parts whose results can be joined; everything about one screen is in the same part.

        The encodings must be in the order of their screens.
        """
        screens = list(dict.fromkeys(id(encoding.wanted) for encoding, _ in self.encodings))
        first = set(screens[: len(screens) // 2])
        texts = len(self.texts) // 2
        compositions = [item for item in self.compositions if id(item.grid) in first]
        split = sum(id(encoding.wanted) in first for encoding, _ in self.encodings)
        return [
            Drawing(self.texts[:texts], compositions, self.encodings[:split]),
            Drawing(
                self.texts[texts:],
                [item for item in self.compositions if id(item.grid) not in first],
                self.encodings[split:],
            ),
        ]

    def draw(self) -> Drawn:
        """Do the work, each kind in one native call."""
        packets: list[bytes | None] = []
        if self.texts:
            texts = render_batch([job for job, _ in self.texts])
            packets = [pack(text) for (_, pack), text in zip(self.texts, texts, strict=True)]
        if self.compositions:
            compose(self.compositions)
        if not self.encodings:
            return Drawn(packets, [])
        updates = encode_updates([encoding for encoding, _ in self.encodings])
        return Drawn(
            packets,
            [
                DrawnUpdate(update, _compress_body(update.body, compressions))
                for update, (_, compressions) in zip(updates, self.encodings, strict=True)
            ],
        )


_MIN_COMPRESSED = 300
"""Bytes below which compression is not worth its time."""


def _compress_body(body: bytes, compressions: Sequence[Compression]) -> dict[Compression, bytes]:
    if len(body) < _MIN_COMPRESSED:
        return {}
    packed = ((compression, compression.compress(body)) for compression in compressions)
    return {compression: data for compression, data in packed if len(data) < len(body)}
