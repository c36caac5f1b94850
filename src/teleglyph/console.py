"""Standard output and standard error: the only module that writes text to them.

Text passes :func:`teleglyph.printable.printable`.  A full disk, a closed pipe or a lost terminal becomes a readable
error instead of a traceback.  Single frames go through :func:`write_frame`, live video through
:mod:`teleglyph.client.terminal.screen` and :mod:`teleglyph.client.terminal.frame_writer`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from teleglyph.errors import OutputClosedError, OutputError, reason_of
from teleglyph.printable import printable

if TYPE_CHECKING:
    from teleglyph.media.frame_text import SafeFrame


def echo(text: object = "", *, err: bool = False, end: str = "\n") -> None:
    """Print a text and flush it.

    Args:
        text: anything; its ``str`` is made printable, and keeps its lines.
        err: print to standard error.  Failures there are ignored, because nothing could report them.
        end: printed after the text.

    Raises:
        OutputClosedError: the reader of standard output is gone.
        OutputError: standard output cannot be written.
    """
    write_text(printable(str(text), lines=True) + end, err=err)


def write_text(text: str, *, err: bool = False) -> None:
    """Write trusted text, which may contain escape sequences.

    Any part that a peer could have influenced must be made printable first.

    Raises:
        OutputClosedError, OutputError: as for :func:`echo`.
    """
    stream = sys.stderr if err else sys.stdout
    try:
        with _blocking(stream):
            stream.write(_encodable(text, stream))
            stream.flush()
    except OSError as error:
        _discard(stream)
        if not err:
            raise output_failure(error) from error


def write_frame(frame: SafeFrame) -> None:
    """Write a frame and a line feed to standard output, always as UTF-8.

    Raises:
        OutputClosedError, OutputError: as for :func:`echo`.
    """
    try:
        with _blocking(sys.stdout):
            sys.stdout.flush()
            sys.stdout.buffer.write(frame + b"\n")
            sys.stdout.buffer.flush()
    except OSError as error:
        _discard(sys.stdout)
        raise output_failure(error) from error


@contextlib.contextmanager
def _blocking(stream: TextIO) -> Iterator[None]:
    """Make a stream wait for a slow terminal.  An event loop that reads the keyboard has made it non-blocking."""
    try:
        descriptor = stream.fileno()
        was_blocking = os.get_blocking(descriptor)
    except (OSError, ValueError):
        yield  # not a file
        return
    if was_blocking:
        yield
        return
    os.set_blocking(descriptor, True)
    try:
        yield
    finally:
        os.set_blocking(descriptor, False)


def output_failure(error: OSError) -> OutputError:
    """The error for a failed write to standard output."""
    if isinstance(error, BrokenPipeError):
        return OutputClosedError("The reader of standard output is gone.")
    return OutputError(f"Cannot write to standard output: {reason_of(error)}.")


def reserve_standard_streams() -> None:
    """Open descriptors 0, 1 and 2 if they are closed, so that no socket or file gets one of these numbers.

    They are opened read-only, so that writing to a closed standard output still fails.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def discard_output() -> None:
    """Drop what standard output still buffers after a failure."""
    _discard(sys.stdout)


def _encodable(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _discard(stream: TextIO) -> None:
    """Drop the buffer.  Otherwise the interpreter writes it again at exit, and prints another error."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = stream.fileno()
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, descriptor)
        os.close(sink)
        stream.flush()
