"""The server's options for rooms."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import click
from click.core import ParameterSource

from teleglyph.cli import config_file
from teleglyph.cli.options import Number, OptionGroup
from teleglyph.rooms.relay import RelayLimits
from teleglyph.rooms.room import GameRules

_PUBLIC = ":public"


def _rules(games: tuple[tuple[str, int, bool], ...], grace: float, max_message: int) -> tuple[GameRules, ...]:
    return tuple(GameRules(name, most, grace, max_message, is_public) for name, most, is_public in games)


def _is_configured(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is ParameterSource.DEFAULT_MAP


def _was_given(name: str) -> bool:
    """Whether an option stands on the command line or in the environment, which count more than a file."""
    given = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    return click.get_current_context().get_parameter_source(name) in given


def _read_games(given: Mapping[str, Any]) -> tuple[GameRules, ...]:
    """The games of the configuration as it is now.

    Args:
        given: values that count more than those of the configuration.

    Raises:
        ConfigurationError: it cannot be read, or says what cannot be.
    """
    chosen = config_file.chosen_file(sys.argv[1:])
    values = {**config_file.default_map(config_file.load(chosen), ["server"]).get("server", {}), **given}
    defaults = GameRules("")
    return _rules(
        tuple(map(_parse_game, values.get("games", ()))),
        float(values.get("room_grace", defaults.grace)),
        int(values.get("room_message_bytes", defaults.max_message)),
    )


def _parse_game(text: str) -> tuple[str, int, bool]:
    name, is_public = (text[: -len(_PUBLIC)], True) if text.endswith(_PUBLIC) else (text, False)
    name, _, most = name.rpartition(":") if ":" in name else (name, "", "0")
    if not name or not name.isprintable() or not most.isdecimal() or int(most) > 65535:
        raise click.BadParameter(
            f"'{text}' is no game: write NAME, or NAME:MAX with a number of players up to 65535; "
            f"'{_PUBLIC}' behind it has its rooms listed"
        )
    return name, int(most), is_public


room_options = OptionGroup(
    click.option(
        "--game",
        "games",
        multiple=True,
        metavar="NAME[:MAX][:public]",
        callback=lambda _ctx, _param, values: tuple(map(_parse_game, values)),
        envvar="TELEGLYPH_GAME",
        help="Relay rooms for this game (or whatever it is) over WebSocket, for at most MAX players, the host "
        "included; with ':public' GET /rooms lists them.",
    ),
    click.option(
        "--room-grace",
        type=Number(0, 3600),
        default=30.0,
        show_default=True,
        envvar="TELEGLYPH_ROOM_GRACE",
        help="Seconds for which a room waits for its host, and a seat for its player.",
    ),
    click.option(
        "--room-message-bytes",
        type=click.IntRange(64, 16 << 20),
        default=64 << 10,
        show_default=True,
        envvar="TELEGLYPH_ROOM_MESSAGE_BYTES",
        help="The largest message in a room.",
    ),
    click.option(
        "--rooms-per-address",
        type=click.IntRange(0),
        default=50,
        show_default=True,
        envvar="TELEGLYPH_ROOMS_PER_ADDRESS",
        help="Rooms that one address may have open at once; 0: any number.",
    ),
    click.option(
        "--origin",
        "origins",
        multiple=True,
        metavar="URL",
        envvar="TELEGLYPH_ORIGIN",
        help="Let pages of this address use rooms as well (https://example.org); pages of this server always may.",
    ),
)
"""Decorates a command with them."""


def room_settings(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What of the server's configuration is about rooms.

    Args:
        chosen: the command's values by the options' names.
    """
    given = {name: chosen[name] for name in ("room_grace", "room_message_bytes") if _was_given(name)}
    return {
        "games": _rules(chosen["games"], chosen["room_grace"], chosen["room_message_bytes"]),
        "read_games": partial(_read_games, given) if _is_configured("games") else None,
        "origins": chosen["origins"],
        "relay": RelayLimits(rooms_per_address=chosen["rooms_per_address"]),
    }
