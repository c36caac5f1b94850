"""Everything that a tick draws, in one go, fit for another thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from teleglyph.media.canvas import Canvas, Draw, render_batch
from teleglyph.media.grid import Composition, Encoding, Update, compose, encode_updates
from teleglyph.media.style import Style
from teleglyph.wire.acip import compress


class DrawnUpdate(NamedTuple):
    """An update, and its body compressed if that was asked for and made it smaller."""

    update: Update
    packed: bytes | None


class Drawing(NamedTuple):
    """The work of a tick.

    Attributes:
        texts: frames as text, and what makes packets of them.
        compositions: screens to be composed.
        encodings: updates of these screens, and whether one of their viewers might want them compressed.
    """

    texts: Sequence[tuple[tuple[Canvas, Sequence[Draw], Style], Callable[[bytes], bytes | None]]]
    compositions: Sequence[Composition]
    encodings: Sequence[tuple[Encoding, bool]]

    def halves(self) -> list[Drawing]:
        """The same work in two parts, what belongs to one screen together: the first half and the second of all texts,
        compositions and encodings in their order, so that the results need only be put behind each other.

        Encodings have to stand in the order of their screens.
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

    def draw(self) -> tuple[list[bytes | None], list[DrawnUpdate]]:
        """Do it."""
        packets: list[bytes | None] = []
        if self.texts:
            texts = render_batch([job for job, _ in self.texts])
            packets = [pack(text) for (_, pack), text in zip(self.texts, texts, strict=True)]
        if self.compositions:
            compose(self.compositions)
        if not self.encodings:
            return packets, []
        updates = encode_updates([encoding for encoding, _ in self.encodings])
        return packets, [
            DrawnUpdate(update, _packed(update.body) if may_compress else None)
            for update, (_, may_compress) in zip(updates, self.encodings, strict=True)
        ]


_MIN_COMPRESSED = 300
"""Bytes below which compression saves nothing worth the while."""


def _packed(body: bytes) -> bytes | None:
    if len(body) < _MIN_COMPRESSED:
        return None
    packed = compress(body)
    return packed if len(packed) < len(body) else None
