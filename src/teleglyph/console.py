"""Standard output and standard error: the only module that writes text to them.

Text passes :func:`teleglyph.printable.printable`, and a full disk, a closed pipe or a lost terminal becomes an error
that a person can read instead of a traceback.  Single frames go through :func:`write_frame`; moving pictures through
:mod:`teleglyph.client.terminal.screen` and :mod:`teleglyph.client.terminal.output`.
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
        text: anything; what ``str`` makes of it is made printable, with its lines kept.
        err: to standard error; failures there are ignored, for nobody is left to hear of them.
        end: printed behind it.

    Raises:
        OutputClosedError: nobody reads standard output any more.
        OutputError: it cannot be written.
    """
    write_text(printable(str(text), lines=True) + end, err=err)


def write_text(text: str, *, err: bool = False) -> None:
    """Write text that is ours, escape sequences included.

    Everything that a peer could have influenced has to be made printable before it is put into such text.

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
    """Write a frame and a line feed to standard output, as UTF-8 whatever its encoding is.

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
    """Have a stream wait for a slow terminal: an event loop that reads the keyboard makes it non-blocking."""
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
    """What a failed write to standard output means to the command that tried it."""
    if isinstance(error, BrokenPipeError):
        return OutputClosedError("Nobody reads standard output any more.")
    return OutputError(f"Cannot write to standard output: {reason_of(error)}.")


def reserve_standard_streams() -> None:
    """Open what was closed of descriptors 0, 1 and 2, so that no socket or file of ours takes such a number.

    They are opened for reading, so that writing to a closed standard output fails as it should.
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
    """Drop what standard output still buffers after it failed."""
    _discard(sys.stdout)


def _encodable(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _discard(stream: TextIO) -> None:
    """Drop what is buffered: the interpreter would try to write it once more when it ends, and complain."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = stream.fileno()
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, descriptor)
        os.close(sink)
        stream.flush()
