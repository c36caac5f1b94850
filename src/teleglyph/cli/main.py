"""Entry point: finds the command, runs it, turns errors into one line and an exit code."""

from __future__ import annotations

import difflib
import errno
import importlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import click

import teleglyph
from teleglyph.cli.logs import LogOptions
from teleglyph.console import discard_output, echo, output_failure, reserve_standard_streams
from teleglyph.errors import OutputClosedError, TeleglyphError

_OUTPUT_FAILURES = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG, errno.EDQUOT)

_COMMANDS = {
    "server": "Host calls for others",
    "client": "Join a call",
    "mirror": "See your own picture, without a call",
    "play": "Play four in a row with somebody at another terminal",
    "chat": "Write to the people of a room, on this server's relay or another",
    "events": "Take a relay's events out of its database, or put them in",
    "keygen": "Make a key that proves who you are",
    "config": "See, check and begin the configuration file",
    "known-hosts": "List and forget the servers you have joined before",
    "demo": "A call with animated participants on this machine, to look at",
    "help": "Explain a command and its options",
}


class _Commands(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "help":
            return explain
        if cmd_name not in _COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"teleglyph.cli.{name}")
        command: click.Command = getattr(module, name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            ctx.fail(_no_command(args[0], list(_COMMANDS)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _no_command(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else f" Commands: {', '.join(known)}."
    return f"There is no command '{name}'.{hint}"


@click.command("help")
@click.argument("command", nargs=-1)
@click.pass_context
def explain(ctx: click.Context, command: tuple[str, ...]) -> None:
    """Explain COMMAND and its options, or list all commands.

    'teleglyph help client' prints the same as 'teleglyph client --help'.
    """
    if ctx.parent is None:
        raise RuntimeError("help is a command of a group")
    at: click.Command = ctx.parent.command
    inner = ctx.parent
    for name in command:
        found = at.get_command(inner, name) if isinstance(at, click.Group) else None
        if found is None:
            known = at.list_commands(inner) if isinstance(at, click.Group) else []
            ctx.fail(_no_command(name, known) if known else f"'{inner.command_path}' has no commands of its own.")
        inner = click.Context(found, info_name=name, parent=inner)
        at = found
    echo(at.get_help(inner))


def _list_webcams(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from teleglyph.cli.devices import list_webcams

        list_webcams()
        ctx.exit()


def _list_microphones(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from teleglyph.cli.devices import list_sound_devices

        list_sound_devices("microphone")
        ctx.exit()


def _list_speakers(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from teleglyph.cli.devices import list_sound_devices

        list_sound_devices("loudspeaker")
        ctx.exit()


def _show_capabilities(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from teleglyph.cli.devices import show_capabilities

        show_capabilities()
        ctx.exit()


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="'teleglyph COMMAND --help' explains a command's options. Start with 'teleglyph demo'.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False),
    envvar="TELEGLYPH_CONFIG",
    expose_value=False,
    help="Read this configuration instead of those that 'teleglyph config path' lists.",
)
@click.version_option(teleglyph.__version__, "-v", "--version", prog_name="teleglyph")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warn", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    envvar="TELEGLYPH_LOG_LEVEL",
    help="Lowest level that is logged.",
)
@click.option(
    "-L",
    "--log-file",
    type=click.Path(dir_okay=False),
    envvar="TELEGLYPH_LOG_FILE",
    help="Append the log to this file as well.",
)
@click.option("--json", "as_json", is_flag=True, envvar="TELEGLYPH_JSON", help="Log JSON lines.")
@click.option("-q", "--quiet", is_flag=True, envvar="TELEGLYPH_QUIET", help="No log on the terminal.")
@click.option(
    "--list-webcams", is_flag=True, is_eager=True, expose_value=False, callback=_list_webcams, help="List cameras."
)
@click.option(
    "--list-microphones",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_microphones,
    help="List microphones.",
)
@click.option(
    "--list-speakers",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_speakers,
    help="List loudspeakers.",
)
@click.option(
    "--show-capabilities",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_capabilities,
    help="Print what this terminal can show.",
)
@click.pass_context
def cli(ctx: click.Context, log_level: str, log_file: str | None, as_json: bool, quiet: bool) -> None:
    """Live video calls drawn in characters."""
    ctx.obj = LogOptions(log_level.lower(), log_file, as_json, quiet)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the codes that the documentation lists."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    reserve_standard_streams()
    try:
        code = cli.main(words, prog_name="teleglyph", standalone_mode=False, default_map=_configured(words))
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        echo(text.getvalue(), err=True, end="")
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(1)
    except TeleglyphError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except OSError as error:
        # Help and version are printed by click itself; every other failure of this kind has been dealt with.
        if error.errno not in _OUTPUT_FAILURES or error.filename is not None:
            raise
        discard_output()
        failure = output_failure(error)
        _complain(failure)
        sys.exit(failure.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(error: TeleglyphError) -> None:
    if not isinstance(error, OutputClosedError):
        echo(f"teleglyph: {error}", err=True)


def _configured(words: Sequence[str]) -> dict[str, Any]:
    """The commands' defaults from the configuration; it is needed before the words themselves are understood."""
    command = next((word for word in words if word in _COMMANDS), "")
    if command not in ("server", "client", "mirror", "demo"):
        return {}
    from teleglyph.cli import config_file

    chosen = config_file.chosen_file(words[: words.index(command)])
    if chosen is None and not any(place.is_file() for place in config_file.places()):
        return {}
    return config_file.default_map(config_file.load(chosen), [command])
