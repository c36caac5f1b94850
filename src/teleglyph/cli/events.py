"""``teleglyph events``: exports and imports the events of a relay."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from teleglyph.cli.logs import LogOptions
from teleglyph.cli.option_types import check_database
from teleglyph.console import discard_output, echo, output_failure, write_text
from teleglyph.errors import EventRefusedError, InvalidMessageError, OutputError, reason_of
from teleglyph.server.data_directory import DATABASE_FILE, default_data_directory
from teleglyph.text_file import encoding_of

if TYPE_CHECKING:
    from teleglyph.wire.nostr.event import NostrEvent

_PAGE = 1000
_MAX_LINE = 1 << 20
_PROGRESS_SECONDS = 1.0
_data_dir = click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="TELEGLYPH_DATA_DIR",
    help="Directory where the relay stores its data.  [default: ~/.local/share/teleglyph]",
)
_database = click.option(
    "--database",
    metavar="URL",
    callback=check_database,
    envvar="TELEGLYPH_DATABASE",
    help="PostgreSQL database where the relay stores its data.",
)


@click.group(context_settings={"auto_envvar_prefix": "TELEGLYPH_EVENTS"})
def events() -> None:
    """Export or import the events of a relay, as one JSON object per line."""


def _location(data_dir: Path | None, database: str | None) -> str | Path:
    if data_dir is not None and database is not None:
        raise click.UsageError("Choose the relay's storage with either --data-dir or --database.")
    if database is not None:
        return database
    directory = data_dir or default_data_directory()
    if not directory.is_dir():
        raise click.UsageError(f"There is no directory '{directory}'. Choose a storage with --data-dir or --database.")
    return directory / DATABASE_FILE


class _Progress:
    """A line on the terminal with the number of events so far."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._written_at = time.monotonic()
        self._has_terminal = sys.stderr.isatty()

    def update(self, count: int, *, is_last: bool = False) -> None:
        now = time.monotonic()
        if is_last or (self._has_terminal and now - self._written_at > _PROGRESS_SECONDS):
            self._written_at = now
            start = "\r" if self._has_terminal else ""
            write_text(f"{start}{count} events {self._verb}" + ("\n" if is_last else ""), err=True)


@events.command("export")
@_data_dir
@_database
@click.argument("file", type=click.File("wb"), default="-")
@click.pass_obj
def export_events(logs: LogOptions, data_dir: Path | None, database: str | None, file: BinaryIO) -> int:
    """Write all events to FILE or standard output, oldest arrival first.

    With SQLite, stop the server first.
    """
    from teleglyph.store import open_database
    from teleglyph.store.events import EventStore

    logs.apply()
    base = open_database(_location(data_dir, database))
    try:
        store, progress, seq, count = EventStore(base), _Progress("written"), 0, 0
        while page := store.events_after(seq, _PAGE).result():
            _write(file, b"".join(body + b"\n" for _, body in page))
            seq, count = page[-1][0], count + len(page)
            progress.update(count)
        progress.update(count, is_last=True)
    finally:
        base.close()
    return 0


def _write(file: BinaryIO, data: bytes) -> None:
    """Write and flush, so that a full disk is noticed now and not when the file is closed."""
    try:
        file.write(data)
        file.flush()
    except OSError as error:
        if file.fileno() == sys.stdout.fileno():
            discard_output()
            raise output_failure(error) from error
        with contextlib.suppress(OSError):
            file.close()  # its buffer would fail again later, with a worse message
        raise OutputError(f"Cannot write to '{file.name}': {reason_of(error)}.") from error


@events.command("import")
@_data_dir
@_database
@click.argument("file", type=click.File("rb"), default="-")
@click.pass_obj
def import_events(logs: LogOptions, data_dir: Path | None, database: str | None, file: BinaryIO) -> int:
    """Read events from FILE or standard input, and store new ones with valid signatures.

    Replaced, deleted, expired and ephemeral events are not stored, nor are events that the relay's administrator has
    banned or whose authors asked to vanish. With SQLite, stop the server first.
    """
    from teleglyph.events.admission import is_for_all_relays
    from teleglyph.events.policy import Policy
    from teleglyph.store import open_database
    from teleglyph.store.events import EventStore, Outcome
    from teleglyph.store.moderation import ModerationStore, finish_erasures
    from teleglyph.wire.nostr.event import VANISH

    logs.apply()
    base = open_database(_location(data_dir, database))
    refused = stored = count = 0
    try:
        store, progress = EventStore(base), _Progress("read")
        moderation, policy = ModerationStore(base), Policy()
        policy.load(moderation.load().result())
        batch: list[NostrEvent] = []

        def flush() -> int:
            outcomes = store.store_events(batch).result() if batch else []
            batch.clear()
            return outcomes.count(Outcome.STORED)

        for number, line in enumerate(_lines(file), 1):
            count = number
            try:
                event = _read_valid(line)
                policy.check(event)
                if event.kind == VANISH and is_for_all_relays(event):
                    stored += flush()
                    stored += store.store_vanish_request(event).result().count(Outcome.STORED)
                    policy.record_vanished(event)
                else:
                    batch.append(event)
            except (EventRefusedError, InvalidMessageError) as error:
                refused += 1
                echo(f"Line {number}: {error}", err=True)
            if len(batch) >= _PAGE:
                stored += flush()
                progress.update(count)
        stored += flush()
        finish_erasures(moderation)
        progress.update(count, is_last=True)
    finally:
        base.close()
    echo(f"{stored} stored, {refused} refused", err=True)
    return 1 if refused else 0


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file that are not blank, converted to UTF-8."""
    buffered = cast(io.BufferedReader, file)
    mark, encoding = encoding_of(buffered.peek(4)[:4])
    buffered.read(len(mark))
    if encoding == "utf-8":
        while line := file.readline(_MAX_LINE + 1):
            if line.strip():
                yield line
        return
    text = io.TextIOWrapper(buffered, encoding, errors="replace")
    while words := text.readline(_MAX_LINE + 1):
        if words.strip():
            yield words.encode()


def _read_valid(line: bytes) -> NostrEvent:
    from teleglyph.wire.nostr.event import parse_json, read_event

    if len(line) > _MAX_LINE:
        raise InvalidMessageError(f"the line has more than {_MAX_LINE} bytes")
    event = read_event(parse_json(line.strip()))
    if event.is_ephemeral:
        raise EventRefusedError(f"invalid: events of kind {event.kind} are not stored")
    if event.expires_at is not None and event.expires_at <= time.time():
        raise EventRefusedError("invalid: the event has expired")
    event.check_proof()
    return event
