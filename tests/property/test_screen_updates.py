"""After any sequence of frames, skips, resizes and joins, a terminal shows what its viewer should see."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyte
import pytest
import wcwidth
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_renderer import PALETTE_16, PALETTE_256
from teleglyph.errors import BadDataError
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.frame_text import check_frame, paint_frame
from teleglyph.media.grid import (
    Composition,
    Encoding,
    Grid,
    Label,
    Painter,
    apply_update,
    compose,
    direct_color,
    encode_updates,
    glyphs_of,
    indexed_color,
    on_terminal,
)
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, custom_palette
from teleglyph.media.style import Style

PALETTES = [BUILT_IN["standard"], BUILT_IN["blocks"], custom_palette("▒ é#")]
TEXTS = ["", "Anna", "世界 is wide", "é", "x" * 50, "日本語テキスト"]
XTERM = PALETTE_16 | PALETTE_256
FOREGROUND = -1
"""The terminal's own foreground, which does not look like its own background although both are 0 in a grid."""

styles = st.builds(
    Style.create,
    st.sampled_from(ColorLevel),
    st.sampled_from(RenderMode),
    st.sampled_from(PALETTES),
    st.booleans(),
    dithered=st.booleans(),
)
sizes = st.tuples(st.integers(1, 30), st.integers(1, 9))


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray:
    """Noise, slight noise on a plain colour, or steps: pictures of which all, no or some cells must be sent again."""
    height, width = draw(st.tuples(st.integers(1, 24), st.integers(1, 60)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["noise", "quiet", "steps"]))
    noise = generator.integers(0, 256, (height, width, 3), np.uint8)
    if kind == "quiet":
        return (128 + noise // 32).astype(np.uint8)
    return noise // 64 * 85 if kind == "steps" else noise


def look(character: tuple[int, int, int]) -> tuple[object, object, str]:
    """How a grid's character looks: halves are two colours, with whichever glyph and order."""
    foreground, background, glyph = character
    text = chr(glyph) if glyph else ""
    foreground = foreground or FOREGROUND
    if text == "▀":
        return foreground, background, "halves"
    if text == "▄":
        return background, foreground, "halves"
    if text == " ":
        return background, background, "halves"
    return foreground, background, text


def pyte_color(name: str) -> int:
    if name == "default":
        return 0
    names = ["black", "red", "green", "brown", "blue", "magenta", "cyan", "white"]
    if name.removeprefix("bright") in names:
        return indexed_color(names.index(name.removeprefix("bright")) + 8 * name.startswith("bright"))
    if name in ("bfightmagenta", "brightyellow"):  # pyte's names for two of them
        return indexed_color(13 if name == "bfightmagenta" else 11)
    return direct_color(*bytes.fromhex(name))


def resolved(color: int) -> int:
    """The colour that pyte shows for an entry of the palette above the first 16."""
    if color >> 24 == 0x01 and color & 0xFF >= 16:
        return direct_color(*XTERM[color & 0xFF])
    return color


class Terminal:
    """A terminal as the client uses it: without automatic margins, one row higher than the picture."""

    def __init__(self, columns: int, rows: int) -> None:
        self.screen = pyte.Screen(columns, rows + 1)
        self.stream = pyte.ByteStream(self.screen)
        self.stream.feed(b"\x1b[?7l")

    def feed(self, text: bytes) -> None:
        self.stream.feed(text)

    def looks(self, rows: int) -> list[tuple[object, object, str]]:
        looks = []
        for y in range(rows):
            for x in range(self.screen.columns):
                cell = self.screen.buffer[y][x]
                glyph = ord(cell.data) if cell.data else 0
                looks.append(look((pyte_color(cell.fg), pyte_color(cell.bg), glyph)))
        return looks


@dataclass
class Viewer:
    """One viewer: what the server thinks it sees, what it received, and what its terminal shows."""

    columns: int
    rows: int
    style: Style
    shown: Grid | None = None
    received: Grid | None = None
    painted: Grid = field(init=False)
    terminal: Terminal = field(init=False)
    painter: Painter = field(default_factory=Painter)

    def __post_init__(self) -> None:
        self.painted = Grid(self.columns, self.rows)
        self.terminal = Terminal(self.columns, self.rows)

    def send(self, wanted: Grid, previous: Grid | None, tolerance: int, settle: tuple[int, int]) -> int:
        """Update the viewer; return how many characters remain inexact."""
        whole = self.shown is None
        shown = self.shown or Grid(self.columns, self.rows)
        (update,) = encode_updates([Encoding(wanted, shown, self.style, tolerance, whole, previous, settle)])
        self.shown = shown
        self.received = self.received if self.received and not whole else Grid(self.columns, self.rows)
        apply_update(update.body, whole, self.received)
        self.terminal.feed(self.painter.changes(self.received, self.painted))
        return update.inexact


def assert_shows(viewer: Viewer, grid: Grid) -> None:
    """Assert that the terminal shows a grid of terminal colours."""
    expected = [
        look((resolved(foreground), resolved(background), glyph)) for foreground, background, glyph in grid.characters()
    ]
    shown = viewer.terminal.looks(viewer.rows)
    for place, (one, other) in enumerate(zip(shown, expected, strict=True)):
        assert one == other, place


@settings(max_examples=150, deadline=None)
@given(size=sizes, style=styles, data=st.data())
def test_a_terminal_shows_the_sent_frame_after_any_history(
    size: tuple[int, int], style: Style, data: st.DataObject
) -> None:
    columns, rows = size
    canvas = Canvas.of(columns, rows, style)
    viewers = [Viewer(columns, rows, style)]
    wanted, previous = Grid(columns, rows), Grid(columns, rows)
    for _ in range(data.draw(st.integers(1, 6))):
        wanted, previous = previous, wanted
        width, height = data.draw(st.integers(1, columns)), data.draw(st.integers(1, rows))
        x, y = data.draw(st.integers(0, columns - width)), data.draw(st.integers(0, rows - height))
        draws = data.draw(st.sampled_from([[], [Draw(data.draw(pictures()), x, y, width, height)]]))
        text = glyphs_of(data.draw(st.sampled_from(TEXTS)), width)
        compose([Composition(wanted, canvas, draws, style, [Label(x, y, 0, indexed_color(4), text)])])
        tolerance = data.draw(st.sampled_from([0, 30, 800]))
        begin, end = sorted((data.draw(st.integers(0, rows)), data.draw(st.integers(0, rows))))
        if data.draw(st.booleans()):
            viewers.append(Viewer(columns, rows, style))
        for viewer in viewers:
            if data.draw(st.booleans()):
                continue  # its connection is busy
            if data.draw(st.integers(0, 5)) == 0:
                viewer.shown = None  # it has requested a full frame
            inexact = viewer.send(wanted, previous, tolerance, (begin, end))
            assert viewer.shown is not None
            assert_shows(viewer, on_terminal(viewer.shown, style))
            if not inexact:
                assert_shows(viewer, on_terminal(wanted, style))


@settings(max_examples=100, deadline=None)
@given(size=sizes, mode=st.sampled_from(RenderMode), first=pictures(), second=pictures(), tolerance=st.integers(1, 900))
def test_colours_stay_within_the_tolerance(
    size: tuple[int, int], mode: RenderMode, first: np.ndarray, second: np.ndarray, tolerance: int
) -> None:
    """In modes whose characters are one or two plain pixels; another test compares the parts of the others."""
    columns, rows = size
    if mode not in (RenderMode.BACKGROUND, RenderMode.HALF_BLOCK):
        return
    style = Style.create(ColorLevel.TRUECOLOR, mode, BUILT_IN["standard"], True)
    canvas, wanted, viewer = Canvas.of(columns, rows, style), Grid(columns, rows), Viewer(columns, rows, style)
    for picture in (first, second):
        compose([Composition(wanted, canvas, [Draw(picture, 0, 0, columns, rows)], style)])
        viewer.send(wanted, None, tolerance, (0, 0))
    assert viewer.received is not None
    for seen, meant in zip(viewer.received.characters(), wanted.characters(), strict=True):
        for one, other in zip(seen[:2], meant[:2], strict=True):
            red, green, blue = ((one >> shift & 0xFF) - (other >> shift & 0xFF) for shift in (0, 8, 16))
            assert 2 * red * red + 4 * green * green + blue * blue <= tolerance


@settings(max_examples=100, deadline=None)
@given(size=sizes, style=styles, picture=pictures(), tolerance=st.sampled_from([30, 200, 800]))
def test_a_still_picture_becomes_exact(
    size: tuple[int, int], style: Style, picture: np.ndarray, tolerance: int
) -> None:
    columns, rows = size
    canvas, wanted, viewer = Canvas.of(columns, rows, style), Grid(columns, rows), Viewer(columns, rows, style)
    close = np.clip(picture.astype(np.int16) + 1, 0, 255).astype(np.uint8)
    for content in (picture, close):
        compose([Composition(wanted, canvas, [Draw(content, 0, 0, columns, rows)], style)])
        viewer.send(wanted, None, tolerance, (0, 0))
    left = [viewer.send(wanted, wanted, tolerance, (row, row + 1)) for row in range(rows)]
    assert left[-1] == 0
    assert_shows(viewer, on_terminal(wanted, style))
    assert viewer.send(wanted, wanted, 0, (0, 0)) == 0


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=200), size=sizes, whole=st.booleans())
def test_foreign_updates_change_the_grid_or_are_refused(body: bytes, size: tuple[int, int], whole: bool) -> None:
    grid = Grid(*size)
    try:
        apply_update(body, whole, grid)
    except BadDataError:
        return
    text = Painter().changes(grid, Grid(*size))
    assert not {b"\x1b]", b"\x07"} & {text[at : at + 2] for at in range(len(text))}


