"""What a reload changes about rooms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from teleglyph.cli.config_file import Configuration
from teleglyph.cli.option_groups import with_options
from teleglyph.cli.room_options import RoomOptions
from teleglyph.cli.server import game_reader
from teleglyph.rooms.room import GameRules


@pytest.mark.parametrize(
    ("arguments", "grace"), [((), 2.0), (("--room-grace", "7"), 7.0)], ids=["of the file", "of the command line"]
)
def test_values_on_the_command_line_survive_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], grace: float
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[rooms]\ngame = ["chess:2"]\nroom_grace = 1\n')
    monkeypatch.setenv("TELEGLYPH_CONFIG", str(path))
    seen: list[Callable[[], tuple[GameRules, ...]] | None] = []

    @click.command()
    @with_options(rooms=RoomOptions)
    def server(rooms: RoomOptions) -> None:
        seen.append(game_reader(rooms))

    configuration = Configuration(server)
    values = configuration.default_map(configuration.load(path), ["server"])["server"]
    done = CliRunner().invoke(server, arguments, default_map=values, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    path.write_text('[rooms]\ngame = ["chess:2", "go"]\nroom_grace = 2\n')
    read_games = seen[0]
    assert read_games is not None
    games = read_games()
    assert [(game.name, game.grace) for game in games] == [("chess", grace), ("go", grace)]
