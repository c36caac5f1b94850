"""Frames of random pictures, sizes and styles look like the reference's on an emulated terminal."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np
import pytest
import wcwidth
from hypothesis import given, settings
from hypothesis import strategies as st

from emulated_screen import looks_of, show
from reference_renderer import frame_looks
from teleglyph.media import _native
from teleglyph.media.canvas import Canvas, Draw, render_batch
from teleglyph.media.modes import BASIC_MODES, ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, Palette, custom_palette
from teleglyph.media.style import Style

PALETTES = [*BUILT_IN.values(), custom_palette("a"), custom_palette("▒ é#")]
MODES = [
    (color, render)
    for color in ColorLevel
    for render in BASIC_MODES
    if (color, render) != (ColorLevel.NONE, RenderMode.BACKGROUND)
]
SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(params=[True, False], ids=["simd", "portable"], autouse=True, scope="module")
def _instructions(request: pytest.FixtureRequest) -> Iterator[None]:
    _native.set_simd(request.param)
    yield
    _native.set_simd(True)


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray:
    """Small pictures: noise, two extremes, one colour, noise in steps so that neighbours are equal, or darkness."""
    height, width = draw(st.tuples(st.integers(1, 20), st.integers(1, 40)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["noise", "extremes", "plain", "steps", "dark"]))
    noise = generator.integers(0, 256, (height, width, 3), np.uint8)
    if kind == "extremes":
        return np.where(noise < 128, 0, 255).astype(np.uint8)
    if kind == "plain":
        return np.broadcast_to(noise[:1, :1], noise.shape).copy()
    if kind == "dark":
        return noise // 4
    return noise // 64 * 85 if kind == "steps" else noise


@st.composite
def draws_within(draw: st.DrawFn, columns: int, rows: int) -> Draw:
    width, height = draw(st.integers(1, columns)), draw(st.integers(1, rows))
    x, y = draw(st.integers(0, columns - width)), draw(st.integers(0, rows - height))
    return Draw(draw(pictures()), x, y, width, height, draw(st.booleans()))


@st.composite
def frames(draw: st.DrawFn) -> tuple[int, int, list[Draw]]:
    """A canvas size and up to three pictures on it, with or without margins."""
    columns, rows = draw(st.integers(1, 24)), draw(st.integers(1, 8))
    return columns, rows, draw(st.lists(draws_within(columns, rows), max_size=3))


styles = st.builds(
    lambda mode, palette, utf8: Style.create(mode[0], mode[1], palette, utf8),
    st.sampled_from(MODES),
    st.sampled_from(PALETTES),
    st.booleans(),
)


def check_against_reference(columns: int, rows: int, draws: list[Draw], style: Style) -> None:
    """Assert that the glyph and colours of every character equal the reference's."""
    frame = Canvas.of(columns, rows, style).render(draws, style)
    half_block = style.render is RenderMode.HALF_BLOCK
    shown = looks_of(show(frame, columns, rows), style.color, half_block)
    expected = frame_looks(columns, rows, (style.color, style.render, style.palette.glyphs), draws)
    assert shown == expected


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: f"{mode[0].name}-{mode[1].name}".lower())
@settings(max_examples=40, deadline=None)
@given(frame=frames(), palette=st.sampled_from(PALETTES))
def test_a_frame_looks_like_the_references(
    mode: tuple[ColorLevel, RenderMode], palette: Palette, frame: tuple[int, int, list[Draw]]
) -> None:
    check_against_reference(*frame, Style.create(*mode, palette, True))


@pytest.mark.parametrize("palette", PALETTES, ids=lambda palette: palette.glyphs.strip())
@settings(max_examples=15, deadline=None)
@given(frame=frames(), color=st.sampled_from(ColorLevel))
def test_every_palette_looks_like_the_references(
    palette: Palette, frame: tuple[int, int, list[Draw]], color: ColorLevel
) -> None:
    check_against_reference(*frame, Style.create(color, RenderMode.FOREGROUND, palette, True))


@settings(max_examples=200, deadline=None)
@given(frame=frames(), style=styles)
def test_a_frame_contains_only_colours_and_rows_of_equal_width(
    frame: tuple[int, int, list[Draw]], style: Style
) -> None:
    columns, rows, draws = frame
    text = Canvas.of(columns, rows, style).render(draws, style).decode()
    lines = SEQUENCE.sub("", text).split("\n")
    assert [wcwidth.wcswidth(line) for line in lines] == [columns] * rows
    if style.color is ColorLevel.NONE:
        assert "\x1b" not in text
    if not style.utf8:
        assert text.isascii()


@settings(max_examples=200, deadline=None)
@given(frame=frames(), style=styles)
def test_no_background_is_active_at_the_end_of_a_row(frame: tuple[int, int, list[Draw]], style: Style) -> None:
    columns, rows, draws = frame
    text = Canvas.of(columns, rows, style).render(draws, style)
    cursor = show(text, columns, rows).cursor
    assert (cursor.attrs.fg, cursor.attrs.bg) == ("default", "default")
    if style.render is RenderMode.FOREGROUND:
        assert text.count(b"\x1b[0m") == (b"\x1b" in text)
    for end in range(1, rows):
        upper_rows = b"\n".join(text.split(b"\n")[:end])
        assert show(upper_rows, columns, rows).cursor.attrs.bg == "default"


@settings(max_examples=100, deadline=None)
@given(frame=frames(), style=styles)
def test_every_escape_sequence_changes_a_colour(frame: tuple[int, int, list[Draw]], style: Style) -> None:
    columns, rows, draws = frame
    for line in Canvas.of(columns, rows, style).render(draws, style).decode().split("\n"):
        body = line.removesuffix("\x1b[0m")
        assert not re.search(r"\x1b\[[0-9;]*m\x1b", body)
        sequences = SEQUENCE.findall(body)
        if style.render is not RenderMode.HALF_BLOCK:
            assert all(a != b for a, b in itertools.pairwise(sequences))


@settings(max_examples=100, deadline=None)
@given(frame=frames(), style=styles, data=st.data())
def test_drawing_in_steps_equals_drawing_at_once(
    frame: tuple[int, int, list[Draw]], style: Style, data: st.DataObject
) -> None:
    columns, rows, draws = frame
    canvas = Canvas.of(columns, rows, style)
    steps = data.draw(st.lists(st.integers(0, len(draws)), max_size=3).map(sorted))
    for start, end in zip([0, *steps], [*steps, len(draws)], strict=True):
        stepwise = canvas.render(draws[start:end], style)
    assert stepwise == Canvas.of(columns, rows, style).render(draws, style)


@settings(max_examples=50, deadline=None)
@given(jobs=st.lists(st.tuples(frames(), styles), max_size=5))
def test_a_batch_gives_the_same_frames_as_single_calls(jobs: list[tuple[tuple[int, int, list[Draw]], Style]]) -> None:
    def prepared() -> list[tuple[Canvas, list[Draw], Style]]:
        return [(Canvas.of(columns, rows, style), draws, style) for (columns, rows, draws), style in jobs]

    assert render_batch(prepared()) == [canvas.render(draws, style) for canvas, draws, style in prepared()]
