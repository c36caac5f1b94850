"""The contents of a screen: pictures, names, marks, and nothing beyond its edge."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleglyph.call.limits import CallLimits
from teleglyph.call.scene import Scene, Tile
from teleglyph.call.shared_screen import SharedScreen, SharedScreenKey, ViewPreferences
from teleglyph.media.grid import DEFAULT_COLOR, Encoding, Grid, Painter, compose, encode_updates, on_terminal
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import STANDARD
from teleglyph.media.style import Style
from teleglyph.wire.acip import HEADER, MAX_PLAINTEXT, ScreenUpdate

PLAIN = Style.create(ColorLevel.TRUECOLOR, RenderMode.BACKGROUND, STANDARD, True)
PIXELS = np.full((9, 16, 3), 200, np.uint8)


def tile(number: int, name: str, *, video: bool = True, speaking: bool = False, frozen: bool = False) -> Tile:
    return Tile(number, name, PIXELS if video else None, number if video else 0, 16 / 9, speaking, frozen)


def rows_of(view: SharedScreen, scene: Scene, revision: int = 1) -> list[str]:
    """The glyphs of a composed screen, row by row."""
    compose([view.plan(scene, revision, float(revision))])
    grid = view.wanted
    glyphs = "".join(chr(glyph) if glyph else "" for _, _, glyph in grid.characters())
    if len(glyphs) == grid.columns * grid.rows:
        return [glyphs[at : at + grid.columns] for at in range(0, len(glyphs), grid.columns)]
    return [glyphs]


def screen(
    columns: int, rows: int, preferences: ViewPreferences | None = None, style: Style = PLAIN, *, padded: bool = True
) -> SharedScreen:
    return SharedScreen(SharedScreenKey(columns, rows, padded, style, preferences or ViewPreferences()))


def test_names_are_numbered_in_order_and_marked() -> None:
    text = "\n".join(
        rows_of(
            screen(80, 24), (tile(4, "Ann", speaking=True), tile(7, "Bob", frozen=True), tile(9, "Cy", video=False))
        )
    )
    assert "● 1 Ann" in text
    assert "2 Bob (frozen)" in text
    assert "3 Cy" in text
    assert "camera off" not in text


def test_of_two_people_the_one_without_a_camera_keeps_a_tile() -> None:
    text = "\n".join(rows_of(screen(80, 24), (tile(1, "Ann"), tile(2, "Bob", video=False))))
    assert "camera off" in text
    assert "2 Bob" in text


def test_a_lone_person_without_a_camera_has_a_tile() -> None:
    text = "\n".join(rows_of(screen(80, 24), (tile(1, "Ann", video=False),)))
    assert "camera off" in text
    assert "1 Ann" in text


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 12)])
def test_people_without_a_camera_leave_the_space_to_the_pictures(size: tuple[int, int]) -> None:
    people = (tile(1, "Ann"), *(tile(number, f"guest{number}", video=False) for number in range(2, 13)))
    view = screen(*size)
    rows = rows_of(view, people)
    alone = screen(*size)
    rows_of(alone, people[:1])
    foot = sum("guest" in row or " more" in row for row in rows)
    assert 1 <= foot <= size[1] // 5
    assert view.needs[1][1] >= alone.needs[1][1] - foot
    assert set(view.needs) == {1}


def test_all_names_are_in_the_last_row_if_they_fit() -> None:
    people = (*(tile(number, f"guest{number}", video=False) for number in range(1, 12)), tile(12, "Ann"))
    text = "\n".join(rows_of(screen(80, 24), people))
    assert all(f"guest{number}" in text for number in range(1, 12))
    assert "9 guest9" in text
    assert "10 guest10" not in text


def test_names_without_room_are_counted() -> None:
    people = (tile(1, "Ann"), *(tile(number, f"guest{number}", video=False) for number in range(2, 32)))
    rows = rows_of(screen(40, 12), people)
    shown = sum(row.count("guest") for row in rows)
    assert f"and {30 - shown} more" in "\n".join(rows)


def test_speakers_are_marked_in_the_line_and_nothing_moves() -> None:
    def scene(speaking: int) -> Scene:
        return (
            tile(1, "Ann"),
            *(tile(number, f"guest{number}", video=False, speaking=number == speaking) for number in range(2, 32)),
        )

    view = screen(40, 12)
    silent = rows_of(view, scene(0), 1)
    speaking = rows_of(view, scene(3), 2)
    assert "● 3 guest3" in "\n".join(speaking)
    assert [row.replace("●", " ") for row in speaking] == silent
    assert "● and " in "\n".join(rows_of(view, scene(31), 3))


def test_people_in_the_line_can_be_shown_alone() -> None:
    people = (tile(1, "Ann"), *(tile(number, f"guest{number}", video=False) for number in range(2, 13)))
    text = "\n".join(rows_of(screen(80, 24, ViewPreferences(spotlight=12)), people))
    assert "camera off" in text
    assert "guest12" in text
    assert "guest11" not in text


def test_where_nobody_has_a_camera_there_is_a_list() -> None:
    rows = rows_of(screen(60, 20), tuple(tile(number, f"guest{number}", video=False) for number in range(1, 4)))
    at = [next(y for y, row in enumerate(rows) if text in row) for text in ("Nobody sends", "guest1", "guest2")]
    assert at[1:] == [at[0] + 2, at[0] + 3]
    assert "camera off" not in "\n".join(rows)
    many = tuple(tile(number, f"guest{number}", video=False) for number in range(1, 30))
    assert " more" in "\n".join(rows_of(screen(30, 6), many))


def test_long_wide_and_emoji_names_are_cut_with_an_ellipsis() -> None:
    people = (
        tile(1, "Ann"),
        tile(2, "世界" * 20, video=False),
        tile(3, "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}" * 20, video=False),
    )
    rows = rows_of(screen(30, 24), people)
    text = "\n".join(rows)
    assert text.count("…") == 2
    assert "2 世界世界" in text
    ascii_style = Style.create(ColorLevel.NONE, RenderMode.SHAPE, STANDARD, False)
    assert "\n".join(rows_of(screen(30, 24, style=ascii_style), people)).isascii()


def test_a_name_that_changes_changes_the_line() -> None:
    view = screen(80, 24)
    rows_of(view, (tile(1, "Ann"), tile(2, "Bob"), tile(3, "Cy", video=False)), 1)
    assert "3 Cyril" in "\n".join(rows_of(view, (tile(1, "Ann"), tile(2, "Bob"), tile(3, "Cyril", video=False)), 2))


def test_a_name_is_below_its_picture() -> None:
    view = screen(40, 12)
    rows = rows_of(view, (tile(1, "Ann"),))
    (y,) = (y for y, row in enumerate(rows) if "Ann" in row)
    backgrounds = [
        [background for _, background, _ in view.wanted.characters()[y * 40 : (y + 1) * 40]] for y in range(12)
    ]
    assert any(backgrounds[y - 1])
    assert not any(backgrounds[y])


def test_ascii_stays_ascii() -> None:
    style = Style.create(ColorLevel.NONE, RenderMode.SHAPE, STANDARD, False)
    text = "".join(
        rows_of(screen(60, 20, style=style), (tile(1, "Zoë 世界", speaking=True), tile(2, "Bob", video=False)))
    )
    assert text.isascii()
    assert "* 1 Zo? ??" in text


@pytest.mark.parametrize("color", ColorLevel)
@pytest.mark.parametrize("render", RenderMode)
@pytest.mark.parametrize("utf8", [True, False])
def test_a_tile_without_a_picture_contains_only_text(color: ColorLevel, render: RenderMode, utf8: bool) -> None:
    style = Style.create(color, render, STANDARD, utf8)
    view = screen(60, 20, style=style)
    rows_of(view, (tile(1, "Ann", video=False),))
    shown = on_terminal(view.wanted, style)
    painted = re.sub(r"\x1b\[[0-9;]*m", "", Painter().all(shown).decode())
    assert painted.split() == ["camera", "off", "1", "Ann"]
    backgrounds = {background for _, background, _ in shown.characters()}
    if style.shows_light_by_coverage:
        assert backgrounds == {DEFAULT_COLOR}


def test_a_picture_that_ends_leaves_nothing_in_its_tile() -> None:
    style = Style.create(ColorLevel.ANSI16, RenderMode.SHAPE, STANDARD, False)
    view = screen(60, 20, style=style)
    assert "QQ" in "".join(rows_of(view, (tile(1, "Ann"),), 1))
    rows_of(view, (tile(1, "Ann", video=False),), 2)
    assert "".join(rows_of(view, (tile(1, "Ann", video=False),), 3)).split() == ["camera", "off", "1", "Ann"]


def test_a_family_in_a_name_takes_two_columns() -> None:
    family = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}\u200d\N{BOY}"
    text = "".join(rows_of(screen(60, 20), (tile(1, f"{family} Ann"),)))
    assert "1 \N{MAN} Ann" in text
    assert len(text) == 60 * 20 - 1


def test_wide_names_take_two_columns_per_character() -> None:
    text = "".join(rows_of(screen(60, 20), (tile(1, "世界"),)))
    assert "1 世界" in text
    assert len(text) == 60 * 20 - 2


def test_the_labels_are_made_again_when_a_mark_changes() -> None:
    view = screen(40, 12)
    assert "●" not in "".join(rows_of(view, (tile(1, "Ann"),), 1))
    assert "●" in "".join(rows_of(view, (tile(1, "Ann", speaking=True),), 2))
    assert "●" not in "".join(rows_of(view, (tile(1, "Ann"),), 3))
    assert "Anna" in "".join(rows_of(view, (tile(1, "Anna"),), 4))


def test_a_lone_viewer_who_hides_their_own_picture_sees_a_sentence() -> None:
    assert "Nobody else is here yet" in "".join(rows_of(screen(60, 10, ViewPreferences(without=1)), (tile(1, "Ann"),)))
    assert "Nobody" in "".join(rows_of(screen(8, 1, ViewPreferences(without=1)), (tile(1, "Ann"),)))


def test_a_spotlight_on_somebody_who_left_shows_all() -> None:
    view = screen(60, 20, ViewPreferences(spotlight=2))
    assert "Ann" not in "".join(rows_of(view, (tile(1, "Ann"), tile(2, "Bob")), 1))
    assert "Ann" in "".join(rows_of(view, (tile(1, "Ann"),), 2))


def test_needs_are_the_pixels_of_a_tile() -> None:
    style = Style.create(ColorLevel.TRUECOLOR, RenderMode.SEXTANT, STANDARD, True)
    view = screen(40, 12, ViewPreferences(names=False), style)
    rows_of(view, (tile(5, "Ann"),))
    assert view.needs == {5: (80, 33)}


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(
    lambda text: "".join(character for character in text if character.isprintable())
)
scenes = st.lists(st.tuples(names, st.booleans(), st.booleans(), st.booleans()), max_size=12).map(
    lambda people: tuple(
        tile(number, name, video=video, speaking=speaking, frozen=frozen)
        for number, (name, video, speaking, frozen) in enumerate(people, 1)
    )
)


@settings(max_examples=150, deadline=None)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 20)),
    scenes=st.lists(scenes, min_size=1, max_size=4),
    padded=st.booleans(),
    preferences=st.builds(ViewPreferences, st.booleans(), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
    render=st.sampled_from(RenderMode),
)
def test_any_scene_fits_on_any_screen(
    size: tuple[int, int], scenes: list[Scene], padded: bool, preferences: ViewPreferences, render: RenderMode
) -> None:
    view = screen(*size, preferences, Style.create(ColorLevel.ANSI256, render, STANDARD, True), padded=padded)
    for revision, scene in enumerate(scenes, 1):
        plan = view.plan(scene, revision, float(revision))
        compose([plan])
        assert view.wanted.columns <= size[0]
        assert view.wanted.rows <= size[1]
        places = [(draw.x, draw.y, draw.width, draw.height) for draw in plan.draws]
        if view._has_names:
            # A name never covers a picture that is drawn in this step.
            for label in plan.labels[-len(view.visible(scene)) :]:
                for x, y, width, height in places:
                    is_below = label.y >= y + height or label.y < y
                    is_inside = label.background != 0
                    assert is_below or is_inside or label.x >= x + width or label.x + len(label.glyphs) <= x


def test_a_name_may_be_wider_than_its_picture_but_not_reach_the_next() -> None:
    narrow = np.full((90, 10, 3), 200, np.uint8)
    scene = tuple(
        Tile(number, f"a rather long name {number}", narrow, number, 10 / 90, False, False) for number in (1, 2)
    )
    text = "".join(rows_of(screen(80, 24), scene))
    assert "1 a rather long name 1" in text
    assert "2 a rather long name 2" in text


@pytest.mark.parametrize("render", RenderMode)
def test_a_whole_screen_of_the_largest_size_fits_into_one_packet(render: RenderMode) -> None:
    columns, rows = 400, CallLimits().max_screen_cells // 400
    style = Style.create(ColorLevel.TRUECOLOR, render, STANDARD, True)
    noise = np.random.default_rng(1).integers(0, 256, (1200, 800, 3), np.uint8)
    view = screen(columns, rows, ViewPreferences(names=False), style)
    people = tuple(Tile(number, "x", noise, number, 800 / 1200, False, False) for number in (1, 2))
    compose([view.plan(people, 1, 1.0)])
    (update,) = encode_updates([Encoding(view.wanted, Grid(columns, rows), style, whole=True)])
    packet = ScreenUpdate(1, 0, columns, rows, update.body).encode_packet(update.body)
    assert len(packet) <= MAX_PLAINTEXT
    assert ScreenUpdate.decode_payload(packet[HEADER.size :]).body == update.body
