"""A tick's work in two halves."""

import numpy as np

from teleglyph.call.drawing import Drawing
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.grid import Composition, Encoding, Grid
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import STANDARD
from teleglyph.media.style import Style
from teleglyph.wire.acip import Compression

STYLE = Style.create(ColorLevel.TRUECOLOR, RenderMode.HALF_BLOCK, STANDARD, True)


def work(screens: int, texts: int) -> Drawing:
    """Screens of their own sizes, each with two updates, the second from what is shown after the first."""
    generator = np.random.default_rng(5)
    compositions, encodings, frames = [], [], []
    for columns in range(3, 3 + screens):
        wanted, canvas = Grid(columns, 2), Canvas.of(columns, 2, STYLE)
        picture = generator.integers(0, 256, (8, 9, 3), np.uint8)
        compositions.append(Composition(wanted, canvas, [Draw(picture, 0, 0, columns, 2)], STYLE))
        encodings += [
            (Encoding(wanted, Grid(columns, 2), STYLE, tolerance), tuple(Compression)) for tolerance in (0, 800)
        ]
    for columns in range(3, 3 + texts):
        job: tuple[Canvas, list[Draw], Style] = Canvas.of(columns, 1, STYLE), [], STYLE
        frames.append((job, lambda text: text + b"!"))
    return Drawing(frames, compositions, encodings)


def test_two_halves_draw_the_same_as_one_whole() -> None:
    for screens in range(6):
        for texts in range(4):
            whole = work(screens, texts).draw()
            first, second = (half.draw() for half in work(screens, texts).halves())
            assert (first[0] + second[0], first[1] + second[1]) == whole


def test_the_work_of_one_screen_stays_together() -> None:
    for half in work(5, 0).halves():
        composed = [id(item.grid) for item in half.compositions]
        assert {id(encoding.wanted) for encoding, _ in half.encodings} == set(composed)
