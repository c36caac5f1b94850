"""Prompts: for secrets, and yes or no.

Ctrl-C and Ctrl-D end the command (:class:`click.Abort`) and leave the cursor at the start of a line.
"""

from __future__ import annotations

import sys

import click

from teleglyph.console import echo
from teleglyph.errors import UserError
from teleglyph.printable import printable

TRIES = 3
"""Attempts to type a secret, as with ssh."""


def can_ask() -> bool:
    """Whether there is a terminal to answer on."""
    return sys.stdin.isatty()


def ask_secret(text: str) -> str:
    """Ask for a password or pass phrase without echoing it.

    Raises:
        click.Abort: the user pressed Ctrl-C or Ctrl-D.
        UserError: the answer is not valid text in the terminal's encoding.
    """
    try:
        answer: str = click.prompt(printable(text), hide_input=True, err=True, default="", show_default=False)
        answer.encode()
    except UnicodeError:
        raise UserError("Your input is not valid text in this locale. Set terminal and locale to UTF-8.") from None
    return answer


def ask_new_secret(text: str, max_bytes: int) -> str:
    """Ask for a new secret, twice; it may be empty.

    Args:
        text: the prompt.
        max_bytes: its maximum length.

    Raises:
        click.Abort: the user pressed Ctrl-C or Ctrl-D, or the entries never matched.
    """
    for _ in range(TRIES):
        first = ask_secret(text)
        if len(first.encode()) > max_bytes:
            echo(f"That has {len(first.encode())} bytes; the maximum is {max_bytes}. Try again.", err=True)
        elif first == ask_secret("Repeat it"):
            return first
        else:
            echo("The entries do not match. Try again.", err=True)
    raise click.Abort


def confirm(text: str) -> bool:
    """Ask a yes or no question; Enter means no.

    Raises:
        click.Abort: the user pressed Ctrl-C or Ctrl-D.
    """
    try:
        return click.confirm(printable(text), err=True)
    except click.Abort:
        echo(err=True)  # the cursor is still after the question
        raise
