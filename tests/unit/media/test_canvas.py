from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reference_renderer import ANSI16, ANSI256, PALETTE_16, PALETTE_256, average, five_bits, oklab
from teleglyph.media import _native, retain_large_buffers
from teleglyph.media.canvas import Canvas, Draw, render_batch
from teleglyph.media.modes import BASIC_MODES, ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN
from teleglyph.media.style import Style

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
FOREGROUND, BACKGROUND, HALF_BLOCK = BASIC_MODES


@pytest.fixture(params=[True, False], ids=["simd", "portable"], autouse=True)
def _instructions(request: pytest.FixtureRequest) -> Iterator[None]:
    _native.set_simd(request.param)
    yield
    _native.set_simd(True)


def style(color: ColorLevel, render: RenderMode, palette: str = "standard") -> Style:
    return Style.create(color, render, BUILT_IN[palette], True)


def picture(*rows: list[tuple[int, int, int]]) -> np.ndarray:
    return np.array(rows, np.uint8)


def draw_all(pixels: np.ndarray, color: ColorLevel, render: RenderMode, palette: str = "standard") -> str:
    """A frame with one cell for each pixel."""
    chosen = style(color, render, palette)
    height, width, _ = pixels.shape
    canvas = Canvas(width, height // chosen.subrows, chosen.subrows)
    return canvas.render([Draw(pixels, 0, 0, canvas.columns, canvas.rows)], chosen).decode()


def grey(*values: int) -> list[tuple[int, int, int]]:
    return [(value, value, value) for value in values]


COLORS = picture([RED, RED, GREEN, BLUE], [WHITE] * 4)


# ACIP's test vectors with corrections. Ours differ on purpose: a sequence is written only on a change and lasts over
# the end of the row, there is no REP, half-blocks of one colour are spaces, and 256-colour white is xterm's real white
# (231) rather than a light grey (255).


def test_truecolor_foreground_equals_that_of_acip_peers() -> None:
    assert draw_all(COLORS, ColorLevel.TRUECOLOR, FOREGROUND) == (
        "\x1b[38;2;255;0;0m,,\x1b[38;2;0;255;0md\x1b[38;2;0;0;255m.\n\x1b[38;2;255;255;255mMMMM\x1b[0m"
    )


def test_256_colour_foreground_equals_that_of_acip_peers_with_fewer_sequences() -> None:
    assert draw_all(COLORS, ColorLevel.ANSI256, FOREGROUND) == (
        "\x1b[38;5;196m,,\x1b[38;5;46md\x1b[38;5;21m.\n\x1b[38;5;231mMMMM\x1b[0m"
    )


def test_16_colour_foreground_takes_the_nearest_of_xterms_colours() -> None:
    assert draw_all(COLORS, ColorLevel.ANSI16, FOREGROUND) == ("\x1b[91m,,\x1b[92md\x1b[34m.\n\x1b[97mMMMM\x1b[0m")


def test_without_colours_glyphs_follow_the_luminance() -> None:
    pixels = picture(grey(*[255] * 8), grey(0, 60, 120, 180, 240, 255, 255, 255))
    assert draw_all(pixels, ColorLevel.NONE, FOREGROUND) == "MMMMMMMM\n .cOWMMM"


def test_half_blocks_change_both_colours_in_one_sequence_and_draw_black_as_black() -> None:
    nine = [(9, 9, 9)] * 8
    pixels = picture([RED] * 7 + [BLACK], [BLUE] * 7 + [BLACK], nine, nine)
    assert draw_all(pixels, ColorLevel.TRUECOLOR, HALF_BLOCK) == (
        "\x1b[38;2;255;0;0;48;2;0;0;255m▀▀▀▀▀▀▀\x1b[48;2;0;0;0m \x1b[0m\n\x1b[48;2;9;9;9m        \x1b[0m"
    )


@pytest.mark.parametrize(
    ("color", "luminance"),
    [(RED, 77), (GREEN, 149), (BLUE, 29), (WHITE, 255), ((128,) * 3, 128), ((1,) * 3, 1)],
)
def test_luminance_has_the_weights_of_bt601(color: tuple[int, int, int], luminance: int) -> None:
    glyphs = "".join(map(chr, range(0x3400, 0x3400 + 255)))  # any 255 different characters
    numbered = _native.Style(ColorLevel.NONE, FOREGROUND, list(glyphs))
    text = _native.render(_native.Canvas(1, 1, 1, 1), [Draw(picture([color]), 0, 0, 1, 1)], numbered).decode()
    assert ord(text) - 0x3400 == (luminance * 254 + 127) // 255


def test_the_standard_palette_changes_glyphs_at_the_stated_luminances() -> None:
    text = draw_all(picture(grey(*range(256))), ColorLevel.NONE, FOREGROUND)
    changes = [i for i in range(1, 256) if text[i] != text[i - 1]]
    later = [122, 134, 145, 157, 169, 180, 192, 203, 215, 227, 238, 250]
    assert changes == [29, 64, 76, 87, 99, 111, *later]


@pytest.mark.parametrize(("palette", "first"), [("blocks", 64), ("digital", 71), ("minimal", 92), ("cool", 64)])
def test_other_palettes_leave_the_blank_at_the_stated_luminance(palette: str, first: int) -> None:
    text = draw_all(picture(grey(*range(256))), ColorLevel.NONE, FOREGROUND, palette)
    assert len(text) - len(text.lstrip(" ")) == first


# --- colours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "palette", "codes"),
    [
        (ANSI256, PALETTE_256, {f"48;5;{index}": index for index in range(16, 256)}),
        (ANSI16, PALETTE_16, {str(40 + i + 52 * (i > 7)): i for i in range(16)}),
    ],
    ids=["256", "16"],
)
def test_every_colour_is_drawn_in_the_palette_colour_that_looks_most_like_it(
    level: int, palette: dict[int, tuple[int, int, int]], codes: dict[str, int]
) -> None:
    values = np.arange(0, 256, 8, dtype=np.uint8)
    colors = np.stack(np.meshgrid(values, values, values, indexing="ij"), -1).reshape(32, 1024, 3)
    stand_ins = np.array([five_bits((color[0], color[1], color[2])) for color in colors.reshape(-1, 3).tolist()])
    drawn = []
    for row in draw_all(np.ascontiguousarray(colors), ColorLevel(level), BACKGROUND).split("\n"):
        runs = re.findall(r"\x1b\[([0-9;]+)m( +)", row)
        drawn += [codes[code] for code, cells in runs for _ in cells]
    points = {index: oklab(np.array(color)) for index, color in palette.items()}
    target = oklab(stand_ins)
    distances = np.stack([((point - target) ** 2).sum(-1) for point in points.values()])
    chosen = ((np.array([points[index] for index in drawn]) - target) ** 2).sum(-1)
    assert (chosen <= distances.min(0) + 1e-12).all()


