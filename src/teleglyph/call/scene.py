"""What there is to see of a room at one moment: everybody in it, with a picture or without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from teleglyph.call.picture import Pixels

if TYPE_CHECKING:
    from teleglyph.call.participant import Participant

FROZEN_SECONDS = 1.5
"""A picture that is on, watched, and older than this is called frozen."""
_NO_PICTURE_ASPECT = 1.5


class Tile(NamedTuple):
    """One participant's place.

    Attributes:
        number: the participant's.
        name: safe to show.
        pixels: the newest picture; None while there is none.
        version: another one for every picture.
        aspect: width over height of the picture.
        speaking: can be heard.
        frozen: the picture is on but old.
    """

    number: int
    name: str
    pixels: Pixels | None
    version: int
    aspect: float
    speaking: bool
    frozen: bool


Scene = tuple[Tile, ...]
"""Everybody in order of joining."""


def scene_of(participants: Iterable[Participant]) -> Scene:
    """The scene at this moment."""
    return tuple(
        Tile(
            participant.number,
            participant.name,
            picture.pixels if participant.sends_video else None,
            picture.version if participant.sends_video else 0,
            picture.aspect if participant.sends_video else _NO_PICTURE_ASPECT,
            participant.voice.is_speaking,
            participant.is_frozen,
        )
        for participant in participants
        for picture in (participant.picture,)
    )
