"""Types and checks of option values."""

from __future__ import annotations

import getpass
import math
from collections.abc import Mapping
from typing import Any

import click

from teleglyph.cli.option_groups import option
from teleglyph.cli.questions import ask_secret, can_ask
from teleglyph.printable import printable, width

_PASSWORD_BYTES = range(8, 257)
_MAX_NAME_BYTES = 31
_BITRATE_UNITS = {"k": 1000, "m": 1_000_000}
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MAX_LIFETIME = 3653 * 86_400
_MIN_BITRATE, _MAX_BITRATE = 32_000, 2**32 - 1


class Number(click.FloatRange):
    """A finite number in a range.  click's own type accepts ``nan`` in every range, and ``inf`` in open ones."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"'{value}' is not a number.", param, ctx)
        return number


class Words(click.ParamType[Any, Any]):
    """One of several words.  ``auto`` becomes None.

    Args:
        words: every accepted word with its value.
        listed: the words that help and errors list; the others are synonyms.
    """

    name = "word"

    def __init__(self, words: Mapping[str, object], listed: tuple[str, ...]) -> None:
        self._words = words
        self._listed = listed

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self._listed)}]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if not isinstance(value, str):
            return value
        word = value.lower()
        if word == "auto":
            return None
        if word not in self._words:
            self.fail(f"'{value}' is not one of {', '.join(self._listed)}.", param, ctx)
        return self._words[word]


class Bitrate(click.ParamType[Any, Any]):
    """Bits per second: 0, or at least 32 000; ``k`` and ``M`` stand for thousands and millions."""

    name = "bits"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value).strip()
        factor = _BITRATE_UNITS.get(text[-1:].lower(), 1)
        number = text[:-1] if factor > 1 else text
        try:
            bits = round(float(number) * factor)
        except (ValueError, OverflowError):
            self.fail(f"'{value}' is not a bit rate. Use bits per second, such as 500k or 2M.", param, ctx)
        if bits != 0 and not _MIN_BITRATE <= bits <= _MAX_BITRATE:
            self.fail(f"{bits} is out of range. Use 0, or {_MIN_BITRATE} to {_MAX_BITRATE}.", param, ctx)
        return bits


class Lifetime(click.ParamType[Any, Any]):
    """A length of time in seconds: ``30m``, ``2h``, ``3d``, ``2w``; ``never`` is 0."""

    name = "time"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value).strip().lower()
        if text == "never":
            return 0
        digits, unit = text[:-1], _SECONDS.get(text[-1:])
        if unit is None or not (digits.isascii() and digits.isdecimal()):
            self.fail(f"'{value}' is not a length of time. Use for example 30m, 2h, 3d, 2w or never.", param, ctx)
        seconds = int(digits[:9]) * unit
        if not 60 <= seconds <= _MAX_LIFETIME:
            self.fail(f"'{value}' is out of range. Use one minute to ten years, or never.", param, ctx)
        return seconds


def is_password(value: str) -> bool:
    """Whether the protocol can carry a password (8 to 256 bytes)."""
    return len(value.encode()) in _PASSWORD_BYTES


def check_password(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Refuse passwords that the protocol cannot carry."""
    if value is not None and not is_password(value):
        raise click.BadParameter(f"the password has {len(value.encode())} bytes; it needs 8 to 256.")
    return value


def check_name(value: str) -> str:
    """Refuse names that CLIENT_JOIN cannot carry (1 to 31 bytes) or that cannot be printed."""
    size = len(value.encode(errors="surrogateescape"))
    if size > _MAX_NAME_BYTES:
        raise click.BadParameter(f"the name has {size} bytes; the maximum is {_MAX_NAME_BYTES}.")
    if printable(value) != value:
        raise click.BadParameter("the name has unprintable characters. Use letters, digits, punctuation and emoji.")
    if not width(value.strip()):
        raise click.BadParameter(f"the name is blank. Use 1 to {_MAX_NAME_BYTES} bytes.")
    return value


def default_name() -> str:
    """The user's name on this machine, as their name in a call."""
    try:
        return getpass.getuser().encode()[:_MAX_NAME_BYTES].decode(errors="ignore")
    except (OSError, KeyError):
        return "guest"


def check_database(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Refuse anything but URLs of PostgreSQL databases."""
    if value is not None and not value.startswith(("postgresql://", "postgres://")):
        # The value stays out of the message: it may contain a password.
        raise click.BadParameter("this is not the URL of a PostgreSQL database. Write postgresql://user@host/name.")
    return value


def ask_passphrase(text: str) -> str | None:
    """Ask for a key's pass phrase; None without a terminal."""
    return ask_secret(text) if can_ask() else None


def discovery_key_option() -> Any:
    """``--discovery-key``, for hosts and guests."""
    return option(
        "--discovery-key",
        table="security",
        metavar="KEYS",
        help="Only use a discovery service that proves this public key: the key itself, a file, github:USER or "
        "gitlab:USER.",
    )