def test_the_lowest_three_bits_of_a_channel_do_not_change_a_palette_colour() -> None:
    generator = np.random.default_rng(5)
    colors = generator.integers(0, 256, (8, 64, 3), np.uint8)
    for level in (ColorLevel.ANSI16, ColorLevel.ANSI256):
        assert draw_all(colors, level, BACKGROUND) == draw_all(colors & 0xF8, level, BACKGROUND)


def test_blank_glyphs_need_no_colour() -> None:
    pixels = picture([(5, 0, 0), (200, 0, 0), (0, 5, 0), (200, 0, 0)])
    assert draw_all(pixels, ColorLevel.TRUECOLOR, FOREGROUND) == " \x1b[38;2;200;0;0m. .\x1b[0m"
    assert draw_all(pixels[:, :1].copy(), ColorLevel.TRUECOLOR, FOREGROUND) == " "


def test_greys_survive_half_blocks_without_colours() -> None:
    share = {}
    for value in (0, 64, 128, 192, 255):
        text = draw_all(np.full((16, 16, 3), value, np.uint8), ColorLevel.NONE, HALF_BLOCK)
        share[value] = (text.count("▀") + text.count("▄") + 2 * text.count("█")) / 256
    assert share == {0: 0.0, 64: 0.25, 128: 0.5, 192: 0.75, 255: 1.0}


