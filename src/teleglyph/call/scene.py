"""The scene of a room: everybody in it at one moment, with a picture or without."""

from __future__ import annotations

from typing import NamedTuple

from teleglyph.call.picture import Pixels

NO_PICTURE_ASPECT = 1.5
"""Shape of a tile without a picture."""


class Tile(NamedTuple):
    """One participant's part of a scene.

    Attributes:
        number: the participant's.
        name: safe to show.
        pixels: the newest picture; None without one.
        version: differs for every picture.
        aspect: width over height of the picture.
        speaking: can be heard.
        frozen: the picture is on but old.
        listening: sound is on.
        view_only: may only watch and listen.
    """

    number: int
    name: str
    pixels: Pixels | None
    version: int
    aspect: float
    speaking: bool
    frozen: bool
    listening: bool = False
    view_only: bool = False


Scene = tuple[Tile, ...]
"""Everybody in order of joining."""
