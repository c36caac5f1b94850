"""Opens files, standard input, URLs and devices for FFmpeg, and explains FFmpeg's errors."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from teleglyph.errors import MediaFileNotFoundError, MediaOpenError
from teleglyph.media.webp import HEAD_BYTES, WebpInput, is_animated

if TYPE_CHECKING:
    import av.container

MAX_PIXELS = 1 << 27
"""Limit of one picture, about 134 million: the largest photographs of phones have 108 million."""
DECODER_OPTIONS = {"max_pixels": str(MAX_PIXELS)}

_SILENCE_SECONDS = 20.0
"""Timeout for a silent network address; the segments of live streams come about every 10 s."""
_BUFFER_BYTES = 1 << 16
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HEAD_BYTES = 12
_PEEK_BYTES = 64
"""Bytes to read ahead from a pipe, which may have no more for a while.  MP4 begins with boxes of 32 and 8 bytes."""


class FileInput:
    """A file, a pipe or a device as input for FFmpeg.

    FFmpeg does not interpret the name, so colons, percent signs and the like have no special meaning.  A read that
    waits for a pipe ends when the input is closed.

    Args:
        descriptor: owned by the input.
        name: the file's path, with which playlists find their parts and FFmpeg the file's extension.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self.head = b""
        """The first bytes."""
        self._descriptor = descriptor
        self._is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._wake_read, self._wake_write = (-1, -1) if self._is_regular else os.pipe()
        self._closed = False
        self._pending = b""

    @property
    def can_restart(self) -> bool:
        """Whether it can be read a second time."""
        return self._is_regular

    @property
    def is_piped_mp4(self) -> bool:
        """Whether it begins like MP4 or MOV, but cannot be searched for the index."""
        return self.head[4:8] == b"ftyp" and not self._is_regular

    def restart(self) -> None:
        """Go to the start."""
        self.seek(0)

    def peek(self, size: int) -> bytes:
        """Return the first bytes without consuming them; call it before the first read."""
        while len(self._pending) < size and (more := self._receive(size - len(self._pending))):
            self._pending += more
        return self._pending

    def read(self, size: int) -> bytes:
        """The next bytes; empty at the end and when closed."""
        if self._pending:
            data, self._pending = self._pending[:size], self._pending[size:]
            return data
        return self._receive(size)

    def _receive(self, size: int) -> bytes:
        data = b""
        while not self._closed and (self._is_regular or self._wait()):
            with contextlib.suppress(BlockingIOError):  # another process read the bytes first
                data = os.read(self._descriptor, size)
                break
        if len(self.head) < _HEAD_BYTES:
            self.head += data[: _HEAD_BYTES - len(self.head)]
        return data

    def seekable(self) -> bool:
        """Whether it is a regular file."""
        return self._is_regular

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to another position, and return it."""
        if whence == os.SEEK_CUR:
            offset -= len(self._pending)
        self._pending = b""
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        """The current position."""
        return os.lseek(self._descriptor, 0, os.SEEK_CUR) - len(self._pending)

    def interrupt(self) -> None:
        """End all reads, now and later; from any thread."""
        self._closed = True
        descriptor, self._wake_write = self._wake_write, -1
        if descriptor >= 0:
            os.close(descriptor)  # wakes the poll: the pipe has no writer any more

    def close(self) -> None:
        """Close the descriptors; no read may be running."""
        self._closed = True
        self._pending = b""
        descriptors = (self._descriptor, self._wake_read, self._wake_write)
        self._descriptor = self._wake_read = self._wake_write = -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)

    def _wait(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while not self._closed:
            if any(descriptor == self._descriptor for descriptor, _ in poll.poll()):
                return True
        return False


class Opened:
    """An open container that can be opened again.

    Args:
        container: opened by FFmpeg.
        source: the file that it reads; None for URLs and devices.
        name: the user's name for it.
    """

    def __init__(self, container: av.container.InputContainer, source: FileInput | None, name: str) -> None:
        self.container = container
        self._source = source
        self._name = name

    @property
    def can_restart(self) -> bool:
        """Whether it can be read a second time."""
        return self._source is None or self._source.can_restart

    def restart(self) -> None:
        """Start again with new decoders; the previous ones stay usable.

        Raises:
            MediaOpenError: it can no longer be opened.
        """
        self.container.close()
        if self._source is None:
            self.container = open_container(self._name, self._name, timeout=_SILENCE_SECONDS)
        else:
            self._source.restart()
            self.container = open_container(_readable(self._source), self._name)

    def explain_nothing(self) -> None:
        """Explain why not even one packet could be read.

        Raises:
            MediaOpenError: with the reason, if it is known.
        """
        if self._source is not None and self._source.is_piped_mp4:
            raise MediaOpenError(index_comes_last(self._name))

    def interrupt(self) -> None:
        """End a waiting read if possible; from any thread."""
        if self._source is not None:
            self._source.interrupt()

    def close(self) -> None:
        """Close the container and its file; no read may be running."""
        self.container.close()
        if self._source is not None:
            self._source.close()


def open_media(name: str) -> Opened:
    """Open a file, a URL or standard input.

    ``-`` is standard input.  An existing file is always opened as a file; other names that begin with ``scheme://`` are
    URLs.

    Raises:
        MediaFileNotFoundError: the file does not exist or cannot be read.
        MediaOpenError: FFmpeg does not support its content.
    """
    if name == "-":
        return _open_input(_standard_input(), name)
    if _URL.match(name) and not os.path.lexists(name):
        return Opened(open_container(name, name, timeout=_SILENCE_SECONDS), None, name)
    return _open_input(_open_path(name), name)


def _standard_input() -> FileInput:
    try:
        return FileInput(os.dup(0), "-")
    except OSError as error:
        raise MediaOpenError("Standard input is closed, so there is nothing to read from it.") from error


def _open_path(name: str) -> FileInput:
    try:
        # Without O_NONBLOCK, opening a pipe would wait for its writer, and could not be interrupted.
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaFileNotFoundError(f"There is no file '{name}'.") from error
    except PermissionError as error:
        raise MediaFileNotFoundError(f"Cannot read the file '{name}': permission denied.") from error
    except (OSError, ValueError) as error:
        raise MediaFileNotFoundError(f"Cannot open the file '{name}': {ffmpeg_reason(error)}.") from error
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise MediaFileNotFoundError(f"'{name}' is a directory. Name a file in it.")
    return FileInput(descriptor, f"file:{os.path.abspath(name)}")


def _open_input(source: FileInput, name: str) -> Opened:
    try:
        if not source.can_restart and _has_late_index(source.peek(_PEEK_BYTES)):
            raise MediaOpenError(index_comes_last(name))
        return Opened(open_container(_readable(source), name), source, name)
    except BaseException as error:
        source.close()
        if not isinstance(error, MediaOpenError):
            raise
        if source.is_piped_mp4:
            raise MediaOpenError(index_comes_last(name)) from error
        raise


def _has_late_index(head: bytes) -> bool:
    """Whether a file that begins like this is an MP4 with more data before its index than FFmpeg buffers."""
    place = 0
    while head[4:8] == b"ftyp" and place + 8 <= len(head):
        size, kind = struct.unpack_from(">I4s", head, place)
        if kind in (b"moov", b"mdat"):
            return bool(kind == b"mdat") and (size > _BUFFER_BYTES or size < 8)
        place += max(size, 8)
    return False


def index_comes_last(name: str) -> str:
    """The error message for an MP4 that cannot be read from a pipe."""
    return (
        f"{_called(name)} is an MP4 or MOV file with its index at the end, which cannot be read from a pipe. "
        "Name the file instead, write it with '-movflags +faststart', or send Matroska or MPEG-TS."
    )


def _readable(source: FileInput) -> FileInput | WebpInput:
    """The file in a format that FFmpeg can read."""
    return WebpInput(source) if is_animated(source.peek(HEAD_BYTES)) else source


def open_container(
    url: str | FileInput | WebpInput,
    name: str,
    *,
    format: str | None = None,
    options: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> av.container.InputContainer:
    """Open a container with FFmpeg.

    Args:
        url: the name by which FFmpeg opens it, or an input for FFmpeg to read.
        name: the user's name for it.
        format: FFmpeg's name of the format; None detects it.
        options: of FFmpeg's demuxer, in addition to our own.
        timeout: seconds after which a read without data fails.

    Raises:
        MediaFileNotFoundError: the file does not exist or cannot be read.
        MediaOpenError: FFmpeg does not support its content.
    """
    import av

    try:
        return av.open(
            url,
            mode="r",
            format=format,
            options=DECODER_OPTIONS | dict(options or {}),
            buffer_size=_BUFFER_BYTES,
            timeout=timeout,
            metadata_errors="replace",
        )
    except FileNotFoundError as error:
        raise MediaFileNotFoundError(f"There is no '{name}'.") from error
    except PermissionError as error:
        raise MediaFileNotFoundError(f"Cannot read '{name}': permission denied.") from error
    except (av.FFmpegError, OSError, ValueError, RuntimeError) as error:
        raise MediaOpenError(
            f"{_called(name)} cannot be opened as a picture, film or sound: {ffmpeg_reason(error)}."
        ) from error


def ffmpeg_reason(error: BaseException) -> str:
    """The reason for FFmpeg's error, without numbers and without a full stop."""
    code = getattr(error, "errno", None)
    if code in _REASONS:
        return _REASONS[code]
    if isinstance(code, int) and 0 < code < 1000 and code in errno.errorcode:
        return os.strerror(code)
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text if not re.search(r"\d{6,}", text) else "FFmpeg reported no reason"