# --- scaling ------------------------------------------------------------------------------------------------


def shown_colors(text: str, columns: int) -> list[list[tuple[int, ...]]]:
    """The colours of a truecolor background frame."""
    rows: list[list[tuple[int, ...]]] = []
    for line in text.split("\n"):
        runs = re.findall(r"\x1b\[48;2;(\d+);(\d+);(\d+)m( +)", line)
        rows.append([(int(r), int(g), int(b)) for r, g, b, cells in runs for _ in cells])
        assert len(rows[-1]) == columns
    return rows


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((1, 1), (5, 3)),
        ((7, 5), (7, 5)),
        ((7, 5), (3, 2)),
        ((64, 64), (9, 7)),
        ((10, 4), (4, 10)),
        ((13, 600), (5, 2)),
        ((1, 2000), (1, 3)),
        ((2000, 1), (3, 1)),
        ((300, 280), (1, 1)),
        ((33, 257), (32, 1)),
    ],
)
def test_cells_are_exact_means_of_their_boxes(source: tuple[int, int], target: tuple[int, int]) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (source[1], source[0], 3), np.uint8)
    chosen = style(ColorLevel.TRUECOLOR, BACKGROUND)
    text = Canvas(*target, 1).render([Draw(pixels, 0, 0, *target)], chosen).decode()
    assert shown_colors(text, target[0]) == average(pixels, *target)


def test_means_are_rounded_half_up() -> None:
    pixels = picture([(0, 1, 254), (1, 2, 255)])
    text = Canvas(1, 1, 1).render([Draw(pixels, 0, 0, 1, 1)], style(ColorLevel.TRUECOLOR, BACKGROUND)).decode()
    assert text == "\x1b[48;2;1;2;255m \x1b[0m"


def test_enlarging_repeats_the_nearest_pixel() -> None:
    pixels = picture([RED, GREEN, BLUE, WHITE])
    text = Canvas(10, 1, 1).render([Draw(pixels, 0, 0, 10, 1)], style(ColorLevel.TRUECOLOR, BACKGROUND)).decode()
    assert shown_colors(text, 10) == [[RED] * 3 + [GREEN] * 2 + [BLUE] * 3 + [WHITE] * 2]


# --- the canvas ---------------------------------------------------------------------------------------------


def test_a_new_canvas_is_blank() -> None:
    for color in ColorLevel:
        assert Canvas(3, 2, 1).render([], style(color, FOREGROUND)) == b"   \n   "
    assert Canvas(3, 2, 2).render([], style(ColorLevel.TRUECOLOR, HALF_BLOCK)) == b"   \n   "


def test_margins_keep_the_default_background() -> None:
    for color, sequence in ((ColorLevel.TRUECOLOR, "48;2;255;0;0"), (ColorLevel.ANSI16, "101")):
        for render in (BACKGROUND, HALF_BLOCK):
            chosen = style(color, render)
            canvas = Canvas(4, 2, chosen.subrows)
            text = canvas.render([Draw(picture([RED]), 1, 0, 2, 1)], chosen).decode()
            assert text == f" \x1b[{sequence}m  \x1b[49m \n    "


def test_drawn_pictures_stay_until_they_are_cleared() -> None:
    chosen = style(ColorLevel.NONE, FOREGROUND)
    canvas = Canvas(3, 1, 1)
    assert canvas.render([Draw(picture([WHITE]), 0, 0, 1, 1)], chosen) == b"M  "
    assert canvas.render([Draw(picture([WHITE]), 2, 0, 1, 1)], chosen) == b"M M"
    canvas.clear()
    assert canvas.render([], chosen) == b"   "


