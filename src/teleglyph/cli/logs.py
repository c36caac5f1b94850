"""Where log lines go and what they look like."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler

from teleglyph.errors import ConfigurationError
from teleglyph.printable import printable

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_FILE_BYTES = 3 << 20
_FILES_KEPT = 2


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What the program-level options say about logging."""

    level: str = "info"
    file: str | None = None
    as_json: bool = False
    quiet: bool = False

    def apply(self, *, console: bool = True) -> None:
        """Set up logging; ``console=False`` for commands that draw on the terminal.

        Raises:
            ConfigurationError: the log file cannot be opened.
        """
        handlers: list[logging.Handler] = []
        if console and not self.quiet:
            handlers.append(logging.StreamHandler(sys.stderr))
        if self.file is not None:
            handlers.append(self._file_handler(self.file))
        for handler in handlers:
            is_file = isinstance(handler, RotatingFileHandler)
            text = _TextFormatter() if is_file or self.level == "debug" else _ConsoleFormatter()
            handler.setFormatter(_JsonFormatter() if self.as_json else text)
        root = logging.getLogger()
        root.handlers[:] = handlers or [logging.NullHandler()]
        root.setLevel(_LEVELS[self.level])
        # What it says below that is about clients' mistakes, with stacks of its own.
        logging.getLogger("aiohttp.server").setLevel(logging.WARNING)
        logging.captureWarnings(True)
        logging.raiseExceptions = False  # a full disk must not print a stack for every line

    @staticmethod
    def _file_handler(path: str) -> logging.Handler:
        try:
            return RotatingFileHandler(path, maxBytes=_FILE_BYTES, backupCount=_FILES_KEPT, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"The log file '{path}' cannot be written ({error.strerror}): choose another with --log-file"
            ) from error


class _ConsoleFormatter(logging.Formatter):
    """For a person who watches: the time, and the level of what is not ordinary."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), lines=True)

    def formatMessage(self, record: logging.LogRecord) -> str:
        # One line for one message: nobody forges a second one.
        message = printable(record.message)
        record.message = message if record.levelno == logging.INFO else f"{record.levelname.lower()}: {message}"
        return super().formatMessage(record)


class _TextFormatter(logging.Formatter):
    """For a file: everything."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), lines=True)

    def formatMessage(self, record: logging.LogRecord) -> str:
        # One line for one message: nobody forges a second one.
        record.message = printable(record.message)
        return super().formatMessage(record)


class _JsonFormatter(logging.Formatter):
    """One object a line, with UTC time."""

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
    """Whether a terminal shows the log as text, so that a picture may be printed between its lines."""
    root = logging.getLogger()
    return root.isEnabledFor(logging.INFO) and any(
        isinstance(handler.formatter, _TextFormatter | _ConsoleFormatter)
        and isinstance(handler, logging.StreamHandler)
        and handler.stream is sys.stderr
        and sys.stderr.isatty()
        for handler in root.handlers
    )
