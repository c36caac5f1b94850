"""The source of pictures, chosen by the command line, the environment or the configuration file."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from teleglyph.cli.option_groups import with_options
from teleglyph.cli.source_options import FILE_ARGUMENT, Source, SourceOptions


def ask(
    *arguments: str, with_file: bool = True, defaults: dict[str, Any] | None = None, **environment: str
) -> Source | str:
    """The source that a command line chooses, or the error output."""
    found: list[Source] = []

    @with_options(sources=SourceOptions)
    def command(sources: SourceOptions, file_argument: str | None = None) -> None:
        found.append(sources.source(file_argument))

    settings = {"auto_envvar_prefix": "TELEGLYPH", "default_map": defaults or {}}
    argument = click.argument(FILE_ARGUMENT, default="")
    tool = click.command(context_settings=settings)(argument(command) if with_file else command)
    result = CliRunner().invoke(tool, arguments, env=environment)
    return found[0] if found else result.output


@pytest.mark.parametrize("arguments", [("film.mp4",), ("--file", "film.mp4"), ("-f", "film.mp4")])
@pytest.mark.parametrize("loop", [(), ("--loop",), ("-l",)])
def test_a_file_is_an_option_or_an_argument_and_can_be_looped(
    arguments: tuple[str, ...], loop: tuple[str, ...]
) -> None:
    assert ask(*arguments, *loop) == Source("film.mp4", bool(loop), None, None)
    assert ask(*loop, *arguments) == Source("film.mp4", bool(loop), None, None)


@pytest.mark.parametrize("name", ["-x.png", "%d.png", "a:b.mp4"])
def test_odd_names_are_accepted_unchanged(name: str) -> None:
    assert ask("--file", name) == Source(name, False, None, None)
    assert ask("--", name) == Source(name, False, None, None)


def test_a_loop_without_a_file_is_refused() -> None:
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
def test_two_sources_cannot_be_combined(arguments: tuple[str, ...]) -> None:
    assert "cannot be combined" in str(ask(*arguments))


def test_the_command_line_overrides_the_environment_and_the_file(tmp_path: Path) -> None:
    assert ask("film.mp4", TELEGLYPH_FILE="other.mp4") == Source("film.mp4", False, None, None)
    assert ask("film.mp4", defaults={"pattern": "face"}) == Source("film.mp4", False, None, None)
    assert ask("--pattern", "face", defaults={"file": "a", "loop": True}) == Source(None, False, "face", None)
    assert ask(defaults={"file": "a", "loop": True}) == Source("a", True, None, None)
    assert ask(defaults={"loop": True}) == Source(None, False, None, None)


def test_only_a_disabled_camera_is_replaced() -> None:
    bars = Source(None, False, "bars", None)
    assert ask(WEBCAM_DISABLED="1") == bars
    assert ask("-c", "0", WEBCAM_DISABLED="1") == bars
    assert ask("film.mp4", "--loop", WEBCAM_DISABLED="1") == Source("film.mp4", True, None, None)
    assert ask("--pattern", "face", WEBCAM_DISABLED="1") == Source(None, False, "face", None)
