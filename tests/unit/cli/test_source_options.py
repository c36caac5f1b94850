"""Where the picture comes from, as the command line, the environment and the configuration say it."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from teleglyph.cli.options import SourceOptions, file_argument, source_options


def ask(
    *arguments: str, with_file: bool = True, defaults: dict[str, Any] | None = None, **environment: str
) -> SourceOptions | str:
    """What the options make of a command line, or the error."""
    found: list[SourceOptions] = []

    def command(source_options: SourceOptions) -> None:
        found.append(source_options)

    decorated = source_options(command)
    settings = {"auto_envvar_prefix": "TELEGLYPH", "default_map": defaults or {}}
    tool = click.command(context_settings=settings)(file_argument(decorated) if with_file else decorated)
    result = CliRunner().invoke(tool, arguments, env=environment)
    return found[0] if found else result.output


@pytest.mark.parametrize("arguments", [("film.mp4",), ("--file", "film.mp4"), ("-f", "film.mp4")])
@pytest.mark.parametrize("loop", [(), ("--loop",), ("-l",)])
def test_a_file_can_be_named_in_both_ways_and_looped(arguments: tuple[str, ...], loop: tuple[str, ...]) -> None:
    assert ask(*arguments, *loop) == SourceOptions("film.mp4", bool(loop), None, None)
    assert ask(*loop, *arguments) == SourceOptions("film.mp4", bool(loop), None, None)


@pytest.mark.parametrize("name", ["-x.png", "%d.png", "a:b.mp4"])
def test_odd_names_are_taken_as_they_are(name: str) -> None:
    assert ask("--file", name) == SourceOptions(name, False, None, None)
    assert ask("--", name) == SourceOptions(name, False, None, None)


def test_a_loop_without_a_file_says_how_to_name_one() -> None:
    assert "--loop needs a FILE or --file" in str(ask("--loop"))
    assert "--loop needs --file" in str(ask("--loop", with_file=False))
    assert "--loop needs a FILE or --file" in str(ask("--loop", "--test-pattern"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("a", "--file", "b"),
        ("a", "--test-pattern"),
        ("--file", "a", "--pattern", "face"),
        ("-c", "1", "--test-pattern"),
    ],
)
def test_two_sources_exclude_each_other(arguments: tuple[str, ...]) -> None:
    assert "exclude each other" in str(ask(*arguments))


def test_the_command_line_wins_over_the_environment_and_the_configuration(tmp_path: Path) -> None:
    assert ask("film.mp4", TELEGLYPH_FILE="other.mp4") == SourceOptions("film.mp4", False, None, None)
    assert ask("film.mp4", defaults={"pattern": "face"}) == SourceOptions("film.mp4", False, None, None)
    assert ask("--pattern", "face", defaults={"file": "a", "loop": True}) == SourceOptions(None, False, "face", None)
    assert ask(defaults={"file": "a", "loop": True}) == SourceOptions("a", True, None, None)
    assert ask(defaults={"loop": True}) == SourceOptions(None, False, None, None)


def test_a_disabled_camera_is_replaced_and_nothing_else() -> None:
    bars = SourceOptions(None, False, "bars", None)
    assert ask(WEBCAM_DISABLED="1") == bars
    assert ask("-c", "0", WEBCAM_DISABLED="1") == bars
    assert ask("film.mp4", "--loop", WEBCAM_DISABLED="1") == SourceOptions("film.mp4", True, None, None)
    assert ask("--pattern", "face", WEBCAM_DISABLED="1") == SourceOptions(None, False, "face", None)