@pytest.mark.parametrize("glyph", [0x1B, 0x07, 0x9B, 0x7F, 0x202E, 0x200B, 0x0301, 0xD800, 0xE000, 0x10FFFF])
def test_characters_that_could_harm_a_terminal_become_question_marks(glyph: int) -> None:
    grid, shown, received = Grid(3, 1), Grid(3, 1), Grid(3, 1)
    grid.put([Label(0, 0, 0, 0, [glyph, 0, 0x41])])
    style = Style.create(ColorLevel.TRUECOLOR, RenderMode.FOREGROUND, BUILT_IN["standard"], True)
    (update,) = encode_updates([Encoding(grid, shown, style)])
    apply_update(update.body, False, received)
    # The second half of a wide character is then a blank.
    assert Painter().all(received) == b"? A"


def number(value: int) -> bytes:
    """A number as encoded in updates: seven bits per byte, the lowest first."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)


def update_of(glyphs: dict[int, int]) -> bytes:
    """An update in the terminal's default colours that draws any code points at given places."""
    table = sorted(set(glyphs.values()))
    body = number(len(table)) + b"".join(number(glyph << 4) for glyph in table)
    mask = bytearray(max(glyphs, default=-1) // 8 + 1)
    for place in glyphs:
        mask[place // 8] |= 1 << place % 8
    body += b"".join(bytes([bits]) if bits else b"\0\1" for bits in mask) + b"\0\0"
    if len(table) > 1:
        body += bytes(table.index(glyph) for _, glyph in sorted(glyphs.items()))
    return body


# Controls, halves, wide, combining, invisible, unassigned and private characters, and squares that are emoji.
HOSTILE = [0, 0, 0x1B, 0x07, 0x0A, 0x0D, 0x7F, 0x85, 0x9B, 0x41, 0xE9, 0x4E16, 0x4E16, 0x1F600, 0x25FD, 0x25FE, 0x2580]
HOSTILE += [0x2EBE1, 0x1FAE9]  # newer than some width tables
HOSTILE += [0x0301, 0xFE0F, 0x200B, 0x200D, 0x202E, 0x2028, 0xD800, 0xDFFF, 0xE000, 0xFFFF, 0x10FFFF, 0x3000, 0xA0]


@settings(max_examples=300, deadline=None)
@given(size=sizes, data=st.data())
def test_with_any_glyphs_from_a_server_each_row_is_drawable_and_has_its_width(
    size: tuple[int, int], data: st.DataObject
) -> None:
    columns, rows = size
    grid, painted, terminal, painter = Grid(*size), Grid(*size), Terminal(*size), Painter()
    glyph = st.one_of(st.sampled_from(HOSTILE), st.integers(0, 0x10FFFF))
    for whole in data.draw(st.lists(st.booleans(), min_size=1, max_size=4)):
        glyphs = data.draw(st.dictionaries(st.integers(0, columns * rows - 1), glyph, max_size=2 * columns))
        apply_update(update_of(glyphs), whole, grid)
        frame = paint_frame(painter, grid)
        lines = frame.decode().split("\n")
        assert [wcwidth.wcswidth(line) for line in lines] == [columns] * rows
        assert check_frame(frame, columns, rows) == frame
        terminal.feed(painter.changes(grid, painted))
        assert [row.rstrip() for row in terminal.screen.display[:rows]] == [line.rstrip() for line in lines]


@settings(max_examples=200, deadline=None)
@given(size=sizes, whole=st.booleans(), cut=st.integers(1, 40), glyph=st.sampled_from(HOSTILE))
def test_a_truncated_update_changes_nothing(size: tuple[int, int], whole: bool, cut: int, glyph: int) -> None:
    grid = Grid(*size)
    apply_update(update_of({0: 0x41}), True, grid)
    before = grid.characters()
    body = update_of({place: (glyph, 0x42)[place % 2] for place in range(size[0] * size[1])})
    with pytest.raises(BadDataError):
        apply_update(body[: max(0, len(body) - cut)], whole, grid)
    assert grid.characters() == before


@settings(max_examples=60, deadline=None)
@given(size=sizes, mode=st.sampled_from([RenderMode.QUADRANT, RenderMode.SEXTANT]), picture=pictures())
def test_blocks_approximate_their_parts_with_the_best_two_colours(
    size: tuple[int, int], mode: RenderMode, picture: np.ndarray
) -> None:
    """Compared with all ways to divide the parts; nearly plain cells may have one colour instead."""
    columns, rows = size
    style = Style.create(ColorLevel.TRUECOLOR, mode, BUILT_IN["standard"], True)
    subcolumns, subrows = style.subcolumns, style.subrows
    grid = Grid(columns, rows)
    compose([Composition(grid, Canvas.of(*size, style), [Draw(picture, 0, 0, columns, rows)], style)])
    # The means of the parts, from a mode with one cell per part.
    plain = Style.create(ColorLevel.TRUECOLOR, RenderMode.BACKGROUND, BUILT_IN["standard"], True)
    fine = Grid(columns * subcolumns, rows * subrows)
    canvas = Canvas.of(fine.columns, fine.rows, plain)
    compose([Composition(fine, canvas, [Draw(picture, 0, 0, fine.columns, fine.rows)], plain)])
    backgrounds = np.array([character[1] for character in fine.characters()], np.uint32)
    pixels = np.stack([backgrounds >> shift & 0xFF for shift in (0, 8, 16)], -1).astype(np.float64)
    parts = pixels.reshape(rows, subrows, columns, subcolumns, 3).transpose(0, 2, 1, 3, 4)
    parts = parts.reshape(rows * columns, subrows * subcolumns, 3)
    count = parts.shape[1]
    masks = np.array([[mask >> part & 1 for part in range(count)] for mask in range(1 << (count - 1))], bool)
    for (foreground, background, glyph), cell in zip(grid.characters(), parts, strict=True):
        least = min(_error(cell, mask) for mask in masks)
        chosen = _mask_of(chr(glyph), count)
        colors = np.array([[color >> shift & 0xFF for shift in (0, 8, 16)] for color in (background, foreground)])
        shown = colors[chosen.astype(int)]
        rounding = 0.5 * np.abs(shown - cell).sum() + count
        slack = 8 + rounding + (60 if not chosen.any() else 0)
        assert ((shown - cell) ** 2).sum() <= least + slack


def _error(cell: np.ndarray, mask: np.ndarray) -> float:
    return sum(float(((part - part.mean(0)) ** 2).sum()) for part in (cell[mask], cell[~mask]) if len(part))


def _mask_of(glyph: str, count: int) -> np.ndarray:
    if count == 4:
        mask = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█".index(glyph)
    elif glyph in " ▌▐█":
        mask = {" ": 0, "▌": 0x15, "▐": 0x2A, "█": 0x3F}[glyph]
    else:
        mask = ord(glyph) - 0x1FB00 + 1
        mask += mask >= 0x15
        mask += mask >= 0x2A
    return np.array([mask >> part & 1 for part in range(count)], bool)
