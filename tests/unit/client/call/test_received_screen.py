"""The screen that deltas describe."""

import pytest

from teleglyph.client.call.received_screen import ReceivedScreen
from teleglyph.errors import BadDataError
from teleglyph.media.grid import Encoding, Grid, Label, encode_updates, glyphs_of
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN
from teleglyph.media.style import Style
from teleglyph.wire.acip import ScreenUpdate

STYLE = Style.create(ColorLevel.NONE, RenderMode.FOREGROUND, BUILT_IN["standard"], True)


def update(*lines: str, number: int = 1, base: int = 0) -> ScreenUpdate:
    grid = Grid(len(lines[0]), len(lines))
    grid.put([Label(0, y, 0, 0, glyphs_of(line, grid.columns)) for y, line in enumerate(lines)])
    (encoded,) = encode_updates([Encoding(grid, Grid(grid.columns, grid.rows), STYLE, whole=base == 0)])
    return ScreenUpdate(number, base, grid.columns, grid.rows, encoded.body)


def test_a_screen_becomes_a_frame_no_larger_than_requested() -> None:
    screen = ReceivedScreen()
    assert screen.frame(4, 2) is None
    assert screen.apply(update("abcd", "efgh"))
    frame = screen.frame(4, 2)
    assert frame is not None
    assert (bytes(frame), frame.rows, frame.narrowest) == (b"abcd\nefgh", 2, 4)
    assert screen.frame(3, 1) == b"abc"
    assert screen.frame(90, 9) == b"abcd\nefgh"


def test_a_server_that_names_control_characters_gets_question_marks_on_the_screen() -> None:
    screen = ReceivedScreen()
    # ESC, CSI of C1 and BEL, each shifted past its colours and in seven bits a byte; all three places; indices.
    hostile = bytes([3, *b"\xb0\x03", *b"\xb0\x13", *b"\x70", 0b111, 0, 0, 0, 1, 2])
    assert screen.apply(ScreenUpdate(1, 0, 3, 1, hostile))
    assert screen.frame(3, 1) == b"???"


def test_a_malformed_update_does_not_change_the_screen() -> None:
    screen = ReceivedScreen()
    assert screen.apply(update("abcd", "efgh"))
    with pytest.raises(BadDataError):
        screen.apply(ScreenUpdate(2, 1, 4, 2, update("xxxx", "yyyy").body[:-1]))
    assert screen.frame(4, 2) == b"abcd\nefgh"
