"""Logging: its options, where lines go and how they are formatted."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler

import click

from teleglyph.cli.option_groups import option
from teleglyph.errors import ConfigurationError, reason_of
from teleglyph.printable import printable

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_FILE_BYTES = 3 << 20
_FILES_KEPT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Options of the log."""

    log_level: str = option(
        "--log-level",
        table="logging",
        type=click.Choice(["debug", "info", "warn", "error"], case_sensitive=False),
        default="info",
        show_default=True,
        help="Lowest level to log.",
    )
    log_file: str | None = option(
        "-L", "--log-file", table="logging", type=click.Path(dir_okay=False), help="Also append the log to this file."
    )
    as_json: bool = option("--json", table="logging", is_flag=True, help="Log JSON, one object per line.")
    quiet: bool = option("-q", "--quiet", table="logging", is_flag=True, help="Do not log to the terminal.")

    def apply(self, *, console: bool = True) -> None:
        """Set up logging.

        Args:
            console: False for commands that draw on the terminal.

        Raises:
            ConfigurationError: the log file cannot be opened.
        """
        handlers: list[logging.Handler] = []
        if console and not self.quiet:
            handlers.append(logging.StreamHandler(sys.stderr))
        if self.log_file is not None:
            handlers.append(_file_handler(self.log_file))
        for handler in handlers:
            is_file = isinstance(handler, RotatingFileHandler)
            text = _TextFormatter() if is_file or self.log_level == "debug" else _ConsoleFormatter()
            handler.setFormatter(_JsonFormatter() if self.as_json else text)
        root = logging.getLogger()
        root.handlers[:] = handlers or [logging.NullHandler()]
        root.setLevel(_LEVELS[self.log_level])
        # Below this level, the first logs clients' mistakes with stack traces, and the others every packet.
        for library in ("aiohttp.server", "aioice", "aiortc", "async_upnp_client", "zeroconf"):
            logging.getLogger(library).setLevel(logging.WARNING)
        logging.captureWarnings(True)
        logging.raiseExceptions = False  # a full disk must not print a stack trace for every line


def _file_handler(path: str) -> logging.Handler:
    try:
        return RotatingFileHandler(path, maxBytes=_FILE_BYTES, backupCount=_FILES_KEPT, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"Cannot write the log file '{path}': {reason_of(error)}. Choose another one with --log-file."
        ) from error


class _ConsoleFormatter(logging.Formatter):
    """Formats lines for the terminal: the time, and the level unless it is INFO."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), lines=True)

    def formatMessage(self, record: logging.LogRecord) -> str:
        # One line per message, so that nobody can forge another.
        message = printable(record.message)
        record.message = message if record.levelno == logging.INFO else f"{record.levelname.lower()}: {message}"
        return super().formatMessage(record)


class _TextFormatter(logging.Formatter):
    """Formats lines for a file: every detail."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), lines=True)

    def formatMessage(self, record: logging.LogRecord) -> str:
        # One line per message, so that nobody can forge another.
        record.message = printable(record.message)
        return super().formatMessage(record)


class _JsonFormatter(logging.Formatter):
    """One JSON object per line, with UTC time."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def has_text_console() -> bool:
    """Whether the log goes to a terminal as text, so that a drawing can be printed between its lines."""
    root = logging.getLogger()
    return root.isEnabledFor(logging.INFO) and any(
        isinstance(handler.formatter, _TextFormatter | _ConsoleFormatter)
        and isinstance(handler, logging.StreamHandler)
        and handler.stream is sys.stderr
        and sys.stderr.isatty()
        for handler in root.handlers
    )
