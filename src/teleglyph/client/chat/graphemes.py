"""Graphemes in prompt_toolkit's line editor, which works with code points."""

from __future__ import annotations

from bisect import bisect_left

import wcwidth
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput


def grapheme_before(document: Document) -> str:
    """The grapheme before the cursor; empty at the start of a row."""
    *_, last = "", *wcwidth.iter_graphemes(document.current_line_before_cursor)
    return last


def grapheme_after(document: Document) -> str:
    """The grapheme after the cursor; empty at the end of a row."""
    return next(iter(wcwidth.iter_graphemes(document.current_line_after_cursor)), "")


class GraphemeProcessor(Processor):
    """Shows an emoji of several characters as its first one while it is edited.

    Terminals disagree about the width of the whole, which would misplace the cursor.
    """

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Shorten the graphemes of a row."""
        text = fragment_list_to_text(transformation_input.fragments)
        if text.isascii():
            return Transformation(transformation_input.fragments)
        shown = ""
        places: list[int] = []  # The displayed position of each character.
        for grapheme in wcwidth.iter_graphemes(text):
            short = _short(grapheme)
            places += [len(shown) + min(index, len(short)) for index in range(len(grapheme))]
            shown += short
        places.append(len(shown))
        last = len(places) - 1
        return Transformation(
            [("", shown)],
            source_to_display=lambda index: places[min(index, last)] + max(0, index - last),
            display_to_source=lambda index: min(bisect_left(places, index), last),
        )


def _short(grapheme: str) -> str:
    """The part of a grapheme that every terminal draws with the same width."""
    if "\U0001f1e6" <= grapheme[0] <= "\U0001f1ff":
        return "\N{WHITE SQUARE}"  # The width of half a flag differs between terminals.
    if len(grapheme) > 1 and any(
        character in "\u200d\ufe0f" or "\U0001f3fb" <= character <= "\U0001f3ff" for character in grapheme
    ):
        return grapheme[0]
    return grapheme
