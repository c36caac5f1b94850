"""The choice of a call, if the user names none."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from click.core import ParameterSource

from teleglyph.cli.client_options import JoinOptions
from teleglyph.cli.lifecycle import run
from teleglyph.cli.option_groups import source_of
from teleglyph.cli.questions import can_ask
from teleglyph.client.address import DEFAULT_PORT
from teleglyph.client.call_choice import CallChoice, choose_call
from teleglyph.client.recent_calls import RecentCalls
from teleglyph.client.terminal.capabilities import detect
from teleglyph.client.terminal.chooser import Chooser
from teleglyph.console import echo

_FROM_FILE = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def may_choose(joining: JoinOptions) -> bool:
    """Whether the user can choose a call: on a terminal with a cursor, and without options that name one."""
    names_one = joining.room is not None or source_of("port") not in _FROM_FILE
    return not names_one and can_ask() and detect(os.environ, ask=False).cursor


def choose(recent: RecentCalls, joining: JoinOptions) -> CallChoice | None:
    """Let the user choose a call; None if they left.

    Args:
        recent: calls that were joined before.
        joining: has the port of a server on this machine.
    """
    chosen: list[CallChoice | None] = []
    restore: list[Callable[[], None]] = []
    utf8 = detect(os.environ, ask=False).utf8

    def on_chooser(chooser: Chooser) -> None:
        restore.append(chooser.restore)

    async def ask(stop: asyncio.Event) -> int:
        port = joining.port or DEFAULT_PORT
        chosen.append(await choose_call(recent, port, stop, utf8=utf8, on_chooser=on_chooser))
        return 0

    def on_abort() -> None:
        for each in restore:
            each()

    run(ask, on_abort)
    if recent.notice and not restore:
        echo(f"teleglyph: {recent.notice}", err=True)
    return chosen[0]
