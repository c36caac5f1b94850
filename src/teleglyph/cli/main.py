"""Entry point: finds the command, runs it, and turns errors into one line and an exit code."""

from __future__ import annotations

import difflib
import errno
import importlib
import io
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

import teleglyph
from teleglyph.cli.config_file import COMMANDS, Configuration, chosen_file, places
from teleglyph.cli.lifecycle import enable_crash_reports
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.option_groups import with_options
from teleglyph.console import discard_output, echo, output_failure, reserve_standard_streams
from teleglyph.errors import OutputClosedError, TeleglyphError

_OUTPUT_FAILURES = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG, errno.EDQUOT)

_COMMANDS = {
    "server": "Host calls",
    "client": "Join a call",
    "invite": "Make a link that lets people join a call on your server",
    "mirror": "See your own video, without a call",
    "play": "Play four in a row with someone at another terminal",
    "chat": "Chat in a room of a Teleglyph server or Nostr relay",
    "events": "Export or import the events of a relay",
    "discovery-service": "Run a service that finds calls by three words",
    "keygen": "Create a key that identifies you",
    "config": "Show, check or create the configuration file",
    "known-hosts": "List or forget servers that you have joined",
    "doctor": "Check this machine and its network, and say what to do",
    "demo": "Show a call with animated participants",
    "help": "Show the help of a command",
}


class _Commands(click.Group):
    """A group that imports a command only when it is needed."""

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
    """Show the help of COMMAND, or list all commands.

    'teleglyph help client' is the same as 'teleglyph client --help'.
    """
    if ctx.parent is None:
        raise RuntimeError("help must be a command of a group")
    at: click.Command = ctx.parent.command
    inner = ctx.parent
    for name in command:
        found = at.get_command(inner, name) if isinstance(at, click.Group) else None
        if found is None:
            known = at.list_commands(inner) if isinstance(at, click.Group) else []
            ctx.fail(_no_command(name, known) if known else f"'{inner.command_path}' has no subcommands.")
        inner = click.Context(found, info_name=name, parent=inner)
        at = found
    echo(at.get_help(inner))


def _printed(print_it: Callable[[], None]) -> Callable[[click.Context, click.Parameter, bool], None]:
    """A callback for a flag that prints something and ends the program."""

    def callback(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            print_it()
            ctx.exit()

    return callback


def _printing_flag(flag: str, print_it: Callable[[], None], text: str) -> Callable[[Any], Any]:
    return click.option(flag, is_flag=True, is_eager=True, expose_value=False, callback=_printed(print_it), help=text)


def _list_webcams() -> None:
    from teleglyph.cli.devices import list_webcams

    list_webcams()


def _list_microphones() -> None:
    from teleglyph.cli.devices import list_sound_devices

    list_sound_devices("microphone")


def _list_speakers() -> None:
    from teleglyph.cli.devices import list_sound_devices

    list_sound_devices("speaker")


def _print_capabilities() -> None:
    from teleglyph.cli.devices import print_capabilities

    print_capabilities()


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Run 'teleglyph COMMAND --help' for the options of a command. New here? Try 'teleglyph demo'.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False),
    envvar="TELEGLYPH_CONFIG",
    expose_value=False,
    help="Read this configuration file instead of those that 'teleglyph config path' lists.",
)
@click.version_option(teleglyph.__version__, "-v", "--version", prog_name="teleglyph")
@with_options(logs=LogOptions)
@_printing_flag("--list-webcams", _list_webcams, "List cameras.")
@_printing_flag("--list-microphones", _list_microphones, "List microphones.")
@_printing_flag("--list-speakers", _list_speakers, "List speakers.")
@_printing_flag("--show-capabilities", _print_capabilities, "Show what this terminal supports.")
@click.pass_context
def cli(ctx: click.Context, logs: LogOptions) -> None:
    """Live video calls drawn in characters."""
    ctx.obj = logs


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit with the code of its error, if any."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    reserve_standard_streams()
    enable_crash_reports()
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
        _report(error)
        sys.exit(error.exit_code)
    except OSError as error:
        # click itself prints help and version.  Every other output goes through the console module.
        if error.errno not in _OUTPUT_FAILURES or error.filename is not None:
            raise
        discard_output()
        failure = output_failure(error)
        _report(failure)
        sys.exit(failure.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: TeleglyphError) -> None:
    if not isinstance(error, OutputClosedError):
        echo(f"teleglyph: {error}", err=True)


def _configured(words: Sequence[str]) -> dict[str, Any]:
    """The defaults from the configuration files.  The command line is not parsed yet, because that needs them."""
    command = next((word for word in words if word in _COMMANDS), "")
    if command not in COMMANDS:
        return {}
    chosen = chosen_file(words[: words.index(command)])
    if chosen is None and not any(place.is_file() for place in places()):
        return {}
    configuration = Configuration(cli)
    return configuration.default_map(configuration.load(chosen), [command])
