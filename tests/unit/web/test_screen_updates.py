"""The page applies updates of screens exactly as the native decoder does, damaged ones included."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import subprocess
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from teleglyph.media import _native
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.grid import (
    Composition,
    Encoding,
    Grid,
    Label,
    compose,
    encode_updates,
    glyph_width,
    glyphs_of,
    indexed_color,
)
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, custom_palette
from teleglyph.media.style import Style

SCRIPT = Path(__file__).parents[2] / "web" / "apply_updates.js"
STYLES = [
    Style.create(level, mode, palette, True, dithered=dithered)
    for level, mode in itertools.product(ColorLevel, RenderMode)
    for palette, dithered in [(BUILT_IN["standard"], False), (custom_palette("▒ é#"), True)]
]
SIZES = [(1, 1), (2, 3), (17, 5), (40, 12), (80, 24)]
TEXTS = ["", "Anna", "世界 is wide", "日本語テキスト", "é😀x"]


@dataclass
class Recording:
    """A screen, and updates for it: whether each is whole, and its body."""

    columns: int
    rows: int
    updates: list[tuple[bool, bytes]]


def record(generator: np.random.Generator, style: Style, columns: int, rows: int, count: int) -> Recording:
    """What the server sends while a picture changes."""
    canvas, wanted, shown = Canvas.of(columns, rows, style), Grid(columns, rows), Grid(columns, rows)
    recording = Recording(columns, rows, [])
    noise = generator.integers(0, 256, (2 * rows, 2 * columns, 3), np.uint8)
    for number in range(count):
        noise[:: number + 1] = (noise[:: number + 1] + generator.integers(0, 60)).astype(np.uint8)
        width, height = int(generator.integers(1, columns + 1)), int(generator.integers(1, rows + 1))
        x, y = int(generator.integers(0, columns - width + 1)), int(generator.integers(0, rows - height + 1))
        text = glyphs_of(str(generator.choice(TEXTS)), width)
        labels = [Label(x, y, 0, indexed_color(4), text)]
        compose([Composition(wanted, canvas, [Draw(noise, x, y, width, height)], style, labels)])
        whole = number == 0 or bool(generator.random() < 0.1)
        (update,) = encode_updates([Encoding(wanted, shown, style, int(generator.choice([0, 30, 800])), whole)])
        recording.updates.append((whole, update.body))
    return recording


def mutated(generator: np.random.Generator, body: bytes, other: bytes) -> bytes:
    """A body with a few changes."""
    data = bytearray(body)
    for _ in range(int(generator.integers(1, 4))):
        at, length = int(generator.integers(0, len(data) + 1)), int(generator.integers(1, 9))
        # Most changes near the beginning, where the structure is.
        at = min(at, int(generator.integers(0, 40))) if generator.random() < 0.6 else at
        match int(generator.integers(0, 8)):
            case 0:
                del data[at:]
            case 1 if at < len(data):
                data[at] ^= 1 << int(generator.integers(0, 8))
            case 2:
                data[at:at] = generator.bytes(length)
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[max(0, at - length) : at]
            case 5 if at < len(data):
                data[at] = int(generator.choice([0, 1, 0x7F, 0x80, 0xFF]))
            case 6:
                data[at:] = other[at:]
            case _:
                data += generator.bytes(length)
    return bytes(data)


def damaged(generator: np.random.Generator, recordings: list[Recording], bodies: int) -> Iterator[Recording]:
    """Recordings with damaged bodies between the good ones."""
    while bodies > 0:
        recording = recordings[int(generator.integers(0, len(recordings)))]
        other = recordings[int(generator.integers(0, len(recordings)))]
        updates = []
        for whole, body in recording.updates:
            updates.append((whole, body))
            for _ in range(6):
                kind = bool(generator.random() < 0.5)
                updates.append((kind, mutated(generator, body, other.updates[-1][1])))
                bodies -= 1
        size = (recording.columns, recording.rows) if generator.random() < 0.9 else (other.columns, other.rows)
        yield Recording(*size, updates)


class PageGlyphs(NamedTuple):
    """What the page knows of each code point: a byte each."""

    widths: bytes
    are_assigned: bytes


@cache
def page_glyphs() -> PageGlyphs:
    """The page's widths of all code points."""
    done = subprocess.run(["node", SCRIPT], capture_output=True, check=True, timeout=60)
    widths, are_assigned = bytearray(), bytearray()
    runs = json.loads(done.stdout)
    for (first, width, is_assigned), (end, *_) in itertools.pairwise([*runs, [0x110000]]):
        widths += bytes([width]) * (end - first)
        are_assigned += bytes([is_assigned]) * (end - first)
    return PageGlyphs(bytes(widths), bytes(are_assigned))


