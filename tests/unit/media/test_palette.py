from __future__ import annotations

import pytest
import wcwidth

from teleglyph.errors import UserError
from teleglyph.media.palette import BUILT_IN, custom_palette


def test_the_built_in_palettes_are_the_protocols_and_one_of_measured_ink() -> None:
    assert {name: palette.glyphs for name, palette in BUILT_IN.items()} == {
        "standard": "   ...',;:clodxkO0KXNWM",
        "blocks": "   \u2591\u2591\u2592\u2592\u2593\u2593\u2588\u2588",
        "digital": "   -=\u2261\u2263\u25b0\u25b1\u25fc",
        "minimal": "   .-+*#",
        "cool": "   \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588",
        "ink": " `-',:~_^!*r/<?cijTCIy%e4P$U6ODRQWBM@",
    }
    assert all(palette.name == name for name, palette in BUILT_IN.items())


def test_every_built_in_glyph_is_one_column_wide() -> None:
    glyphs = {glyph for palette in BUILT_IN.values() for glyph in palette.glyphs}
    assert {wcwidth.wcwidth(glyph) for glyph in glyphs} == {1}


def test_a_custom_palette_keeps_its_characters_in_order() -> None:
    palette = custom_palette(" .oO░█")
    assert (palette.name, palette.glyphs) == ("custom", " .oO░█")


def test_palettes_of_one_and_of_255_characters_are_accepted() -> None:
    assert custom_palette("#").glyphs == "#"
    assert len(custom_palette("x" * 255).glyphs) == 255


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "at least one"),
        ("x" * 256, "at most 255 characters, not 256"),
        (" .\x1b#", "U\\+001B: it is not printable"),
        ("a\tb", "U\\+0009"),
        ("a\nb", "U\\+000A"),
        ("a\x7fb", "U\\+007F"),
        ("a\x9bb", "U\\+009B"),
        (" 漢", "U\\+6F22\\): it is 2 columns wide"),
        (" 🙂", "2 columns wide"),
        ("e\u0301", "U\\+0301\\): it is 0 columns wide"),
        ("a\u200bb", "U\\+200B"),
        ("a\u202eb", "U\\+202E"),
        ("a\ud800b", "U\\+D800"),
    ],
)
def test_characters_that_are_not_one_column_wide_are_refused(text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        custom_palette(text)
