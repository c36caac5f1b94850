"""The server's options for relay rooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from teleglyph.cli.option_groups import option, source_of
from teleglyph.cli.option_types import Number
from teleglyph.rooms.room import GameRules

_PUBLIC = ":public"
_GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
_Game = tuple[str, int, bool]
"""Name, maximum number of players, and whether its rooms are listed."""


def _parse_game(text: str) -> _Game:
    name, is_public = (text[: -len(_PUBLIC)], True) if text.endswith(_PUBLIC) else (text, False)
    name, _, most = name.rpartition(":") if ":" in name else (name, "", "0")
    if not name or not name.isprintable() or not most.isdecimal() or int(most) > 65535:
        raise click.BadParameter(
            f"'{text}' is not a game. Write NAME or NAME:MAX, with at most 65535 players. "
            f"Add '{_PUBLIC}' to list its rooms."
        )
    return name, int(most), is_public


def _parse_games(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[_Game, ...]:
    return tuple(map(_parse_game, values))


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomOptions:
    """Which rooms there may be, and their limits."""

    games: tuple[_Game, ...] = option(
        "--game",
        table="rooms",
        multiple=True,
        metavar="NAME[:MAX][:public]",
        callback=_parse_games,
        help="Allow relay rooms over WebSocket for this game (or other program), with at most MAX players including "
        "the host. With ':public', GET /rooms lists them. May be repeated.",
    )
    room_grace: float = option(
        "--room-grace",
        table="rooms",
        type=Number(0, 3600),
        default=30.0,
        show_default=True,
        help="Seconds that a room waits for its host to return, and a seat for its player.",
    )
    room_message_bytes: int = option(
        "--room-message-bytes",
        table="rooms",
        type=click.IntRange(64, 16 << 20),
        default=64 << 10,
        show_default=True,
        help="Maximum size of a room message, in bytes.",
    )
    rooms_per_address: int = option(
        "--rooms-per-address",
        table="rooms",
        type=click.IntRange(0),
        default=50,
        show_default=True,
        help="Maximum open rooms from one address; 0 for no limit.",
    )
    origins: tuple[str, ...] = option(
        "--origin",
        table="rooms",
        multiple=True,
        metavar="URL",
        help="Also let web pages from this origin (https://example.org) use rooms. The server's own pages always may. "
        "May be repeated.",
    )

    @property
    def rules(self) -> tuple[GameRules, ...]:
        """The rules of each game."""
        return _rules(self.games, self.room_grace, self.room_message_bytes)

    def given(self) -> dict[str, Any]:
        """The rules' values on the command line or in the environment, which override the configuration file."""
        return {name: getattr(self, name) for name in ("room_grace", "room_message_bytes") if source_of(name) in _GIVEN}


def rules_of(values: Mapping[str, Any]) -> tuple[GameRules, ...]:
    """The rules of each game.

    Args:
        values: the configuration's, by the names of :class:`RoomOptions`.

    Raises:
        click.BadParameter: a text does not name a game.
    """
    defaults = GameRules("")
    return _rules(
        tuple(map(_parse_game, values.get("games", ()))),
        float(values.get("room_grace", defaults.grace)),
        int(values.get("room_message_bytes", defaults.max_message)),
    )


def _rules(games: tuple[_Game, ...], grace: float, max_message: int) -> tuple[GameRules, ...]:
    return tuple(GameRules(name, most, grace, max_message, is_public) for name, most, is_public in games)
