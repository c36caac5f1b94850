"""``teleglyph events``: all events of a relay, out of its database and into it."""

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
from teleglyph.cli.options import check_database
from teleglyph.console import discard_output, echo, output_failure, write_text
from teleglyph.errors import EventRefusedError, InvalidMessageError, OutputError
from teleglyph.server.app import DATABASE_FILE
from teleglyph.text_file import encoding_of

if TYPE_CHECKING:
    from teleglyph.wire.nostr.event import NostrEvent

_PAGE = 1000
_LONGEST_LINE = 1 << 20
_SECONDS = 1.0
_data_dir = click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="TELEGLYPH_DATA_DIR",
    help="The relay's directory.",
)
_database = click.option(
    "--database", metavar="URL", callback=check_database, envvar="TELEGLYPH_DATABASE", help="The relay's PostgreSQL."
)


@click.group(context_settings={"auto_envvar_prefix": "TELEGLYPH_EVENTS"})
def events() -> None:
    """Take a relay's events out of its database, or put them in; one JSON object in each line."""


def _place(data_dir: Path | None, database: str | None) -> str | Path:
    if (data_dir is None) == (database is None):
        raise click.UsageError("Say where the events are: either --data-dir or --database")
    return database or (data_dir or Path()) / DATABASE_FILE


class _Progress:
    """A line on the terminal that says how far it is."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._shown = time.monotonic()
        self._is_shown = sys.stderr.isatty()

    def show(self, count: int, *, is_last: bool = False) -> None:
        now = time.monotonic()
        if is_last or (self._is_shown and now - self._shown > _SECONDS):
            self._shown = now
            start = "\r" if self._is_shown else ""
            write_text(f"{start}{count} events {self._verb}" + ("\n" if is_last else ""), err=True)


@events.command("export")
@_data_dir
@_database
@click.argument("file", type=click.File("wb"), default="-")
@click.pass_obj
def export_events(logs: LogOptions, data_dir: Path | None, database: str | None, file: BinaryIO) -> int:
    """Write all events to FILE, or to standard output, in the order in which they came.

    With SQLite the server must not be running.
    """
    from teleglyph.store import open_database
    from teleglyph.store.events import EventStore

    logs.apply()
    base = open_database(_place(data_dir, database))
    try:
        store, progress, seq, count = EventStore(base), _Progress("written"), 0, 0
        while page := store.events_after(seq, _PAGE).result():
            _write(file, b"".join(body + b"\n" for _, body in page))
            seq, count = page[-1][0], count + len(page)
            progress.show(count)
        progress.show(count, is_last=True)
    finally:
        base.close()
    return 0


def _write(file: BinaryIO, data: bytes) -> None:
    """Write and flush, so that a full disk is noticed here and not when the file is closed."""
    try:
        file.write(data)
        file.flush()
    except OSError as error:
        if file.fileno() == sys.stdout.fileno():
            discard_output()
            raise output_failure(error) from error
        with contextlib.suppress(OSError):
            file.close()  # or what it still buffers would fail once more, with less to say
        raise OutputError(f"Cannot write to '{file.name}': {(error.strerror or str(error)).lower()}.") from error


@events.command("import")
@_data_dir
@_database
@click.argument("file", type=click.File("rb"), default="-")
@click.pass_obj
def import_events(logs: LogOptions, data_dir: Path | None, database: str | None, file: BinaryIO) -> int:
    """Read events from FILE, or from standard input, and keep those that are genuine and not there yet.

    Replaced, deleted and expired ones are not kept, and ephemeral ones never are. Neither are events that the relay's
    administrator has banned, or whose authors asked to vanish. With SQLite the server must not be running.
    """
    from teleglyph.events.admission import is_for_all_relays
    from teleglyph.events.policy import Policy
    from teleglyph.store import open_database
    from teleglyph.store.events import EventStore, Outcome
    from teleglyph.store.moderation import ModerationStore, finish_erasures
    from teleglyph.wire.nostr.event import VANISH

    logs.apply()
    base = open_database(_place(data_dir, database))
    refused = kept = count = 0
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
                event = _check(line)
                policy.check(event)
                if event.kind == VANISH and is_for_all_relays(event):
                    kept += flush()
                    kept += store.store_vanish_request(event).result().count(Outcome.STORED)
                    policy.record_vanished(event)
                else:
                    batch.append(event)
            except (EventRefusedError, InvalidMessageError) as error:
                refused += 1
                echo(f"line {number}: {error}", err=True)
            if len(batch) >= _PAGE:
                kept += flush()
                progress.show(count)
        kept += flush()
        finish_erasures(moderation)
        progress.show(count, is_last=True)
    finally:
        base.close()
    echo(f"{kept} were new, {refused} were refused", err=True)
    return 1 if refused else 0


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file that are not blank, in UTF-8, whatever an editor made of them."""
    buffered = cast(io.BufferedReader, file)
    mark, encoding = encoding_of(buffered.peek(4)[:4])
    buffered.read(len(mark))
    if encoding == "utf-8":
        while line := file.readline(_LONGEST_LINE + 1):
            if line.strip():
                yield line
        return
    text = io.TextIOWrapper(buffered, encoding, errors="replace")
    while words := text.readline(_LONGEST_LINE + 1):
        if words.strip():
            yield words.encode()


def _check(line: bytes) -> NostrEvent:
    from teleglyph.wire.nostr.event import load, read_event

    if len(line) > _LONGEST_LINE:
        raise InvalidMessageError(f"a line has at most {_LONGEST_LINE} bytes")
    event = read_event(load(line.strip()))
    if event.is_ephemeral:
        raise EventRefusedError(f"invalid: kind {event.kind} is not kept")
    if event.expires_at is not None and event.expires_at <= time.time():
        raise EventRefusedError("invalid: the event has expired")
    event.check_proof()
    return event
