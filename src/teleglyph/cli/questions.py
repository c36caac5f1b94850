"""Questions to the person at the terminal: secrets, and yes or no.

Ctrl-C and Ctrl-D leave the command (:class:`click.Abort`), with the cursor at the start of a new line.
"""

from __future__ import annotations

import sys

import click

from teleglyph.console import echo
from teleglyph.errors import UserError
from teleglyph.printable import printable

TRIES = 3
"""How often a person may type a secret, as with ssh."""


def can_ask() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def ask_secret(text: str) -> str:
    """Ask for a password or a pass phrase, which does not show while it is typed.

    Raises:
        click.Abort: the person wants to leave.
        UserError: the terminal's bytes are not text in its encoding.
    """
    try:
        answer: str = click.prompt(printable(text), hide_input=True, err=True, default="", show_default=False)
        answer.encode()
    except UnicodeError:
        raise UserError("What you typed is not valid text here. Set your terminal and your locale to UTF-8.") from None
    return answer


def ask_new_secret(text: str, most: int) -> str:
    """Ask for a new secret, twice; may be empty.

    Args:
        text: what is asked for.
        most: bytes that it may have.

    Raises:
        click.Abort: the person wants to leave, or typed something different each time.
    """
    for _ in range(TRIES):
        first = ask_secret(text)
        if len(first.encode()) > most:
            echo(f"That has {len(first.encode())} bytes; at most {most} are possible. Try again.", err=True)
        elif first == ask_secret("The same again"):
            return first
        else:
            echo("These were not the same. Try again.", err=True)
    raise click.Abort


def confirm(text: str) -> bool:
    """Ask a question with the answers yes and no; Enter alone is no.

    Raises:
        click.Abort: the person wants to leave.
    """
    try:
        return click.confirm(printable(text), err=True)
    except click.Abort:
        echo(err=True)  # the cursor is still behind the question
        raise