def _tag(letters: bytes) -> int:
    return int.from_bytes(letters, "little")


_REASONS = {
    _tag(b"INDA"): "it is damaged, incomplete, or in a format that FFmpeg does not support",
    _tag(b"EOF "): "it ends too early",
    _tag(b"EXIT"): f"no data arrived for {_SILENCE_SECONDS:g} s",
    _tag(b"PAWE"): "it uses a feature that FFmpeg does not support yet",
    _tag(b"\xf8DEC"): "FFmpeg has no decoder for it",
    _tag(b"\xf8DEM"): "FFmpeg does not support its format",
    _tag(b"\xf8PRO"): "FFmpeg does not support this kind of address",
    _tag(b"\xf8400"): "the server rejected the request as malformed (400)",
    _tag(b"\xf8401"): "the server requires a login (401)",
    _tag(b"\xf8403"): "the server denied access (403)",
    _tag(b"\xf8404"): "the server does not have it (404)",
    _tag(b"\xf8429"): "the server got too many requests (429)",
    _tag(b"\xf84XX"): "the server refused the request",
    _tag(b"\xf85XX"): "the server failed",
}


def _called(name: str) -> str:
    return "Standard input" if name == "-" else f"'{name}'"


def described(name: str) -> str:
    """The name of a source in running text."""
    return "standard input" if name == "-" else Path(name).name or name