def test_later_draws_cover_earlier_ones() -> None:
    draws = [Draw(picture([WHITE]), 0, 0, 3, 1), Draw(picture([BLACK]), 1, 0, 1, 1)]
    assert Canvas(3, 1, 1).render(draws, style(ColorLevel.NONE, FOREGROUND)) == b"M M"


def test_a_canvas_knows_its_size() -> None:
    canvas = Canvas(80, 24, 2)
    assert (canvas.columns, canvas.rows, canvas.subrows) == (80, 24, 2)


@pytest.mark.parametrize("columns, rows", [(4096, 256), (256, 4096), (1, 1)])  # noqa: PT006
def test_the_largest_and_smallest_canvases_work(columns: int, rows: int) -> None:
    chosen = style(ColorLevel.TRUECOLOR, HALF_BLOCK)
    pixels = np.random.default_rng(1).integers(100, 256, (rows * 2, columns, 3), np.uint8)
    text = Canvas(columns, rows, 2).render([Draw(pixels, 0, 0, columns, rows)], chosen)
    assert text.count(b"\n") == rows - 1
    assert text.count(b" ") + text.count("▀".encode()) == columns * rows


@pytest.mark.parametrize(
    ("columns", "rows", "subrows"),
    [(0, 1, 1), (1, 0, 1), (-1, 1, 1), (4097, 1, 1), (1, 4097, 1), (4096, 257, 1), (1, 1, 0), (1, 1, 5)],
)
def test_canvases_out_of_range_are_refused(columns: int, rows: int, subrows: int) -> None:
    with pytest.raises(ValueError, match=r"a canvas (has|character)"):
        Canvas(columns, rows, subrows)


@pytest.mark.parametrize(
    "rectangle",
    [
        *[(0, 0, 5, 1), (0, 0, 1, 4), (4, 0, 1, 1), (3, 0, 2, 1), (0, 3, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0)],
        *[(-1, 0, 1, 1), (0, -1, 1, 1), (0, 0, -1, 1), (2**31, 0, 2**31, 1), (2**32, 0, 1, 1)],
    ],
)
def test_rectangles_that_leave_the_canvas_are_refused_and_nothing_is_drawn(
    rectangle: tuple[int, int, int, int],
) -> None:
    canvas, chosen = Canvas(4, 3, 1), style(ColorLevel.NONE, FOREGROUND)
    good = Draw(picture([WHITE]), 0, 0, 4, 3)
    with pytest.raises(ValueError, match=r"is not within a canvas of 4x3|negative or too large"):
        canvas.render([good, Draw(picture([WHITE]), *rectangle)], chosen)
    assert canvas.render([], chosen).strip() == b""


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.int8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 8, 3), np.uint8)[:, ::2],
        np.zeros((4, 4, 3), np.uint8)[::-1],
        np.zeros((4, 4, 3), np.uint8, order="F"),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        np.zeros((1, 8193, 3), np.uint8),
        np.zeros((8193, 1, 3), np.uint8),
        b"not a picture",
    ],
)
def test_pixels_of_another_format_or_size_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"C-contiguous|1 to 8192 pixels"):
        Canvas(4, 3, 1).render([Draw(pixels, 0, 0, 1, 1)], style(ColorLevel.NONE, FOREGROUND))


