"""The screens that equal viewers of our own kind share: composed once, sent to each viewer as deltas.

A screen has pictures, names and marks.  Among three or more people, those without a picture share a few lines at the
foot, so that the pictures get the space.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from teleglyph.call.name_lines import HEADING_ROWS, MARK_COLUMNS, NameLines, cut_glyphs, foot_lines, name_list
from teleglyph.call.scene import Scene, Tile
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.grid import (
    DEFAULT_COLOR,
    Composition,
    Grid,
    Label,
    direct_color,
    indexed_color,
)
from teleglyph.media.layout import Placement, arrange, crop
from teleglyph.media.modes import ColorLevel
from teleglyph.media.style import Style

_NOBODY = "Nobody else is here yet"
_NO_PICTURE = "Nobody sends a picture"
_CAMERA_OFF = "camera off"
_MIN_ROWS_FOR_NAMES = 4
"""Rows of a screen below which names would take too much of the picture."""
_MAX_INDEX = 9
_MAX_WITH_PLACES = 2
"""Up to this many people each have a place, with a picture or without."""
_REFINE_SECONDS = 0.4
"""Within this time each row becomes exact once where nothing moves."""
_WALL = 38
"""Grey of a place without a picture."""

_WALL_PICTURE = np.full((1, 1, 3), _WALL, np.uint8)

_compositions = itertools.count(1)
_arrangements = itertools.count(1)


class ViewPreferences(NamedTuple):
    """The choices of a viewer of our own kind.

    Attributes:
        names: show names and marks, also of people without a picture.
        without: number of a participant to leave out; 0 for nobody.
        mirrored: number of a participant to show as in a mirror; 0 for nobody.
        spotlight: number of a participant to show alone; 0 for nobody.
    """

    names: bool = True
    without: int = 0
    mirrored: int = 0
    spotlight: int = 0


def grid_tiles(scene: Scene, preferences: ViewPreferences) -> Scene:
    """The tiles that have a place in the whole grid, in the order of the places."""
    return tuple(
        tile for tile in scene if tile.number != preferences.without and (preferences.names or tile.pixels is not None)
    )


def folds(tiles: Sequence[Tile]) -> bool:
    """Whether people without a picture share lines of names, as they do among three or more people."""
    return len(tiles) > _MAX_WITH_PLACES and any(tile.pixels is None for tile in tiles)


class SharedScreenKey(NamedTuple):
    """Everything that makes two viewers' screens equal."""

    columns: int
    rows: int
    padded: bool
    style: Style
    preferences: ViewPreferences