def expected(recording: Recording) -> list[str]:
    """What the native decoder makes of a recording, as the script prints it."""
    grid, results = Grid(recording.columns, recording.rows), []
    for whole, body in recording.updates:
        try:
            # Tables of Unicode differ between Python and Node, and another test compares the widths.
            widths = bytes(page_glyphs().widths[glyph] for glyph in _native.update_glyphs(body))
            _native.apply_update(body, whole, widths, grid)
            results.append("1")
        except ValueError:
            results.append("0")
        cells = np.array(grid.characters(), "<u4").tobytes()
        results.append(hashlib.sha1(cells, usedforsecurity=False).hexdigest())
    return results


def assert_applied_alike(recordings: list[Recording], folder: Path) -> tuple[int, int]:
    """Compare both decoders.

    Returns:
        How many updates were accepted, and how many refused.
    """
    path = folder / "updates"
    with path.open("w") as file:
        for recording in recordings:
            updates = [(whole, base64.b64encode(body).decode()) for whole, body in recording.updates]
            json.dump({"columns": recording.columns, "rows": recording.rows, "updates": updates}, file)
            file.write("\n")
    done = subprocess.run(["node", SCRIPT, path], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    decisions = []
    for number, (recording, line) in enumerate(zip(recordings, done.stdout.splitlines(), strict=True)):
        results = expected(recording)
        assert line.split() == results, f"recording {number} of {recording.columns}x{recording.rows}"
        decisions += results[::2]
    return decisions.count("1"), decisions.count("0")


def all_recordings(generator: np.random.Generator) -> list[Recording]:
    """Each style on two sizes."""
    sizes = itertools.cycle(SIZES)
    return [record(generator, style, *next(sizes), 4) for style in STYLES for _ in range(2)]


def test_updates_of_all_modes_are_applied_as_by_the_native_decoder(tmp_path: Path) -> None:
    recordings = all_recordings(np.random.default_rng(1))
    assert assert_applied_alike(recordings, tmp_path) == (4 * len(recordings), 0)


def test_large_screens_and_many_glyphs(tmp_path: Path) -> None:
    generator = np.random.default_rng(2)
    style = Style.create(ColorLevel.TRUECOLOR, RenderMode.SEXTANT, BUILT_IN["standard"], True)
    wide, shown = Grid(400, 300), Grid(400, 300)
    # More than 256 glyphs have indices of two bytes.
    wide.put([Label(0, row, 0, 0, [0x4E00 + row, 0, 0x2800 + row % 256]) for row in range(300)])
    (update,) = encode_updates([Encoding(wide, shown, style)])
    recordings = [record(generator, style, 240, 67, 3), Recording(400, 300, [(False, update.body)])]
    assert assert_applied_alike(recordings, tmp_path) == (4, 0)


def test_damaged_updates_are_refused_as_by_the_native_decoder(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    recordings = list(damaged(generator, all_recordings(generator), 6000))
    accepted, refused = assert_applied_alike(recordings, tmp_path)
    assert min(accepted, refused) > 1000


def number(value: int) -> bytes:
    """A number as encoded in updates."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)


def any_update(generator: np.random.Generator, cells: int) -> bytes:
    """A valid update with any code points, most of them wide, and any colours."""
    count = int(generator.choice([1, 2, 5, 256, 257, 300]))
    special = [0, 0, 0x1B, 0x20, 0x41, 0xAD, 0x301, 0x25FD, 0x4E16, 0x4E17, 0x1F600, 0x202E, 0xD800, 0xE000, 0x10FFFF]
    glyphs = [
        int(generator.choice(special)) if generator.random() < 0.8 else int(generator.integers(0, 0x110000))
        for _ in range(count)
    ]
    kinds = generator.integers(0, 3, (count, 2))
    changes = generator.random(cells) < generator.random()
    indices = generator.integers(0, count, int(changes.sum()))
    body = number(count)
    for glyph, (foreground, background) in zip(glyphs, kinds, strict=True):
        body += number(glyph << 4 | int(foreground) << 2 | int(background))
    for bits in np.packbits(changes, bitorder="little"):
        body += bytes([bits]) if bits else b"\0\1"
    body += b"\0\0"
    if count > 1:
        body += indices.astype(np.uint8 if count <= 256 else "<u2").tobytes()
    for used in (kinds[indices, 0], kinds[indices, 1]):
        body += generator.bytes(3 * int((used == 2).sum()) + int((used == 1).sum()))
    return body


def test_any_characters_are_treated_as_by_the_native_decoder(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    recordings = []
    for _ in range(200):
        columns, rows = int(generator.integers(1, 20)), int(generator.integers(1, 5))
        updates = [(bool(generator.random() < 0.3), any_update(generator, columns * rows)) for _ in range(5)]
        recordings.append(Recording(columns, rows, updates))
    assert assert_applied_alike(recordings, tmp_path) == (1000, 0)


def test_the_page_counts_the_columns_of_characters_as_the_server_does() -> None:
    page = page_glyphs()
    different = [
        hex(glyph)
        for glyph in range(0x110000)
        if page.widths[glyph] != glyph_width(glyph)
        # Python and Node may know different versions of Unicode.
        and page.are_assigned[glyph]
        and unicodedata.category(chr(glyph)) != "Cn"
    ]
    assert not different
    assert page.widths.count(2) > 100_000
