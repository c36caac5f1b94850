"""Everything that a tick draws, in one go, fit for another thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from teleglyph.media.canvas import Canvas, Draw, render_batch
from teleglyph.media.grid import Composition, Encoding, Update, compose, encode_updates
from teleglyph.media.style import Style
from teleglyph.wire import compress


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


_LEAST_COMPRESSED = 300
"""Bytes below which compression saves nothing worth the while."""


def _packed(body: bytes) -> bytes | None:
    if len(body) < _LEAST_COMPRESSED:
        return None
    packed = compress(body)
    return packed if len(packed) < len(body) else None