class SharedScreen:
    """The screen of all viewers with one key.

    Args:
        key: size, style and preferences.

    Attributes:
        revision: the room's scene revision that ``wanted`` shows.
        number: differs for every composition in this process.
        composed_at: when ``wanted`` was composed, in monotonic seconds.
        wanted: what the viewers should see.
        previous: ``wanted`` one composition earlier, if that had the same size.
        needs: width and height in pixels in which each participant's picture is shown.
        rectangles: the cells in which each participant's picture, or the sign that there is none, is shown.
        arrangement: differs for every arrangement of rectangles in this process; 0 before the first.
        refined_rows: the rows, from and up to but not including, that become exact where nothing moves.
    """

    def __init__(self, key: SharedScreenKey) -> None:
        self.key = key
        self.style = key.style
        self.revision = -1
        self.number = 0
        self.composed_at = 0.0
        self.wanted = Grid(1, 1)
        self.previous: Grid | None = None
        self.needs: dict[int, tuple[int, int]] = {}
        self.refined_rows = (0, 0)
        self.rectangles: dict[int, Placement] = {}
        self.arrangement = 0
        self._places: tuple[Placement, ...] = ()
        self._arrangement: tuple[object, ...] = ()
        self._has_names = False
        self._folded: tuple[int, ...] = ()
        """Numbers of the people in the lines of names."""
        self._lines = NameLines((), 0, 0)
        self._lines_at = (0, 0)
        self._has_heading = False
        self._marks: tuple[object, ...] = ()
        self._made_labels: list[Label] = []
        self._canvas = Canvas(1, 1, 1)
        self._drawn: tuple[int, ...] = ()

    def visible(self, scene: Scene) -> Scene:
        """The tiles that this screen shows."""
        shown = grid_tiles(scene, self.key.preferences)
        pinned = tuple(tile for tile in shown if tile.number == self.key.preferences.spotlight)
        return pinned or shown

    def plan(self, scene: Scene, revision: int, now: float) -> Composition:
        """The native job for a scene; ``wanted`` shows the scene once the job is done."""
        everybody = self.visible(scene)
        self._arrange(everybody, scene)
        tiles = everybody if not self._folded else tuple(tile for tile in everybody if tile.pixels is not None)
        drawn = self._drawn
        self._drawn = tuple(tile.version for tile in tiles)
        mirrored = self.key.preferences.mirrored
        draws = [
            Draw(
                _WALL_PICTURE if tile.pixels is None else tile.pixels,
                place.x,
                place.y,
                place.width,
                place.height,
                tile.number == mirrored,
            )
            for tile, place, old in itertools.zip_longest(tiles, self._places, drawn)
            if tile.version != old and not (tile.pixels is None and self.style.shows_light_by_coverage)
        ]
        size = self._canvas.columns, self._canvas.rows
        if self.number and (self.wanted.columns, self.wanted.rows) == size:
            spare = self.previous or Grid(*size)
            self.previous, self.wanted = self.wanted, spare
        else:
            self.previous, self.wanted = None, Grid(*size)
        begin = self.refined_rows[1] if self.refined_rows[1] < size[1] else 0
        turns = 1 + int(size[1] * (now - self.composed_at) / _REFINE_SECONDS)
        self.refined_rows = begin, min(size[1], begin + turns)
        self.number, self.revision, self.composed_at = next(_compositions), revision, now
        return Composition(self.wanted, self._canvas, draws, self.style, self._labels(tiles, scene))

    # --- internals ------------------------------------------------------------------------------------

    def _arrange(self, everybody: Sequence[Tile], scene: Scene) -> None:
        folded = tuple(tile for tile in everybody if tile.pixels is None) if folds(everybody) else ()
        arrangement = (
            tuple((tile.number, tile.aspect, tile.pixels is None) for tile in everybody),
            self._numbered(folded, scene),
        )
        if self.number and arrangement == self._arrangement:
            return
        self._arrangement = arrangement
        self._folded = tuple(tile.number for tile in folded)
        tiles = [tile for tile in everybody if tile.number not in self._folded]
        key = self.key
        columns, rows = key.columns, key.rows
        self._arrange_names(arrangement[1], has_pictures=bool(tiles))
        foot = self._lines.rows if tiles else 0
        aspects = [tile.aspect for tile in tiles]
        label_rows = 1 if key.preferences.names and rows >= _MIN_ROWS_FOR_NAMES else 0
        places = arrange(aspects, columns, rows - foot, label_rows)
        if label_rows and not _has_room_below(places, rows - foot):
            places = arrange(aspects, columns, rows - foot)
            label_rows = 0
        self._has_names = bool(label_rows)
        if places and not key.padded:
            places, columns, rows = crop(places)
            columns, rows = max(columns, self._lines.columns), rows + label_rows + foot
        height = self._lines.rows + (HEADING_ROWS if self._has_heading else 0)
        top = rows - foot if tiles else (rows - height) // 2 + height - self._lines.rows
        self._lines_at = (columns - self._lines.columns) // 2, top
        self._places = places
        self._canvas = Canvas.of(columns, rows, self.style)
        self._drawn = (-1,) * len(tiles)
        self.rectangles = {tile.number: place for tile, place in zip(tiles, places, strict=True)}
        self.arrangement = next(_arrangements)
        self.needs = {
            tile.number: (place.width * self.style.subcolumns, place.height * self.style.subrows)
            for tile, place in zip(tiles, places, strict=True)
        }

    def _arrange_names(self, names: Sequence[str], *, has_pictures: bool) -> None:
        """Lay out the names of people without a picture."""
        columns, rows, utf8 = self.key.columns, self.key.rows, self.style.utf8
        self._lines, self._has_heading = NameLines((), 0, 0), False
        if not names or columns <= MARK_COLUMNS or (has_pictures and rows < _MIN_ROWS_FOR_NAMES):
            return
        if has_pictures:
            self._lines = foot_lines(names, columns, rows, utf8=utf8)
        else:
            self._has_heading, self._lines = name_list(names, columns, rows, utf8=utf8)

    def _numbered(self, tiles: Sequence[Tile], scene: Scene) -> tuple[str, ...]:
        """Names with the keys that show these people alone."""
        if not tiles:
            return ()
        places = self.place_numbers(scene)
        return tuple(_with_place(tile.name, places[tile.number]) for tile in tiles)

    def place_numbers(self, scene: Scene) -> dict[int, int]:
        """The places in the whole grid, from 1 on, by the participants' numbers."""
        return {tile.number: place for place, tile in enumerate(grid_tiles(scene, self.key.preferences), 1)}

    def _labels(self, tiles: Sequence[Tile], scene: Scene) -> list[Label]:
        """Names and marks; made again only when one has changed."""
        marks = (self._arrangement, tuple((tile.number, tile.name, tile.speaking, tile.frozen) for tile in scene))
        if marks != self._marks:
            self._marks = marks
            self._made_labels = self._make_labels(tiles, scene)
        return self._made_labels

    def _make_labels(self, tiles: Sequence[Tile], scene: Scene) -> list[Label]:
        if not tiles and not self._lines.spans:
            sentence = _NO_PICTURE if len(scene) > 1 else _NOBODY
            return [_centred(sentence, 0, self._canvas.rows // 2, self._canvas.columns, DEFAULT_COLOR, DEFAULT_COLOR)]
        if not self.key.preferences.names:
            return []
        order = self.place_numbers(scene)
        labels = self._folded_labels(scene)
        for tile, place in zip(tiles, self._places, strict=True):
            if tile.pixels is None:
                labels += self._wall_labels(tile, place)
            if self._has_names:
                labels.append(self._name_label(tile, place, order[tile.number]))
        return [label for label in labels if label.glyphs]

    def _folded_labels(self, scene: Scene) -> list[Label]:
        """The lines of names; the count of further people is marked when one of them speaks."""
        left, top = self._lines_at
        speaking = {tile.number for tile in scene if tile.speaking}
        mark, labels = self._mark(), []
        if self._has_heading:
            columns, y = self._canvas.columns, top - HEADING_ROWS
            labels.append(_centred(_NO_PICTURE, 0, y, columns, DEFAULT_COLOR, DEFAULT_COLOR))
        for span in self._lines.spans:
            x, y = left + span.x, top + span.y
            if speaking.isdisjoint(self._folded[span.first : span.last]):
                labels.append(Label(x + MARK_COLUMNS, y, DEFAULT_COLOR, DEFAULT_COLOR, span.glyphs))
            else:
                glyphs = [ord(mark), ord(" "), *span.glyphs]
                labels.append(Label(x, y, _accent(self.style.color), DEFAULT_COLOR, glyphs))
        return labels

    def _mark(self) -> str:
        """The mark of people who speak."""
        return "\N{BLACK CIRCLE}" if self.style.utf8 else "*"

    def _name_label(self, tile: Tile, place: Placement, index: int) -> Label:
        mark = f"{self._mark()} " if tile.speaking else ""
        state = " (frozen)" if tile.frozen else ""
        foreground = _accent(self.style.color) if tile.speaking else DEFAULT_COLOR
        text = f"{mark}{_with_place(tile.name, index)}{state}"
        left, right = self._room_beside(place)
        label = _centred(text, left, place.y + place.height, right - left, foreground, DEFAULT_COLOR, self.style.utf8)
        # In the middle under its picture, if it fits there.
        middle = place.x + (place.width - len(label.glyphs)) // 2
        return label._replace(x=min(max(left, middle), right - len(label.glyphs)))

    def _room_beside(self, place: Placement) -> tuple[int, int]:
        """The columns, from and up to, for the name under a picture: up to the middle between two pictures."""
        row = place.y + place.height
        left, right = 0, self._canvas.columns
        for other in self._places:
            if not other.y <= row <= other.y + other.height:
                continue
            if other.x + other.width <= place.x:
                left = max(left, -(-(other.x + other.width + place.x) // 2))
            elif other.x >= place.x + place.width:
                right = min(right, (place.x + place.width + other.x) // 2)
        return left, right

    def _wall_labels(self, tile: Tile, place: Placement) -> list[Label]:
        background = DEFAULT_COLOR if self.style.shows_light_by_coverage else _wall_color(self.style.color)
        middle = place.y + (place.height - 1) // 2
        lines = [(middle, _CAMERA_OFF)] if self._has_names else [(middle, tile.name)]
        return [
            _centred(text, place.x, y, place.width, DEFAULT_COLOR, background, self.style.utf8) for y, text in lines
        ]


def _with_place(name: str, place: int) -> str:
    """A name, with its place if there is a key for it."""
    return f"{place} {name}" if place <= _MAX_INDEX else name


def _centred(text: str, x: int, y: int, width: int, foreground: int, background: int, utf8: bool = True) -> Label:
    glyphs = cut_glyphs(text, width, utf8=utf8)
    return Label(x + (width - len(glyphs)) // 2, y, foreground, background, glyphs)


def _has_room_below(places: Sequence[Placement], rows: int) -> bool:
    """Whether the row under each place is on the screen and free."""
    return all(
        below < rows
        and not any(
            other.y <= below < other.y + other.height
            and other.x < place.x + place.width
            and place.x < other.x + other.width
            for other in places
        )
        for place in places
        for below in (place.y + place.height,)
    )


def _accent(color: ColorLevel) -> int:
    """The colour of people who speak: green, if there are colours."""
    return {
        ColorLevel.NONE: DEFAULT_COLOR,
        ColorLevel.ANSI16: indexed_color(10),
        ColorLevel.ANSI256: indexed_color(120),
        ColorLevel.TRUECOLOR: direct_color(135, 255, 135),
    }[color]


def _wall_color(color: ColorLevel) -> int:
    return {
        ColorLevel.NONE: DEFAULT_COLOR,
        ColorLevel.ANSI16: DEFAULT_COLOR,
        ColorLevel.ANSI256: indexed_color(235),
        ColorLevel.TRUECOLOR: direct_color(_WALL, _WALL, _WALL),
    }[color]
