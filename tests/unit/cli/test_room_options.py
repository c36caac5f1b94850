"""What a reload changes about rooms, and what it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from teleglyph.cli import config_file
from teleglyph.cli.room_options import room_options, room_settings


@pytest.mark.parametrize(
    ("arguments", "grace"), [((), 2.0), (("--room-grace", "7"), 7.0)], ids=["of the file", "of the command line"]
)
def test_what_the_command_line_says_survives_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], grace: float
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[rooms]\ngame = ["chess:2"]\nroom_grace = 1\n')
    monkeypatch.setenv("TELEGLYPH_CONFIG", str(path))
    seen: list[dict[str, Any]] = []

    @click.command()
    @room_options
    def server(**chosen: Any) -> None:
        seen.append(room_settings(chosen))

    values = config_file.default_map(config_file.load(path), ["server"])["server"]
    done = CliRunner().invoke(server, arguments, default_map=values, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    path.write_text('[rooms]\ngame = ["chess:2", "go"]\nroom_grace = 2\n')
    games = seen[0]["read_games"]()
    assert [(game.name, game.grace) for game in games] == [("chess", grace), ("go", grace)]