@pytest.mark.parametrize("draw", [None, (), (None, 0, 0, 1, 1), (b"", 0, 0, 1), "draw", (b"", "0", 0, 1, 1)])
def test_invalid_draws_are_refused(draw: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        Canvas(4, 3, 1).render([draw], style(ColorLevel.NONE, FOREGROUND))  # type: ignore[list-item]


def test_a_style_for_other_cells_than_the_canvas_has_is_refused() -> None:
    with pytest.raises(ValueError, match="1x2 cells in a character, the canvas has 1x1"):
        Canvas(4, 3, 1).render([], style(ColorLevel.TRUECOLOR, HALF_BLOCK))


def test_pictures_of_the_largest_size_can_be_drawn() -> None:
    pixels = np.full((8192, 8192, 3), 255, np.uint8)
    text = Canvas(1, 1, 1).render([Draw(pixels, 0, 0, 1, 1)], style(ColorLevel.TRUECOLOR, BACKGROUND))
    assert text == b"\x1b[48;2;255;255;255m \x1b[0m"


def test_read_only_pictures_and_plain_buffers_can_be_drawn() -> None:
    pixels = np.full((2, 2, 3), 255, np.uint8)
    pixels.setflags(write=False)
    chosen = style(ColorLevel.NONE, FOREGROUND)
    view = memoryview(bytes([255] * 12)).cast("B", (2, 2, 3))
    assert Canvas(1, 1, 1).render([Draw(pixels, 0, 0, 1, 1)], chosen) == b"M"
    assert Canvas(1, 1, 1).render([Draw(view, 0, 0, 1, 1)], chosen) == b"M"  # type: ignore[arg-type]


# --- batches and threads ------------------------------------------------------------------------------------


def test_a_batch_draws_every_canvas_in_its_own_style() -> None:
    white = picture([WHITE])
    jobs = [
        (Canvas(2, 1, 1), [Draw(white, 0, 0, 2, 1)], style(ColorLevel.NONE, FOREGROUND)),
        (Canvas(1, 1, 2), [Draw(white, 0, 0, 1, 1)], style(ColorLevel.ANSI16, HALF_BLOCK)),
        (Canvas(1, 2, 1), [], style(ColorLevel.NONE, FOREGROUND)),
    ]
    assert render_batch(jobs) == [b"MM", b"\x1b[107m \x1b[0m", b" \n "]
    assert render_batch([]) == []


def test_a_batch_may_name_a_canvas_twice() -> None:
    canvas, chosen = Canvas(2, 1, 1), style(ColorLevel.NONE, FOREGROUND)
    white = picture([WHITE])
    jobs = [(canvas, [Draw(white, x, 0, 1, 1)], chosen) for x in range(2)]
    assert render_batch(jobs) == [b"M ", b"MM"]


def test_one_bad_job_stops_the_batch_before_anything_is_drawn() -> None:
    canvas, chosen = Canvas(1, 1, 1), style(ColorLevel.NONE, FOREGROUND)
    white = picture([WHITE])
    with pytest.raises(ValueError, match="is not within"):
        render_batch([(canvas, [Draw(white, 0, 0, 1, 1)], chosen), (canvas, [Draw(white, 1, 0, 1, 1)], chosen)])
    assert canvas.render([], chosen) == b" "


def test_threads_may_share_canvases_and_styles() -> None:
    generator = np.random.default_rng(9)
    pixels = [generator.integers(0, 256, (90, 160, 3), np.uint8) for _ in range(4)]
    chosen = style(ColorLevel.TRUECOLOR, HALF_BLOCK)
    draws = [[Draw(image, 0, 0, 80, 24)] for image in pixels]
    expected = [Canvas(80, 24, 2).render(draw, chosen) for draw in draws]
    shared = Canvas(80, 24, 2)
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda i: shared.render(draws[i % 4], chosen), range(200)))
    assert texts == [expected[i % 4] for i in range(200)]


def test_frames_are_the_same_after_large_buffers_are_retained() -> None:
    before = draw_all(COLORS, ColorLevel.TRUECOLOR, FOREGROUND)
    assert retain_large_buffers() == (platform.libc_ver()[0] == "glibc")
    assert draw_all(COLORS, ColorLevel.TRUECOLOR, FOREGROUND) == before
